//! The program itself: what it does with the pipes and files that it is given.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

use std::{
    io::{BufRead, BufReader, Read as _, Write as _, pipe},
    net::TcpStream,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;

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

/// What git says of the checkout that the tests are in, if they are in one.
fn git(arguments: &[&str]) -> Option<String> {
    let folder = env!("CARGO_MANIFEST_DIR");
    if !std::path::Path::new(folder).join(".git").exists() {
        return None;
    }
    let output = Command::new("git").env("TZ", "UTC").args(["-C", folder]).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn its_version_names_the_commit_and_its_day() {
    let output = openim_bridge(&["--version"]).output().expect("the program");
    let version = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(version.starts_with(concat!("openim-bridge ", env!("CARGO_PKG_VERSION"))), "{version}");
    // Unless whoever builds said something else.
    let said = ["OPENIM_BRIDGE_COMMIT", "SOURCE_DATE_EPOCH"].iter().any(|name| std::env::var_os(name).is_some());
    if let (false, Some(commit)) = (said, git(&["rev-parse", "HEAD"])) {
        let day = git(&["log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d"]).expect("a day");
        assert!(version.ends_with(&format!(" ({commit} {day})\n")), "{version}");
    }
}

#[test]
fn each_shell_has_completions_and_bash_completes_with_them() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let written = openim_bridge(&["completions", shell]).output().expect("it runs");
        assert!(written.status.success(), "{shell}");
        let completions = String::from_utf8(written.stdout).expect("text");
        assert!(completions.contains("doctor") && completions.contains("fail-on-fallback"), "{shell}");
    }

    // As the shell calls it after `openim-bridge co` and the Tab key.
    let script = r#"source <("$0" completions bash)
        COMP_WORDS=(openim-bridge co) COMP_CWORD=1
        "$(complete -p openim-bridge | sed 's/.*-F //; s/ .*//')" openim-bridge co openim-bridge
        echo "${COMPREPLY[@]}""#;
    let bash =
        Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_openim-bridge")]).output().expect("bash runs");
    assert_eq!(
        String::from_utf8_lossy(&bash.stdout),
        "config completions\n",
        "{}",
        String::from_utf8_lossy(&bash.stderr)
    );
}

#[test]
fn h_is_a_summary_and_help_is_everything() {
    let said = |flag: &str| {
        let output = openim_bridge(&["serve", flag]).output().expect("the program");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let (short, long) = (said("-h"), said("--help"));
    assert!(short.lines().count() <= 60 && short.contains("--upstream") && short.contains("--help"), "{short}");
    for rare in ["--upstream-eject-probe-max", "--delivery-queue-bytes", "Exit codes"] {
        assert!(!short.contains(rare) && long.contains(rare), "{rare}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_told_with_what_to_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = listener.local_addr().expect("an address").to_string();
    for (arguments, told) in [
        (
            &["serve", "--admin-listen=off", "--listen", &taken][..],
            ": Address already in use (os error 98). Is another",
        ),
        (&["serve", "--listen=127.0.0.1:0", "--admin-listen", &taken], "choose another port with --admin-listen"),
        (&["serve", "--listen", "192.0.2.1:1"], "This machine does not have that address: choose one"),
        (&["mock", "--listen", &taken], "choose another port with --listen"),
        (&["mock", "--listen=127.0.0.1:0", "--control", &taken], "choose another port with --control"),
        (&["demo", "--once", "--listen", &taken], "choose another port with --listen"),
    ] {
        let output = openim_bridge(arguments).output().expect("the program");
        let error = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(error.contains("error: cannot listen on ") && error.contains(told), "{arguments:?}: {error}");
    }
}

#[test]
fn rules_that_are_wrong_are_wrong_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, "rules: [{then: alow}]").expect("the file");
    let output = openim_bridge(&["mock", "--listen", "127.0.0.1:0", "--rules"]).arg(&rules).output().expect("the mock");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn a_mock_behind_a_bridge_by_tls_records_what_it_was_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (ca, record) = (path("ca.pem"), path("record.jsonl"));
    let start = |arguments: &[&str]| {
        let mut child = openim_bridge(arguments).stderr(Stdio::piped()).spawn().expect("the program");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let address = address(&mut log);
        (Running(child), log, address)
    };
    let mock = "mock --listen 127.0.0.1:0 --control 127.0.0.1:0 --tls --tls-ca-out".split(' ');
    let mock: Vec<&str> = mock.chain([&*ca, "--record", &record]).collect();
    let (_mock, mut log, service) = start(&mock);
    let control = address(&mut log);

    let serve = "serve --listen 127.0.0.1:0 --admin-listen off --fallback refuse --upstream-tls-ca".split(' ');
    let upstream = format!("https://{service}");
    let serve: Vec<&str> = serve.chain([&*ca, "--upstream", &upstream]).collect();
    let (_serve, _log, bridge) = start(&serve);
    let url = format!("http://{bridge}/x");
    let sent = openim_bridge(&["send", "--url", &url, "--remark", "mock:replace=x"]).output().expect("the program");
    assert_eq!(sent.status.code(), Some(0), "{sent:?}");

    let lines = std::fs::read_to_string(&record).expect("the record");
    let call: Value = serde_json::from_str(&lines).expect("one line");
    assert_eq!(call["callback"], "beforeSetFriendRemark");
    assert_eq!(call["answer"], serde_json::json!({ "change": { "remark": "x" } }));
    let mode = std::fs::metadata(&record).expect("the record").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "what users write is in it");
    let mut stream = TcpStream::connect(control).expect("the control port");
    stream.write_all(b"GET /calls HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n\r\n").expect("is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (_, kept) = answer.split_once("\r\n\r\n").expect("a body");
    let kept: Value = serde_json::from_str(kept).expect("JSON");
    assert_eq!(kept["calls"], serde_json::json!([call]));
}

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _gone = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// The address that the first log line names.
fn address(log: &mut impl BufRead) -> String {
    let mut first = String::new();
    log.read_line(&mut first).expect("a first line");
    let (_, address) = first.trim().split_once("address=").expect("the bound address");
    address.split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn callbacks_are_answered_when_no_log_line_can_be_written_any_more() {
    let (reader, writer) = pipe().expect("a pipe");
    let arguments = "serve --listen 127.0.0.1:0 --admin-listen off --upstream http://127.0.0.1:1 --fallback refuse";
    let mut command = openim_bridge(&arguments.split(' ').collect::<Vec<_>>());
    let _serve = Running(command.stderr(writer).spawn().expect("the program"));
    // Its copy of the pipe goes with it.
    drop(command);
    let mut log = BufReader::new(reader);
    let address = address(&mut log);
    drop(log);

    // Each of these falls back, which is logged.
    for _ in 0..3 {
        let url = format!("http://{address}/");
        let sent = openim_bridge(&["send", "--url", &url, "--remark", "x"]).output().expect("send");
        assert_eq!(sent.status.code(), Some(3), "{sent:?}");
    }
}

#[test]
fn callbacks_do_not_wait_for_a_reader_of_the_log_that_has_stopped_reading() {
    let arguments = "serve --listen 127.0.0.1:0 --admin-listen off --callbacks-unknown-route allow --log-level debug";
    let mut command = openim_bridge(&arguments.split(' ').collect::<Vec<_>>());
    let mut serve = Running(command.stderr(Stdio::piped()).spawn().expect("the program"));
    let mut unread = BufReader::new(serve.0.stderr.take().expect("piped"));
    let mut bridge = TcpStream::connect(address(&mut unread)).expect("a connection");
    bridge.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");

    // Each is logged in some 400 bytes: together, twice what a pipe holds.
    let body = r#"{"callbackCommand":"callbackBeforeAddFriendCommand"}"#;
    let request = format!(
        "POST /callbackBeforeAddFriendCommand HTTP/1.1\r\nHost: bridge\r\noperationID: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        "o".repeat(256),
        body.len()
    );
    for number in 1..=400 {
        bridge.write_all(request.as_bytes()).expect("sent");
        let mut answer = vec![];
        while !answer.ends_with(b"}") {
            let mut some = [0; 1024];
            let read = bridge.read(&mut some).unwrap_or_else(|error| panic!("no answer to number {number}: {error}"));
            assert_ne!(read, 0, "number {number} is not answered");
            answer.extend_from_slice(&some[..read]);
        }
    }
}

#[test]
fn every_log_line_is_json_of_the_bridge_s_own_and_holds_no_remark() {
    let arguments = "serve --listen 127.0.0.1:0 --admin-listen off --upstream http://127.0.0.1:1 --timeout 4s --log-format json --log-level trace";
    let mut command = openim_bridge(&arguments.split(' ').collect::<Vec<_>>());
    let mut serve = Running(command.stderr(Stdio::piped()).spawn().expect("the program"));
    let log = BufReader::new(serve.0.stderr.take().expect("piped"));
    let mut lines = log.lines().map(|line| {
        let line = line.expect("a line");
        assert!(!line.contains("My Best Friend"), "{line}");
        serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    });

    let first = lines.next().expect("a first line");
    assert_eq!(first["message"], "listening");
    let mut bridge = TcpStream::connect(first["address"].as_str().expect("the bound address")).expect("a connection");
    let body = r#"{"callbackCommand":"callbackBeforeSetFriendRemarkCommand","ownerUserID":"u1","friendUserID":"u2","remark":"My Best Friend"}"#;
    let request = format!(
        "POST /callbackBeforeSetFriendRemarkCommand HTTP/1.1\r\nHost: bridge\r\nConnection: close\r\noperationID: o1\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    bridge.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    bridge.read_to_string(&mut answer).expect("an answer");
    assert!(answer.ends_with(r#""remark":"My Best Friend"}"#), "{answer}");

    let mut before = vec![];
    let callback = lines.find(|line| {
        before.push(line["message"].as_str().unwrap_or_default().to_owned());
        line["message"] == "callback"
    });
    let error = callback.expect("the callback's line")["error"].to_string();
    assert!(error.contains("cannot connect to") && error.contains("refused"), "with its cause: {error}");
    let ours = |message: &String| {
        [
            "fallback is ",
            "cannot connect to an endpoint",
            "an endpoint is ejected",
            "received the first callback",
            "callback",
        ]
        .iter()
        .any(|ours| message.starts_with(ours))
    };
    assert!(before.iter().all(ours), "{before:?}");
}

#[test]
fn systemd_is_told_when_it_serves_and_when_it_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&path).expect("a socket");
    systemd.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    let told = || {
        let mut text = [0; 256];
        let length = systemd.recv(&mut text).expect("a message");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let arguments = "serve --listen 127.0.0.1:0 --admin-listen off";
    let mut command = openim_bridge(&arguments.split(' ').collect::<Vec<_>>());
    let mut serve = Running(command.env("NOTIFY_SOCKET", &path).stderr(Stdio::null()).spawn().expect("the program"));
    assert_eq!(told(), "READY=1\n");
    let killed = Command::new("kill").args(["-INT", &serve.0.id().to_string()]).status().expect("kill");
    assert!(killed.success());
    assert_eq!(told(), "STOPPING=1\n");
    assert_eq!(serve.0.wait().expect("an exit").code(), Some(0));
}

#[test]
fn a_file_steers_no_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let write = |name: &str, text: &str| std::fs::write(path(name), text).map(|()| path(name)).expect("the file");
    // As YAML writes it, in a key; and in a file's name.
    let keys = write("bridge.yaml", "\"\\e[2Jadmin\": 1\n");
    let named = write("\u{1b}[2Jbridge.yaml", "{");
    let rules = write("rules.yaml", "rules:\n  - \"\\e[2J\": 1\n");
    let webhooks = write(
        "webhooks.yml",
        "url: http://127.0.0.1:10006\n\"\\e[2J\": {enable: true}\nbeforeSetFriendRemark: {enable: \"\\e[2J\", timeout: 5}\n",
    );
    for arguments in [
        &["config", "check", "--config", &keys][..],
        &["config", "check", "--output", "json", "--config", &keys],
        &["serve", "--config", &keys],
        &["config", "check", "--config", &named],
        &["serve", "--config", &named],
        &["mock", "--listen", "127.0.0.1:0", "--rules", &rules],
        &["check", "--upstream", "http://127.0.0.1:1", "--expect", &rules],
        &["doctor", "--webhooks", &webhooks],
        &["doctor", "--fix", "--webhooks", &webhooks],
    ] {
        let output = openim_bridge(arguments).output().expect("the program");
        let shown = [output.stderr, if arguments.contains(&"--fix") { Vec::new() } else { output.stdout }].concat();
        assert_ne!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!shown.is_empty() && !shown.contains(&0x1b), "{arguments:?}: {}", String::from_utf8_lossy(&shown));
    }
}

#[test]
fn a_configuration_that_never_comes_is_not_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let output = openim_bridge(&["config", "check", "--config"]).arg(&fifo).output().expect("the program");
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.ends_with("cannot be read: it is no regular file, and did not end within 10s\n"), "{said}");
}
