//! The status page: that it says what the other endpoints say, and that nothing in it is more than text.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kit::frames::{grpc, plays};
use kit::process::serve_with;
use kit::{Bridge, COMMAND, Client, Reply, Request, app, app_at, app_to_stop, bridge, eventually, ms, nowhere};
use openim_bridge::callback::{CALLBACKS, Callbacks};
use openim_bridge::config::{Loaded, Sources};
use openim_bridge::policy::Route;
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
        let same = rows(&page).into_iter().filter(|row| row.len() == 5 && row[..2] == labels[..]).collect::<Vec<_>>();
        assert_eq!(same.len(), 1, "{labels:?} {page}");
        // All came within the last minute.
        assert_eq!(same[0][2..4], [count.to_string(), count.to_string()], "{labels:?}");
        assert!(same[0][4].starts_with(&format!("{count} ")), "{labels:?}");
    }
    for (labels, count) in metrics_by(&bridge, &["reason"]) {
        if labels != ["none"] {
            assert_eq!(row(&page, &labels[0])[1], count.to_string());
        }
    }
    assert_eq!(row(&page, "allow"), ["allow", "decision", "3", "3", "3 42.9 %"]);
    assert_eq!(row(&page, "denied"), ["denied", "1", "1", "1 14.3 %"]);
    assert_eq!(row(&page, "operation_id"), ["operation_id", "1", "1", "1 14.3 %"]);
    assert_eq!(
        row(&page, "beforeSetFriendRemark service"),
        ["beforeSetFriendRemark service", "7 fallbacks: 1", "7 fallbacks: 1", "7 fallbacks: 1"]
    );
    let counts: Vec<_> = rows(&page).into_iter().filter(|row| row[0] == "Count").map(|row| row[3].clone()).collect();
    assert_eq!(counts, ["7", "6"]);
    let median = row(&page, "p50");
    assert!(median[1..].iter().all(|cell| cell.starts_with("≈ ") && cell.contains(" to ")), "{median:?}");
}

#[test]
fn a_bridge_that_was_never_called_says_so_and_shows_no_share_of_nothing() {
    let app = app();
    let bridge = bridge().admin().asking(&app).start();
    let page = page(&bridge).body;
    assert!(text(&page).contains("No callback has arrived yet."), "{page}");
    assert_eq!(row(&page, "p99"), ["p99", "none yet", "none yet", "none yet"]);
    assert!(text(&page).contains("Last errors: none. Last rejected requests: none."), "{page}");
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
    let headline = "▲ Degraded: no endpoint is healthy; every callback is allowed by the fallback";
    assert!(text(&html).contains(headline), "{html}");
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
    eventually("it is healthy", || headline(&bridge) == "● Healthy: every endpoint is healthy");
    assert!(text(&page(&bridge).body).contains("/ready answers: ready."));
    bridge.operator("POST", "/drain", "");
    assert!(headline(&bridge).starts_with("▲ Draining: callbacks are still answered"));
    assert!(text(&page(&bridge).body).contains("/ready answers: not ready, draining."));
}

/// The first line, with its mark.
fn headline(bridge: &Bridge) -> String {
    let html = page(bridge).body;
    let (_, rest) = html.split_once("<p class=\"verdict").expect("a headline");
    text(rest.split_once("</p>").expect("its end").0)
}

#[test]
fn the_headline_is_what_an_operator_must_know_and_not_what_kubelet_is_told() {
    let app = app_to_stop();
    let allows = bridge().admin().asking(&app).start();
    let refuses = bridge().admin().asking(&app).refusing().start();
    let both = [&allows, &refuses];
    for bridge in both {
        eventually("it is healthy", || headline(bridge) == "● Healthy: every endpoint is healthy");
    }
    app.stop();
    for bridge in both {
        eventually("no endpoint is healthy", || {
            bridge.ask("pal");
            headline(bridge).starts_with("▲ Degraded: no endpoint is healthy; ")
        });
        assert_eq!(bridge.operator("GET", "/ready", "").status, 200);
        assert!(text(&page(bridge).body).contains("/ready answers: ready."));
    }
    assert!(headline(&allows).ends_with("; every callback is allowed by the fallback"));
    let html = text(&page(&allows).body);
    assert!(html.contains("Without a decision, the fallback: allow ."), "{html}");
    let kept = CALLBACKS.iter().filter(|callback| callback.only_service_may_refuse()).count();
    let refused = CALLBACKS.iter().filter(|callback| !callback.is_after()).count() - kept;
    let kinds = refused + kept;
    let what_then = format!("; of {kinds} kinds of callback the fallback refuses {refused} and allows {kept}");
    assert!(headline(&refuses).ends_with(&what_then), "{}", headline(&refuses));
    let policy = format!(
        "Without a decision, the fallback: refuse ; callbacks that it allows all the same, since a refusal loses messages: \
         {kept}."
    );
    assert!(text(&page(&refuses).body).contains(&policy), "{}", page(&refuses).body);
}

#[test]
fn a_bridge_that_asks_nobody_is_healthy_without_a_decision_service() {
    let route = |settings: &mut openim_bridge::server::Settings| settings.bridge.routes.default = Route::Allow;
    let bridge = bridge().admin().with(route).start();
    eventually("its endpoint is ejected", || page(&bridge).body.contains("Last probe:"));
    assert_eq!(headline(&bridge), "● Healthy: no callback waits for the decision service");
}

#[test]
fn fallbacks_of_the_last_minute_are_a_headline_also_while_every_endpoint_is_healthy() {
    let app = app();
    let bridge = bridge().admin().asking(&app).timeout(ms(14_000)).start();
    bridge.ask("pal");
    // Until its first health check has been answered it is new.
    eventually("it is healthy", || headline(&bridge) == "● Healthy: every endpoint is healthy");
    bridge.ask("mock:status=RESOURCE_EXHAUSTED");
    let expected = "▲ Degraded: 1 of 2 callbacks in the last minute got the fallback, for overloaded";
    assert_eq!(headline(&bridge), expected);
}

/// The rows of errors and rejected requests whose text begins so.
fn errors(html: &str, begins: &str) -> Vec<Vec<String>> {
    rows(html).into_iter().filter(|row| row.len() == 2 && row[1].starts_with(begins)).collect()
}

#[test]
fn errors_are_listed_by_callback_and_class_without_what_users_wrote() {
    let (remark, owner, friend) = ("My Best Friend", "owner-17", "friend-23");
    let message = format!("no row for {owner}, {friend}, {remark} in db-2%1B[31m <script>");
    let answers = ["13", "7"].map(|code| grpc().trailers_with(code, "grpc-message", &message));
    let service = plays(answers);
    let bridge = bridge().admin().asking_at(service.address).timeout(ms(14_000)).start();
    let request = Request::new().callback(COMMAND, owner, friend, remark).header("operationID", "operation-5");
    bridge.send(&request);
    bridge.send(&request);
    bridge.send(&request.clone().target(&format!("/{COMMAND}?key=s3cret")).without("operationID"));
    bridge.send(&request.clone().target("/callbackOfUser9Command"));

    let html = page(&bridge).body;
    for (code, status) in [("denied", "PERMISSION_DENIED"), ("internal", "INTERNAL")] {
        let found = errors(&html, &format!("beforeSetFriendRemark {code} "));
        assert!(found.len() == 1 && found[0][0].contains("Z ") && found[0][0].ends_with(" s ago"), "{found:?}");
        let text = format!("the decision service answered {status}: no row for ***");
        assert!(found[0][1].contains(&text) && found[0][1].contains("in db-2"), "{found:?}");
    }
    let text = "beforeSetFriendRemark operation_id The header operationID is missing or empty: OpenIM v3.5 and v3.6";
    assert_eq!(errors(&html, text).len(), 1, "{html}");
    assert_eq!(errors(&html, "unknown command_unserved ").len(), 1, "{html}");
    let of_users = [remark, owner, friend, "operation-5", "s3cret", "callbackOfUser9Command", "<script>", "\u{1b}"];
    for written in of_users {
        assert!(!html.contains(written), "{written} in {html}");
    }
}

#[test]
fn the_list_of_errors_is_bounded() {
    let bridge = bridge().admin().start();
    let callbacks = CALLBACKS.iter().filter(|callback| !callback.is_after()).take(15);
    for callback in callbacks {
        let body = format!(r#"{{"callbackCommand":"{}""#, callback.command);
        bridge.send(&Request::new().target(&format!("/{}", callback.command)).body(body));
    }
    assert_eq!(errors(&page(&bridge).body, "before").len(), 10);
}

#[test]
fn an_after_callback_that_is_not_delivered_is_an_error() {
    let rejects = kit::rpc::any_service(|_| Err(3));
    let bridge = bridge().admin().asking_at(rejects.address).start();
    let command = "callbackAfterAddFriendCommand";
    let body = format!(r#"{{"callbackCommand":"{command}","fromUserID":"u1","toUserID":"u2"}}"#);
    bridge.send(&Request::new().target(&format!("/cb/{command}")).body(body));
    eventually("it is listed", || {
        let found = errors(&page(&bridge).body, "afterAddFriend rejected ");
        found.first().is_some_and(|row| row[1].contains("INVALID_ARGUMENT"))
    });
    assert_eq!(headline(&bridge), "▲ Degraded: after callbacks lost in the last minute: 1");
}

#[test]
fn routes_are_those_that_were_taken_and_those_that_differ() {
    let file = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file");
    let lines = [
        "listen: 127.0.0.1:0",
        "admin: {listen: 127.0.0.1:0}",
        "fallback: {action: refuse, class: {timeout: allow}}",
        "decision: {enforce_percent: 20}",
        "callbacks:",
        "  default: {route: allow}",
        "  unknown: {route: allow}",
        "  beforeSendSingleMsg: {route: service, timeout: 800ms, fallback: refuse, enforce_percent: 10}",
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    let bridge = started(sources.load().expect("a configuration"));
    bridge.ask("pal");
    let html = page(&bridge).body;
    let sentence =
        "Callbacks: allow , unless the table says otherwise. Commands that the bridge does not know: allow .";
    assert!(text(&html).contains(sentence), "{html}");
    assert_eq!(row(&html, "beforeSetFriendRemark allow")[1..], ["1", "1", "1"]);
    let own = "beforeSendSingleMsg service; timeout 800ms; fallback refuse; enforce_percent 10";
    assert_eq!(row(&html, own)[1..], ["0", "0", "0"]);
    let policy = "the fallback: refuse ; allow for timeout, unimplemented; callbacks with a fallback of their own: 1 (see Routes); ";
    assert!(text(&html).contains(policy), "{html}");
    assert!(text(&html).contains("; decisions have effect for 20 % of the owners only."), "{html}");
    // The one that is routed to the service is refused without it.
    let what_then =
        "▲ Degraded: no endpoint is healthy; every callback that needs a decision is refused by the fallback";
    eventually("no endpoint is healthy", || headline(&bridge) == what_then);
}

#[test]
fn it_reloads_itself_for_whoever_asks_for_that() {
    let bridge = bridge().admin().start();
    let asked = |query: &str| bridge.operator("GET", &format!("/{query}"), "");
    let reloads = asked("?refresh=10");
    assert_eq!(reloads.header("refresh"), Some("10"));
    assert!(text(&reloads.body).contains("Reloads every 10 s; stop ."), "{}", reloads.body);
    for query in ["", "?refresh=0", "?refresh=99999", "?refresh=-1", "?refresh=1;url=http://x/", "?refresh"] {
        let reply = asked(query);
        assert_eq!((reply.status, reply.header("refresh")), (200, None), "{query}");
    }
}

#[test]
fn it_says_whose_page_it_is() {
    let page = |variables: &[(&str, &str)]| {
        let mut serve = serve_with(variables, &["--admin-listen", "127.0.0.1:0"]);
        let mut client = Client::connect(serve.admin_address());
        client.write(&Request::new().method("GET").target("/").body("").bytes());
        text(&client.reply().body)
    };
    let version = env!("CARGO_PKG_VERSION");
    let of_pod = page(&[("POD_NAME", "chat-7d9f-x2")]);
    assert!(of_pod.contains(&format!("Pod chat-7d9f-x2 , version {version} (")), "{of_pod}");
    assert!(of_pod.contains("), started 2") && of_pod.contains("Z, up for "), "{of_pod}");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    assert!(page(&[("POD_NAME", "")]).contains(&format!("Pod {} ,", host.trim())));
}

fn started(loaded: Loaded) -> Bridge {
    let effective = loaded.effective();
    let bridge = Bridge { server: Server::start(loaded.settings, Callbacks::all()).expect("the bridge starts") };
    bridge.server.show_configuration(effective);
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

/// A callback of this name, with nothing but what it must have.
fn callback_named(name: &str) -> Request {
    let callback = CALLBACKS.iter().find(|callback| callback.name == name).expect("a callback");
    let body =
        serde_json::json!({ "callbackCommand": callback.command, "sendID": "u1", "recvID": "u2", "sessionType": 1 });
    Request::new().target(&format!("/cb/{}", callback.command)).body(body.to_string())
}

/// Part `page` of .ci/full: a bridge that has something of everything to show, and a browser that looks at it.
#[test]
#[ignore = "needs a browser and Node.js: .ci/full page"]
fn a_browser_finds_nothing_wrong_with_it() {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run .ci/full page"));
    let (first, second) = (app_to_stop(), app_to_stop());
    let gone = second.address;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bridge.yaml");
    let lines = [
        "listen: 127.0.0.1:0".to_owned(),
        "decision: {timeout: 2s}".to_owned(),
        format!("upstream: {{addresses: ['http://{}', 'http://{gone}']}}", first.address),
        "fallback: {action: refuse, class: {overloaded: allow}}".to_owned(),
        "callbacks: {beforeOfflinePush: {route: allow}, beforeSendSingleMsg: {timeout: 800ms, fallback: allow}}"
            .to_owned(),
        "log: {format: json, ids: hash}".to_owned(),
    ];
    std::fs::write(&file, lines.join("\n")).expect("written");
    let flags = vec![("admin.listen", vec!["127.0.0.1:0".to_owned()])];
    let variables = vec![("OPENIM_BRIDGE_WORKERS".to_owned(), "2".into())];
    let bridge =
        started(Sources { file: Some(file), flags, variables, ..Sources::default() }.load().expect("a configuration"));
    eventually("both endpoints are healthy", || headline(&bridge).starts_with("● Healthy"));
    let messages = ["beforeSendSingleMsg", "beforeSendGroupMsg", "afterSendSingleMsg", "beforeOfflinePush"];
    let some = |round: usize| {
        for number in 0..20 {
            bridge.send(&callback_named(messages[number * 7 % 10 % messages.len()]));
        }
        bridge.ask(match round % 12 {
            0..6 => "pal",
            6..8 => "mock:refuse=5001,No",
            8 => "mock:replace=x",
            9 => "mock:delay=30ms",
            10 => "mock:status=RESOURCE_EXHAUSTED",
            _ => "mock:invalid=unset",
        });
    };
    // Longer than the last minute.
    let start = Instant::now();
    let mut round = 0;
    while start.elapsed() < Duration::from_secs(72) {
        some(round);
        round += 1;
        std::thread::sleep(ms(100));
    }
    bridge.send(&Request::new().without("operationID"));
    bridge.ask("mock:delay=9s");
    second.stop();
    eventually("one endpoint is ejected, and the page says why", || {
        some(round);
        text(&page(&bridge).body).contains("Last probe:")
    });
    let sent = row(&page(&bridge).body, "beforeSendSingleMsg service; timeout 800ms; fallback allow");
    let count = |cell: &str| cell.split(' ').next().and_then(|count| count.parse::<u64>().ok()).expect("a number");
    assert!(count(&sent[1]) > 0 && count(&sent[1]) < count(&sent[3]), "the last minute is not all: {sent:?}");
    assert_eq!(sent[2], sent[3]);
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
    eventually("it is delivered", || text(&page(&told).body).contains("After callbacks 0 queued. Failed"));
    assert_eq!(row(&page(&told).body, "delivered"), ["delivered", "1", "1", "1 100 %"]);
}
