//! `probe`: the real program asks a bridge, as kubelet's exec probes and hooks do.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    fs,
    net::TcpListener,
    process::{Command, Output},
    time::Duration,
};

use kit::{bridge, eventually};

fn probe(environment: &[(&str, &str)], flags: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_openim-bridge"))
        .arg("probe")
        .args(flags)
        .env_clear()
        .envs(environment.iter().copied())
        .output()
        .expect("the program")
}

#[track_caller]
fn says(output: &Output, code: i32, out: &str, err: &str) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!((output.status.code(), stdout.trim_end()), (Some(code), out), "{stderr}");
    assert!(stderr.contains(err), "{stderr}");
}

#[test]
fn a_bridge_that_lives_and_is_ready_says_so_until_it_is_told_to_drain() {
    let bridge = bridge().admin().with(|settings| settings.ready.wait_for_upstream = Duration::ZERO).start();
    let address = bridge.server.admin_address().expect("an admin listener").to_string();
    let ask = |question: &str| probe(&[], &[question, "--admin-listen", &address]);
    says(&ask("--live"), 0, "live", "");
    eventually("the bridge is ready", || ask("--ready").status.success());
    says(
        &ask("--drain"),
        0,
        "draining: not ready, and every response closes its connection; SIGTERM stops the bridge",
        "",
    );
    says(&ask("--ready"), 1, "", "503 Service Unavailable: not ready: ");
    says(&ask("--live"), 0, "live", "");
}

#[test]
fn it_asks_where_the_configuration_has_the_admin_listener_whatever_else_is_wrong_in_it() {
    let bridge = bridge().admin().start();
    let port = bridge.server.admin_address().expect("an admin listener").port();
    let file = tempfile::NamedTempFile::new().expect("a file");
    // All addresses are listened on, and the loopback is asked.
    fs::write(file.path(), format!("admin:\n  listen: '[::]:{port}'\ndecision:\n  timeout: soon\nnonsense: 1\n"))
        .expect("written");
    let path = file.path().to_str().expect("UTF-8");
    says(&probe(&[("OPENIM_BRIDGE_CONFIG", path)], &["--live"]), 0, "live", "");
    says(&probe(&[], &["--live", "--config", path]), 0, "live", "");
    let variable = [("OPENIM_BRIDGE_CONFIG", "/nowhere"), ("OPENIM_BRIDGE_ADMIN_LISTEN", &format!("127.0.0.1:{port}"))];
    says(&probe(&variable, &["--live"]), 0, "live", "");
    says(&probe(&[], &["--live", "--config", "/nowhere"]), 2, "", "/nowhere");
    fs::write(file.path(), "admin: [\n").expect("written");
    says(&probe(&[], &["--live", "--config", path]), 2, "", path);
}

#[test]
fn nobody_there_and_somebody_silent_are_a_no_in_time() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("an address").to_string();
    let flags = ["--live", "--admin-listen", &address, "--timeout", "100ms"];
    says(&probe(&[], &flags), 1, "", "no answer from http://");
    drop(silent);
    says(&probe(&[], &flags), 1, "", "does the bridge run, with this admin.listen?");
}

#[test]
fn one_question_at_a_time_and_only_where_something_listens() {
    says(&probe(&[], &["--live", "--admin-listen", "off"]), 2, "", "there is no admin listener to ask");
    for flags in [&[][..], &["--live", "--ready"]] {
        assert_eq!(probe(&[], flags).status.code(), Some(2), "{flags:?}");
    }
}
