//! The status page: that it says what the other endpoints say, and that nothing in it is more than text.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::collections::BTreeMap;

use kit::{Bridge, Reply, Request, app, app_at, app_to_stop, bridge, eventually, ms, nowhere};
use openim_bridge::callback::Callbacks;
use openim_bridge::config::{Loaded, Sources};
use openim_bridge::server::Server;

fn page(bridge: &Bridge) -> Reply {
    bridge.operator("GET", "/", "")
}

/// The text of an element, without its tags. askama's spelling of the characters that tests use is undone.
fn text(html: &str) -> String {
    let parts = html.split('<').filter_map(|part| part.split_once('>').map_or(Some(part), |(_, text)| Some(text)));
    let text = parts.collect::<Vec<_>>().join(" ").replace("&#60;", "<").replace("&#62;", ">").replace("&#38;", "&");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The rows of all tables, each as its cells' texts.
fn rows(html: &str) -> Vec<Vec<String>> {
    let rows = html.split("<tr>").skip(1).filter_map(|row| row.split("</tr>").next());
    let cells = |row: &str| {
        let ends = row.replace("</td>", "</th>");
        let cells: Vec<String> = ends.split("</th>").map(text).collect();
        cells[..cells.len() - 1].to_vec()
    };
    rows.map(cells).collect()
}

#[track_caller]
fn row(html: &str, first: &str) -> Vec<String> {
    rows(html).into_iter().find(|row| row[0] == first).unwrap_or_else(|| panic!("no row {first}: {html}"))
}

/// What `/metrics` has counted, added up by these labels.
fn metrics_by(bridge: &Bridge, labels: &[&str]) -> BTreeMap<Vec<String>, u64> {
    let metrics = bridge.operator("GET", "/metrics", "").body;
    let mut sums = BTreeMap::new();
    for line in metrics.lines() {
        let Some((of, count)) =
            line.strip_prefix("openim_bridge_callbacks_total{").and_then(|line| line.split_once("} "))
        else {
            continue;
        };
        let value = |name: &&str| {
            let (_, rest) = of.split_once(&format!("{name}=\"")).expect("the label");
            rest.split('"').next().expect("its value").to_owned()
        };
        *sums.entry(labels.iter().map(value).collect()).or_insert(0) += count.parse::<u64>().expect("a number");
    }
    sums.retain(|_, count| *count > 0);
    sums
}

#[test]
fn the_counts_are_those_of_metrics() {
    let app = app();
    let bridge = bridge().admin().asking(&app).timeout(ms(14_000)).start();
    for remark in ["a", "b", "c", "mock:refuse=5001,No", "mock:replace=x", "mock:status=PERMISSION_DENIED"] {
        bridge.ask(remark);
    }
    bridge.send(&Request::new().without("operationID"));

    let page = page(&bridge).body;
    let by_outcome = metrics_by(&bridge, &["outcome", "source"]);
    assert_eq!(by_outcome.values().sum::<u64>(), 7);
    for (labels, count) in by_outcome {
        let same = rows(&page).into_iter().filter(|row| row.len() == 4 && row[..2] == labels[..]).collect::<Vec<_>>();
        assert_eq!(same.len(), 1, "{labels:?} {page}");
        assert_eq!(same[0][2], count.to_string(), "{labels:?}");
    }
    for (labels, count) in metrics_by(&bridge, &["reason"]) {
        if labels != ["none"] {
            assert_eq!(row(&page, &labels[0])[1], count.to_string());
        }
    }
    assert_eq!(row(&page, "allow"), ["allow", "decision", "3", "42.9 %"]);
    assert_eq!(row(&page, "denied"), ["denied", "1", "14.3 %"]);
    assert_eq!(row(&page, "operation_id"), ["operation_id", "1", "14.3 %"]);
    assert_eq!(row(&page, "Count"), ["Count", "7", "6"]);
    let median = row(&page, "p50");
    assert!(median[1..].iter().all(|cell| cell.starts_with("≈ ") && cell.contains(" to ")), "{median:?}");
}

#[test]
fn a_bridge_that_was_never_called_says_so_and_shows_no_share_of_nothing() {
    let app = app();
    let bridge = bridge().admin().asking(&app).start();
    let page = page(&bridge).body;
    assert!(text(&page).contains("No callback has arrived yet."), "{page}");
    assert_eq!(row(&page, "p99"), ["p99", "none yet", "none yet"]);
    assert!(!page.contains("NaN") && !page.contains("inf "), "{page}");
}

#[test]
fn a_down_endpoint_is_shown_with_why_until_it_is_back() {
    let address = nowhere();
    let bridge = bridge().admin().asking_at(address).start();
    let name = address.to_string();
    eventually("the page says why", || row(&page(&bridge).body, &name)[1].contains("Last probe:"));
    let html = page(&bridge).body;
    let out = row(&html, &name);
    assert!(out[1].starts_with("▲ ejected Too many failures in a row"), "{out:?}");
    assert!(out[1].contains("refused"), "{out:?}");
    assert_eq!(out[2..], ["0", "0"]);
    assert!(text(&html).contains("No endpoint is healthy: every callback gets the fallback at once."), "{html}");
}

#[test]
fn an_endpoint_that_is_back_has_no_reason_to_be_ejected() {
    let first = app_to_stop();
    let address = first.address;
    let bridge = bridge().admin().asking(&first).start();
    let name = address.to_string();
    let state = || row(&page(&bridge).body, &name)[1].clone();
    eventually("it is connected", || state() == "● healthy");
    first.stop();
    eventually("it is ejected", || {
        bridge.ask("pal");
        state().contains("Last probe:")
    });
    let _second = app_at(address);
    eventually("it is healthy again", || state().starts_with("● healthy"));
    assert!(!page(&bridge).body.contains("Last probe:"));
}

#[test]
fn a_drain_is_the_first_thing_that_is_said() {
    let app = app();
    let bridge = bridge().admin().asking(&app).start();
    eventually("it is ready", || text(&page(&bridge).body).contains("● Ready"));
    bridge.operator("POST", "/drain", "");
    assert!(text(&page(&bridge).body).contains("▲ Not ready: draining"));
}

fn started(loaded: Loaded) -> Bridge {
    let shown = loaded.effective().shown();
    let bridge = Bridge { server: Server::start(loaded.settings, Callbacks::all()).expect("the bridge starts") };
    bridge.server.show_configuration(shown);
    bridge
}

#[test]
fn nothing_that_is_shown_becomes_more_than_text() {
    let evil = r#"<script>alert("1")<b>&amp;'"#;
    let folder = tempfile::Builder::new().prefix("<i>&").tempdir().expect("a folder");
    let file = folder.path().join("bridge.yaml");
    let lines = [
        "listen: 127.0.0.1:0".to_owned(),
        "admin: {listen: 127.0.0.1:0}".to_owned(),
        // Not in the folder: there is a limit on how long such a path may be.
        "upstream: {addresses: ['unix:///nowhere/<img src=x onerror=y>.sock']}".to_owned(),
        format!("fallback: {{action: refuse, refusal: {{detail: {}}}}}", serde_json::Value::from(evil)),
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let loaded = Sources { file: Some(file.clone()), ..Sources::default() }.load().expect("a configuration");
    let bridge = started(loaded);
    bridge.ask("pal");
    eventually("the page says why", || page(&bridge).body.contains("Last probe:"));
    let html = page(&bridge).body;
    for tag in ["<script", "<img", "<b>", "<i>", "&amp;'"] {
        assert!(!html.contains(tag), "{tag} in {html}");
    }
    let shown = row(&html, "fallback.refusal.detail");
    assert!(shown[1].contains("<script>alert"), "{shown:?}");
    assert!(shown[2].ends_with("bridge.yaml:4:46"), "{shown:?}");
    assert!(text(&html).contains("unix:///nowhere/<img src=x onerror=y>.sock ▲"), "{html}");
}

#[test]
fn no_secret_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    std::fs::write(&users, "openim:s3cret\n").expect("written");
    let flags = vec![
        ("listen", vec!["127.0.0.1:0".to_owned()]),
        ("admin.listen", vec!["127.0.0.1:0".to_owned()]),
        ("access.basic_auth_file", vec![users.to_str().expect("UTF-8").to_owned()]),
    ];
    let bridge = started(Sources { flags, ..Sources::default() }.load().expect("a configuration"));
    let html = page(&bridge).body;
    assert!(!html.contains("s3cret"), "{html}");
    assert_eq!(row(&html, "access.basic_auth_file")[2], "--access-basic-auth-file");
    let config = bridge.operator("GET", "/config", "").json();
    for setting in config["settings"].as_array().expect("settings") {
        let key = setting["key"].as_str().expect("a key");
        assert!(rows(&html).iter().any(|row| row[0] == key), "{key} is not on the page");
    }
}

#[test]
fn a_browser_may_fetch_and_run_nothing_for_it() {
    let bridge = bridge().admin().start();
    let reply = page(&bridge);
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("script"), "{policy}");
    for outside in ["<script", "http://", "https://", "@import", "url(", " style="] {
        let set = reply.body.split("id=\"configuration\"").next().expect("a part");
        assert!(!set.contains(outside), "{outside}");
    }
}

/// Part `page` of .ci/full: a bridge that has something of everything to show, and a browser that looks at it.
#[test]
#[ignore = "needs a browser and Node.js: .ci/full page"]
fn a_browser_finds_nothing_wrong_with_it() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run .ci/full page"));
    let app = app();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bridge.yaml");
    let lines = [
        "listen: 127.0.0.1:0".to_owned(),
        "decision: {timeout: 4s}".to_owned(),
        format!("upstream: {{addresses: ['http://{}', 'http://{}']}}", app.address, nowhere()),
        "fallback: {action: refuse, class: {overloaded: allow}}".to_owned(),
        "log: {format: json, ids: hash}".to_owned(),
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let flags = vec![("admin.listen", vec!["127.0.0.1:0".to_owned()])];
    let variables = vec![("OPENIM_BRIDGE_WORKERS".to_owned(), "2".into())];
    let bridge =
        started(Sources { file: Some(file), flags, variables, ..Sources::default() }.load().expect("a configuration"));
    eventually("one endpoint is in, and one is out with the reason", || {
        let html = text(&page(&bridge).body);
        html.contains("Last probe:") && html.contains("● healthy")
    });
    for number in 0..400 {
        bridge.ask(match number % 40 {
            0..30 => "pal",
            30..34 => "mock:refuse=5001,No",
            34..37 => "mock:replace=x",
            37 => "mock:delay=30ms",
            38 => "mock:status=RESOURCE_EXHAUSTED",
            _ => "mock:invalid=unset",
        });
    }
    bridge.send(&Request::new().without("operationID"));
    let url = format!("http://{}/", bridge.server.admin_address().expect("an admin listener"));
    let looked = std::process::Command::new("node")
        .args([variable("PAGE_LOOK"), variable("PAGE_BROWSER"), url, variable("PAGE_PICTURES")])
        .status()
        .expect("Node.js");
    assert!(looked.success());
}

#[test]
fn after_callbacks_are_there_while_they_wait_and_when_they_are_told() {
    let hung = kit::rpc::any_service(|_| Err(kit::rpc::HANGS));
    let command = "callbackAfterAddFriendCommand";
    let body = format!(r#"{{"callbackCommand":"{command}","fromUserID":"u1","toUserID":"u2"}}"#);
    let after = Request::new().target(&format!("/cb/{command}")).body(body);
    let waits = bridge().admin().asking_at(hung.address).start();
    assert_eq!(waits.send(&after).origin(), "queued");
    assert!(text(&page(&waits).body).contains("After callbacks 1 queued, the oldest for"), "{}", page(&waits).body);

    let tells = kit::rpc::any_service(|_| Ok(vec![]));
    let told = bridge().admin().asking_at(tells.address).start();
    assert_eq!(told.send(&after).origin(), "queued");
    eventually("it is delivered", || text(&page(&told).body).contains("After callbacks 0 queued."));
    assert_eq!(row(&page(&told).body, "delivered")[..3], ["delivered", "1", "100 %"]);
}
