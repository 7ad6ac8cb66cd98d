//! A running program whose configuration changes: what follows, what does not, and that nothing is lost meanwhile.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

mod kit;

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

use kit::{
    Client, Request, app, eventually,
    process::{self, Serve},
};
use tempfile::TempDir;

/// With this file.
fn serve(file: &Path, flags: &[&str]) -> Serve {
    serve_with(&[&["--config", file.to_str().expect("UTF-8")], flags].concat())
}

fn serve_with(flags: &[&str]) -> Serve {
    process::serve(&[&["--admin-listen", "off"], flags].concat()).started()
}

/// Writes the file, has it read, and returns what is said of it.
#[track_caller]
fn reload(serve: &mut Serve, file: &Path, text: &str) -> String {
    fs::write(file, text).expect("the file");
    serve.signal("HUP");
    serve.says("configuration")
}

/// A folder with `bridge.yaml`.
fn folder(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bridge.yaml");
    fs::write(&file, text).expect("the file");
    (folder, file)
}

#[test]
fn what_sighup_changes_holds_for_the_next_callback() {
    let (folder, file) = folder("fallback: {action: allow}\n");
    let users = folder.path().join("users");
    fs::write(&users, "openim:s3cret\n").expect("the file");
    // Nobody listens on port 1.
    let mut serve = serve(&file, &["--upstream", "http://127.0.0.1:1"]);
    let mut kept = Client::connect(serve.address);
    kept.write(&Request::new().bytes());
    kept.reply().goes_on_with("pal");

    let said = reload(&mut serve, &file, "fallback: {action: refuse}\n");
    assert!(said.contains("the configuration was reloaded; changed: fallback.action"), "{said}");
    kept.write(&Request::new().bytes());
    kept.reply().refuses(200, 9921);

    let said =
        reload(&mut serve, &file, "fallback: {action: refuse, refusal: {code: 5007}}\nlimits: {request_bytes: 40}\n");
    assert!(said.contains("; changed: fallback.refusal.code, limits.request_bytes"), "{said}");
    kept.write(&Request::new().bytes());
    kept.reply().refuses(413, 9904);

    reload(&mut serve, &file, &format!("access: {{basic_auth_file: '{}'}}\n", users.display()));
    serve.send(&Request::new()).refuses(401, 9907);
    serve.send(&Request::new().header("Authorization", "Basic b3BlbmltOnMzY3JldA==")).goes_on_with("pal");

    reload(&mut serve, &file, "access: {allow: [192.0.2.0/24]}\n");
    serve.send(&Request::new()).refuses(403, 9909);
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_in_one_line() {
    let (folder, file) = folder("fallback: {action: refuse}\n");
    let mut serve = serve(&file, &["--upstream", "http://127.0.0.1:1"]);
    let said = reload(&mut serve, &file, "fallback: {action: alow}\nwokers: 2\n");
    for part in [
        "ERROR",
        "the new configuration is wrong; the previous one stays in effect",
        "bridge.yaml:1:20: `fallback.action` is alow: expected `allow` or `refuse`",
        "bridge.yaml:2:1: unknown key `wokers`: did you mean `workers`?",
    ] {
        assert!(said.contains(part), "{said}");
    }
    serve.send(&Request::new()).refuses(200, 9921);

    fs::remove_file(&file).expect("the file");
    serve.signal("HUP");
    let said = serve.says("configuration");
    assert!(said.contains("bridge.yaml: cannot be read"), "{said}");
    serve.send(&Request::new()).refuses(200, 9921);

    // As at the start, a file with credentials that is missing or wrong is no reason to let everybody in.
    let users = folder.path().join("users");
    let with_users = format!("access: {{basic_auth_file: '{}'}}\n", users.display());
    let said = reload(&mut serve, &file, &with_users);
    assert!(said.contains("users, ") && said.contains("cannot be read"), "{said}");
    serve.send(&Request::new()).refuses(200, 9921);
    fs::write(&users, "s3cret\n").expect("the file");
    let said = reload(&mut serve, &file, &with_users);
    assert!(said.contains("users:1: expected `user:password`") && !said.contains("s3cret"), "{said}");
    serve.send(&Request::new()).refuses(200, 9921);

    let said = reload(&mut serve, &file, "fallback: {action: allow}\n");
    assert!(said.contains("; changed: fallback.action"), "{said}");
    serve.send(&Request::new()).goes_on_with("pal");
}

#[test]
fn what_needs_a_restart_is_named_and_the_rest_is_taken() {
    let (_folder, file) = folder("");
    let mut serve = serve(&file, &["--upstream", "http://127.0.0.1:1"]);
    let said = reload(&mut serve, &file, "workers: 2\nlog: {format: json}\nfallback: {action: refuse}\n");
    assert!(said.contains("the configuration was reloaded; changed: fallback.action"), "{said}");
    let said = serve.says("restart");
    assert!(said.contains("WARN") && said.contains("these changes need a restart: workers, log.format"), "{said}");
    serve.send(&Request::new()).refuses(200, 9921);

    // A flag wins over the file, as at the start.
    let said = reload(&mut serve, &file, "upstream: {addresses: ['http://127.0.0.1:2']}\nfallback: {action: refuse}\n");
    assert!(said.contains("no setting that applies at run time has changed"), "{said}");
    let said = reload(&mut serve, &file, "workers: 2\nfallback: {action: allow}\n");
    assert!(said.contains("; changed: fallback.action"), "{said}");
    assert!(serve.says("restart").contains("these changes need a restart: workers\n"));
}

#[test]
fn a_reload_sets_the_log_s_level_where_the_file_s_has_changed() {
    let (_folder, file) = folder("log: {level: info}\n");
    let mut serve = serve(&file, &["--callbacks-unknown-route", "allow"]);
    let body = r#"{"callbackCommand":"callbackBeforeSomethingElseCommand"}"#;
    let unserved = Request::new().target("/callbackBeforeSomethingElseCommand").body(body);
    // Logged at debug only.
    serve.send(&unserved).goes_on();
    let said = reload(&mut serve, &file, "log: {level: debug}\n");
    assert!(said.contains("the configuration was reloaded; changed: log.level"), "{said}");
    serve.send(&unserved).goes_on();
    assert!(serve.says("callback").contains("DEBUG"));
}

#[test]
fn a_level_set_by_hand_stays_until_the_file_s_own_changes() {
    let (_folder, file) = folder("log: {level: info}\n");
    let path = file.to_str().expect("UTF-8");
    let mut serve = process::serve(&["--admin-listen", "127.0.0.1:0", "--config", path]);
    let admin = serve.admin_address();
    let mut serve = serve.started();
    let operate = |method: &str, target: &str, body: &str| {
        let mut client = Client::connect(admin);
        client.write(&Request::new().method(method).target(target).body(body).bytes());
        client.reply()
    };
    assert_eq!(operate("PUT", "/log-level", "error").status, 200);
    // The level is the file's no more, so that a line at info is not seen; one at error still is.
    fs::write(&file, "log: {level: info}\nworkers: 0\n").expect("the file");
    serve.signal("HUP");
    assert!(serve.says("configuration").contains("ERROR"));
    fs::write(&file, "log: {level: info}\nlimits: {in_flight: 7}\n").expect("the file");
    serve.signal("HUP");
    eventually("it is in effect", || operate("GET", "/config", "").body.contains("\"value\": 7,"));
    fs::write(&file, "log: {level: info}\nworkers: 0\n").expect("the file");
    serve.signal("HUP");
    assert!(serve.says("configuration").contains("ERROR"), "the change before was logged, at info");

    let said = reload(&mut serve, &file, "log: {level: debug}\nworkers: 3\n");
    assert!(said.contains("the configuration was reloaded; changed: limits.in_flight, log.level"), "{said}");
    let shown = operate("GET", "/config", "").json();
    assert_eq!(shown["needs_restart"], serde_json::json!(["workers"]));
    let waiting = || operate("GET", "/metrics", "").body;
    assert!(waiting().contains("\nopenim_bridge_config_needs_restart 1\n"), "{}", waiting());
    reload(&mut serve, &file, "log: {level: debug}\n");
    eventually("nothing waits", || waiting().contains("\nopenim_bridge_config_needs_restart 0\n"));
}

#[test]
fn a_reload_that_changes_nothing_says_so() {
    let (_folder, file) = folder("");
    let mut serve = serve(&file, &[]);
    let said = reload(&mut serve, &file, "# a comment\nworkers: 1\n");
    assert!(said.contains("INFO") && said.contains("no setting that applies at run time has changed"), "{said}");
}

#[test]
fn without_a_file_sighup_changes_nothing_and_ends_nothing() {
    let mut serve = serve_with(&["--upstream", "http://127.0.0.1:1"]);
    serve.signal("HUP");
    serve.says("there is no configuration file to reload");
    serve.send(&Request::new()).goes_on_with("pal");
}

#[test]
fn a_file_is_read_again_without_being_told_kubernetes_swap_of_a_symlink_included() {
    // As the kubelet lays out a ConfigMap: bridge.yaml -> ..data/bridge.yaml, ..data -> ..first.
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    for (name, action, password) in [("..first", "allow", "s3cret"), ("..second", "refuse", "0ther")] {
        fs::create_dir(at(name)).expect("a folder");
        let text =
            format!("fallback: {{action: {action}}}\naccess: {{basic_auth_file: '{}'}}\n", at("users").display());
        fs::write(at(name).join("bridge.yaml"), text).expect("the file");
        fs::write(at(name).join("users"), format!("openim:{password}\n")).expect("the file");
    }
    symlink("..first", at("..data")).expect("a link");
    for name in ["bridge.yaml", "users"] {
        symlink(Path::new("..data").join(name), at(name)).expect("a link");
    }
    let mut serve = serve(&at("bridge.yaml"), &["--upstream", "http://127.0.0.1:1"]);
    let with = |credentials: &str| Request::new().header("Authorization", format!("Basic {credentials}"));
    serve.send(&with("b3BlbmltOnMzY3JldA==")).goes_on_with("pal");

    symlink("..second", at("..data_tmp")).expect("a link");
    fs::rename(at("..data_tmp"), at("..data")).expect("the swap");
    let said = serve.says("configuration");
    assert!(said.contains("; changed: access.basic_auth_file, fallback.action"), "{said}");
    serve.send(&with("b3BlbmltOnMzY3JldA==")).refuses(401, 9907);
    serve.send(&with("b3BlbmltOjB0aGVy")).refuses(200, 9921);
}

#[test]
fn a_file_with_credentials_is_read_again_without_being_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    fs::write(&users, "openim:0ther\n").expect("the file");
    let file = users.to_str().expect("UTF-8");
    let mut serve = serve_with(&["--upstream", "http://127.0.0.1:1", "--access-basic-auth-file", file]);
    let knocking = Request::new().header("Authorization", "Basic b3BlbmltOnMzY3JldA==");
    serve.send(&knocking).refuses(401, 9907);
    fs::write(&users, "openim:s3cret\n").expect("the file");
    let said = serve.says("configuration");
    assert!(said.contains("; changed: access.basic_auth_file\n"), "{said}");
    serve.send(&knocking).goes_on_with("pal");
}

#[test]
fn a_file_with_the_key_of_hashed_ids_is_read_again_without_being_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    fs::write(&key, "fedcba9876543210\n").expect("the file");
    let file = key.to_str().expect("UTF-8");
    let mut serve = serve_with(&["--upstream", "http://127.0.0.1:1", "--log-ids", "hash", "--log-ids-key-file", file]);
    let owner = Request::new().callback(kit::COMMAND, "u1", "u2", "pal");
    serve.send(&owner).goes_on_with("pal");
    // printf %s u1 | openssl dgst -sha256 -hmac fedcba9876543210
    assert!(serve.says("actor=").contains("actor=\"ccdedda803229e74\""));

    fs::write(&key, "0123456789abcdef\n").expect("the file");
    let said = serve.says("configuration");
    assert!(said.contains("; changed: log.ids_key_file\n"), "{said}");
    serve.send(&owner).goes_on_with("pal");
    assert!(serve.says("actor=").contains("actor=\"5162bddb18bda008\""));

    fs::write(&key, "short\n").expect("the file");
    serve.signal("HUP");
    let said = serve.says("configuration");
    assert!(said.contains("ERROR") && said.contains("expected at least 16 bytes"), "{said}");
    serve.send(&owner).goes_on_with("pal");
    assert!(serve.says("actor=").contains("actor=\"5162bddb18bda008\""));
}

#[test]
fn a_file_that_is_wrong_shows_in_the_metrics_until_it_is_right() {
    let (_folder, file) = folder("fallback: {action: refuse}\n");
    let path = file.to_str().expect("UTF-8");
    let mut serve = process::serve(&["--admin-listen", "127.0.0.1:0", "--config", path]);
    let admin = serve.admin_address();
    let mut serve = serve.started();
    let ask = |target: &str| {
        let mut client = Client::connect(admin);
        client.write(&Request::new().method("GET").target(target).body("").bytes());
        client.reply().body
    };
    // Reloads that were taken, those that were refused, and whether the last one was taken.
    let are = |expected: [u8; 3]| {
        let names = ["reloads_total", "reload_errors_total", "last_reload_successful"];
        let text = ask("/metrics");
        names
            .iter()
            .zip(expected)
            .all(|(name, number)| text.lines().any(|line| line == format!("openim_bridge_config_{name} {number}")))
    };
    let told_on_the_page = || ask("/").contains("The configuration file is wrong now");
    assert!(are([0, 0, 1]) && !told_on_the_page());

    assert!(reload(&mut serve, &file, "fallback: {action: alow}\n").contains("ERROR"));
    eventually("it is counted", || are([0, 1, 0]));
    assert!(told_on_the_page());

    assert!(reload(&mut serve, &file, "fallback: {action: allow}\n").contains("; changed"));
    eventually("it is counted", || are([1, 1, 1]));
    assert!(!told_on_the_page());
}

#[test]
fn no_callback_is_lost_or_mixed_up_by_reloads_under_load() {
    let text = |code: i32| {
        format!(
            "decision: {{timeout: 500ms}}\nfallback: {{action: refuse, refusal: {{code: {code}, message: 'no {code}'}}}}\n"
        )
    };
    let (folder, file) = folder(&text(5000));
    let next = folder.path().join("next");
    let write = |code: i32| {
        fs::write(&next, text(code)).expect("the file");
        fs::rename(&next, &file).expect("the file");
    };
    let app = app();
    let mut serve = serve(&file, &["--upstream", &format!("http://{}", app.address)]);
    let address = serve.address;
    let done = AtomicBool::new(false);
    // New and kept connections in turn; many of these callbacks outlast a reload.
    let ask_and_ask = |number: usize| {
        let mut kept = Client::connect(address);
        let mut refused = 0;
        for asked in 0.. {
            if done.load(Relaxed) && refused > 0 {
                return;
            }
            let remark = if asked % 4 == 3 { "mock:hang" } else { "pal" };
            let mut new = number.is_multiple_of(2).then(|| Client::connect(address));
            let client = new.as_mut().unwrap_or(&mut kept);
            client.write(&Request::new().remark(remark).bytes());
            let reply = client.reply();
            let answer = reply.json();
            if answer["nextCode"] == 1 {
                refused += 1;
                assert_eq!(
                    answer["errMsg"],
                    format!("no {}", answer["errCode"]),
                    "settings of two reloads in one answer"
                );
            } else {
                reply.goes_on_with("pal");
            }
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let ask = &ask_and_ask;
                    move || ask(number)
                })
            })
            .collect();
        for code in 5001..=5100 {
            write(code);
            serve.signal("HUP");
        }
        done.store(true, Relaxed);
        for client in clients {
            client.join().expect("every callback is answered as it should");
        }
    });
    eventually("the last change is in force", || {
        serve.send(&Request::new().remark("mock:hang")).json()["errCode"] == 5100
    });
    serve.signal("TERM");
    assert_eq!(serve.exit_code(), Some(0));
}
