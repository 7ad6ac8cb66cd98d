//! The program itself: what it does with the pipes and files that it is given.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

use std::{
    io::pipe,
    process::{Command, Stdio},
};

fn openim_bridge(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openim-bridge"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The exit code and standard error, when nobody reads standard output any more.
fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let output = openim_bridge(arguments).stdout(writer).output().expect("the program");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn a_reader_that_has_seen_enough_changes_no_exit_code() {
    for arguments in [&["config", "show"][..], &["config", "schema"], &["demo", "--once"]] {
        assert_eq!(unread(arguments), (Some(0), String::new()), "{arguments:?}");
    }
    // Nobody listens on port 1.
    assert_eq!(unread(&["send", "--url", "http://127.0.0.1:1", "--remark", "x"]), (Some(4), String::new()));
    assert_eq!(unread(&["config", "check", "--workers", "0", "--output", "json"]).0, Some(2));
}

#[test]
fn rules_that_are_wrong_are_wrong_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, "rules: [{then: alow}]").expect("the file");
    let output = openim_bridge(&["mock", "--listen", "127.0.0.1:0", "--rules"]).arg(&rules).output().expect("the mock");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
