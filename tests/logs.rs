//! The log of a running bridge: what its lines hold, and what they never hold.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

mod kit;

use std::{
    io::{BufRead, BufReader, Lines, Read as _, Write as _},
    net::SocketAddr,
    process::{Child, ChildStderr, Command, Stdio},
    thread,
};

use kit::{
    Client, Reply, Request, app, app_at, app_to_stop,
    frames::{ENHANCE_YOUR_CALM, NO_ERROR, allow, grpc, plays},
    nowhere,
};
use openim_bridge::proto::{
    BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse, Refuse, ReplaceRemark,
    before_set_friend_remark_response::Decision,
    friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
};
use serde_json::Value;
use tonic::{Code, Status, transport::server::TcpIncoming};

/// A running `serve`, ended with the test.
struct Serve {
    process: Child,
    log: Lines<BufReader<ChildStderr>>,
    address: SocketAddr,
}

fn serve(upstream: SocketAddr, flags: &str) -> Serve {
    let mut command = Command::new(env!("CARGO_BIN_EXE_openim-bridge"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--timeout", "10s"]);
    command.args(["--upstream", &format!("http://{upstream}")]).args(flags.split_whitespace());
    let mut process = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program");
    let log = BufReader::new(process.stderr.take().expect("piped")).lines();
    let mut serve = Serve { process, log, address: upstream };
    let first = serve.line("listening").replace('"', "");
    let (_, address) = first.split_once("address").expect("the bound address");
    serve.address = address[1..].split([' ', ',']).next().and_then(|text| text.parse().ok()).expect("an address");
    serve
}

impl Serve {
    fn send(&self, request: &Request) -> Reply {
        let mut client = Client::connect(self.address);
        client.write(&request.bytes());
        client.reply()
    }

    /// The next line that holds this.
    fn line(&mut self, text: &str) -> String {
        let mut lines = self.log.by_ref().map(|line| line.expect("UTF-8"));
        lines.find(|line| line.contains(text)).expect("a line")
    }

    /// The next line that holds this, of a log in JSON.
    fn json(&mut self, text: &str) -> Value {
        serde_json::from_str(&self.line(text)).expect("JSON")
    }

    /// The lines that are left, once it has been told to stop.
    fn stop(&mut self) -> Vec<String> {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill").success());
        self.log.by_ref().map(|line| line.expect("UTF-8")).collect()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        let _gone = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// One of `owner` to the friend u2, under this operation ID.
fn callback(owner: &str, operation_id: &str, remark: &str) -> Request {
    Request::new().header("Operationid", operation_id).callback(kit::COMMAND, owner, "u2", remark)
}

#[test]
fn the_first_callback_is_announced_once_and_a_rejected_request_is_none() {
    let app = app();
    let mut serve = serve(app.address, "--log-format json");
    serve.send(&callback("u1", "op-0", "pal").method("GET"));
    serve.send(&callback("u1", "op-1", "pal")).goes_on_with("pal");
    serve.send(&callback("u1", "op-2", "pal")).goes_on_with("pal");
    let log = serve.stop();
    let first: Vec<Value> = log
        .iter()
        .filter(|line| line.contains("the first callback"))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(first.len(), 1, "{log:#?}");
    assert_eq!((&first[0]["level"], &first[0]["operation_id"]), (&"INFO".into(), &"op-1".into()));
    assert_eq!(first[0]["callback"], "beforeSetFriendRemark");
}

#[test]
fn a_line_tells_of_a_rejected_request_what_its_head_names() {
    let mut serve = serve(nowhere(), "--log-format json");
    let target = format!("{}?token=s3cret", kit::PATH);
    serve.send(&callback("u1", "op-1", "pal").target(&target).without("Content-Type")).refuses(415, 9905);
    let line = serve.json("rejected");
    assert_eq!((&line["level"], &line["callback"]), (&"WARN".into(), &"beforeSetFriendRemark".into()));
    assert_eq!((&line["operation_id"], &line["reason"]), (&"op-1".into(), &"content_type".into()));
    assert_eq!(line["hint"], "OpenIM sends `application/json; charset=utf-8`");
    assert_eq!(line["url"], format!("{}?token=...", kit::PATH));
}

#[test]
fn users_are_named_as_the_setting_says() {
    let app = app();
    let lines = |flags: &str| {
        let mut serve = serve(app.address, &format!("--log-format json --log-level debug {flags}"));
        ["u1", "u1", "u3"].map(|owner| {
            serve.send(&callback(owner, "op", "pal"));
            let line = serve.json(r#""message":"callback""#);
            [line["actor"].clone(), line["about"].clone()]
        })
    };
    assert_eq!(lines("--log-ids plain"), [["u1", "u2"], ["u1", "u2"], ["u3", "u2"]]);
    assert_eq!(lines("--log-ids omit"), [(); 3].map(|()| [Value::Null, Value::Null]));

    let [one, again, other] = lines("--log-ids hash");
    assert_eq!(one, again);
    assert_ne!(one[0], other[0]);
    assert_eq!(one[1], other[1]);
    assert_ne!(one, lines("--log-ids hash")[0], "another process has another key");

    let key = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&key, "0123456789abcdef\n").expect("the key");
    let flags = format!("--log-ids hash --log-ids-key-file {}", key.path().display());
    // printf %s u1 | openssl dgst -sha256 -hmac 0123456789abcdef
    assert_eq!(lines(&flags)[0][0], "5162bddb18bda008");
}

#[test]
fn whatever_users_send_stays_within_one_short_line() {
    let app = app();
    for format in ["text", "json"] {
        let mut serve = serve(app.address, &format!("--log-level debug --log-format {format}"));
        let huge = "o".repeat(20_000);
        let owner = format!("u\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[31m\u{0}\u{202e}{huge}");
        serve.send(&callback(&owner, &format!("\u{9b}31m\t{huge}"), "pal")).goes_on_with("pal");
        let line = serve.line("total_ms");
        assert!(!line.contains(|char: char| char.is_control()), "{line:?}");
        assert!(line.contains("forged") && line.len() < 2_000, "{} bytes: {line}", line.len());
        let log = serve.stop();
        assert!(!log.iter().any(|line| line.contains("forged")), "{log:?}");
    }
}

#[test]
fn a_flood_is_told_although_no_line_comes_after_it() {
    let mut serve = serve(nowhere(), "--log-format json");
    let mut client = Client::connect(serve.address);
    let request = Request::new().without("Operationid").body("").bytes();
    for _ in 0..100 {
        client.write(&request);
        client.reply().refuses(400, 9903);
    }
    let mut written = 0;
    let mut suppressed = 0;
    while written + suppressed < 100 {
        let line = serve.json("");
        written += u64::from(line["message"] == "callback");
        suppressed += line["lines_suppressed"].as_u64().unwrap_or_default();
        if line["message"] == "log lines were suppressed" {
            assert_eq!((&line["level"], &line["of"]), (&"WARN".into(), &"rejected".into()));
        }
    }
    assert_eq!(written + suppressed, 100);
    assert!(suppressed > 0, "a hundred within a few seconds are a flood");
}

/// Says the remark wherever a decision service can.
struct Echo;

#[tonic::async_trait]
impl FriendCallbackService for Echo {
    async fn before_set_friend_remark(
        &self,
        request: tonic::Request<BeforeSetFriendRemarkRequest>,
    ) -> Result<tonic::Response<BeforeSetFriendRemarkResponse>, Status> {
        let BeforeSetFriendRemarkRequest { owner_user_id, remark, .. } = request.into_inner();
        let refuse = |code| Decision::Refuse(Refuse { code, message: remark.clone(), detail: remark.clone() });
        let decision = match &*owner_user_id {
            "refuse" => refuse(5001),
            "invalid" => refuse(1),
            "replace" => Decision::ReplaceRemark(ReplaceRemark { remark }),
            "empty" => Decision::ReplaceRemark(ReplaceRemark::default()),
            "unset" => return Ok(tonic::Response::new(BeforeSetFriendRemarkResponse::default())),
            "broken" => {
                return Err(Status::unavailable(
                    "no row for \u{1b}[31mbroken\n in db-2:3306, My Best Frie… {}".replace("{}", &"x".repeat(999)),
                ));
            }
            code => return Err(Status::new(Code::from(code.parse::<i32>().expect("a code")), remark)),
        };
        Ok(tonic::Response::new(BeforeSetFriendRemarkResponse { decision: Some(decision) }))
    }
}

fn echo() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).expect("a listener"));
            let service = FriendCallbackServiceServer::new(Echo);
            tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await
        })
    });
    address
}

#[test]
fn no_line_of_any_level_holds_a_remark_or_a_credential() {
    let remark = "My Best Friend";
    let users = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(&users, "openim:s3cret\n").expect("the credentials");
    let flags = format!("--log-level trace --access-basic-auth-file {}", users.path().display());
    let mut serve = serve(echo(), &flags);
    // openim:s3cret and openim:Wr0ng
    let [right, wrong] = ["b3BlbmltOnMzY3JldA==", "b3BlbmltOldyMG5n"];
    let known = |owner: &str| callback(owner, owner, remark).header("Authorization", format!("Basic {right}"));

    let mut asked = 0;
    for owner in
        ["refuse", "invalid", "replace"].into_iter().map(String::from).chain((1..=16).map(|code| code.to_string()))
    {
        serve.send(&known(&owner));
        asked += 1;
    }
    serve.send(&known("refuse").body(format!("{{\"remark\": \"{remark}\"")));
    serve.send(&known("refuse").callback("callbackOther", "u1", "u2", remark));
    serve.send(&known("refuse").target(&format!("/{}?token=s3cret", kit::COMMAND)).method("PUT"));
    serve.send(&callback("u1", "u1", remark).header("Authorization", format!("Basic {wrong}"))).refuses(401, 9907);
    serve.send(&known("refuse").header("Content-Length", "9999999"));

    let log = serve.stop();
    let lines = log.iter().filter(|line| line.contains("total_ms")).count();
    assert!(lines >= 10 && lines < asked + 5, "{lines}: {log:#?}");
    for line in &log {
        for secret in [remark, "s3cret", "Wr0ng", right, wrong] {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
    }
}

#[test]
fn a_reply_that_is_no_decision_is_logged_with_why() {
    let mut serve = serve(echo(), "--log-format json");
    for (owner, why) in [
        (
            "invalid",
            "the service refuses with code 1, which is not one of 5000 to 9899: sent as 9925; its message: ***",
        ),
        ("empty", "the reply holds no valid decision: the change is empty: it sets no field"),
        ("unset", "the reply holds no valid decision: no decision is set, or one that this bridge does not know"),
    ] {
        serve.send(&callback(owner, owner, "pal"));
        let line = serve.json(r#""message":"callback""#);
        assert_eq!((&line["reason"], &line["error"]), (&"invalid_reply".into(), &why.into()));
    }
    let two = plays([grpc().message(b"\x0a\x00").message(b"\x0a\x00").trailers("0")]);
    let mut serve = self::serve(two.address, "--log-format json");
    serve.send(&callback("u1", "op", "pal"));
    let line = serve.json(r#""message":"callback""#);
    assert_eq!(
        (&line["reason"], &line["error"]),
        (&"invalid_reply".into(), &"the reply holds more than one message".into())
    );
}

#[test]
fn a_status_is_logged_by_its_name_and_its_message_without_what_users_wrote() {
    let mut serve = serve(echo(), "--log-format json");
    serve.send(&callback("broken", "op", "My Best Friend"));
    let line = serve.json(r#""message":"callback""#);
    let error = line["error"].as_str().expect("a text");
    let begins = r"the decision service answered UNAVAILABLE: no row for \u{1b}[31m***\n in db-2:3306, ***… xxx";
    assert!(error.starts_with(begins) && error.len() < 350, "{error}");
}

#[test]
fn a_goaway_is_one_line_with_its_code_and_text() {
    for (code, name, level) in [(ENHANCE_YOUR_CALM, "ENHANCE_YOUR_CALM", "WARN"), (NO_ERROR, "NO_ERROR", "INFO")] {
        let service = plays([allow().goes_away_saying(code, "too_many_\u{1b}[0m_resets"), allow(), allow()]);
        let mut serve = serve(service.address, "--log-format json");
        serve.send(&callback("u1", "op", "pal")).goes_on_with("pal");
        let line = serve.json("GOAWAY");
        assert_eq!(line["message"], "an endpoint ends a connection by GOAWAY");
        assert_eq!((&line["level"], &line["code"]), (&level.into(), &name.into()));
        assert_eq!(
            (&line["text"], &line["endpoint"]),
            (&r"too_many_\x1b[0m_resets".into(), &service.address.to_string().into())
        );
        serve.send(&callback("u1", "op", "pal")).goes_on_with("pal");
        let log = serve.stop();
        assert!(!log.iter().any(|line| line.contains("GOAWAY")), "{log:#?}");
    }
}

#[test]
fn an_endpoint_that_is_found_and_found_again_is_told() {
    let app = app_to_stop();
    let address = app.address;
    let mut serve = serve(address, "--log-format json");
    assert_eq!(serve.json("connected to the decision service")["endpoint"], address.to_string());
    app.stop();
    let gone = serve.json("cannot connect to an endpoint");
    assert_eq!((&gone["level"], &gone["endpoint"]), (&"WARN".into(), &address.to_string().into()));
    let _back = app_at(address);
    // Where that took so long that it was ejected, the other.
    let is_back = ["connected to an endpoint again", "an endpoint is healthy"];
    let found =
        serve.log.by_ref().map(|line| line.expect("UTF-8")).find(|line| is_back.iter().any(|it| line.contains(it)));
    assert!(found.is_some());
    serve.send(&callback("u1", "op", "pal")).goes_on_with("pal");
}

#[test]
fn a_service_that_starts_later_than_the_bridge_is_no_warning() {
    let address = nowhere();
    let mut serve = serve(address, "--log-format json");
    for message in ["cannot connect to an endpoint", "an endpoint is ejected", "an endpoint is still ejected"] {
        let line = serve.json(message);
        assert_eq!((&line["level"], &line["endpoint"]), (&"INFO".into(), &address.to_string().into()), "{line}");
    }
}

#[test]
fn a_service_that_does_not_speak_http2_is_a_warning_from_the_start_and_told_once() {
    for (speaks, told) in [
        (&b"\x15\x03\x03\x00\x02\x02\x0a"[..], "it speaks TLS: its address must begin with https://"),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "it speaks HTTP/1, and gRPC needs HTTP/2: is this the service's gRPC port?",
        ),
        (b"SSH-2.0-OpenSSH\r\n", "it does not speak HTTP/2, which gRPC needs: is this the service's gRPC port?"),
        (b"", "closes connections at once (if it expects TLS, its address must begin with https://)"),
    ] {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _preface = stream.read(&mut [0; 24]);
                let _gone = stream.write_all(speaks);
            }
        });
        let mut serve = serve(address, "--log-format json");
        let line = serve.json("cannot connect to an endpoint");
        assert_eq!(line["level"], "WARN");
        assert!(line["error"].as_str().expect("a text").contains(told), "{line}");
        serve.send(&callback("u1", "op", "pal")).goes_on_with("pal");
        let log = serve.stop();
        let about = |line: &&String| ["cannot connect", "connected to", "broke\""].iter().any(|it| line.contains(it));
        assert!(log.iter().filter(|line| !line.contains("total_ms")).filter(about).count() == 0, "{log:#?}");
    }
}

#[test]
fn a_client_that_speaks_http2_to_plain_http_is_told() {
    let mut serve = serve(nowhere(), "--log-format json");
    Client::connect(serve.address).write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let line = serve.json("a client speaks HTTP/2");
    assert_eq!((&line["level"], &line["peer"]), (&"WARN".into(), &"127.0.0.1".into()));
}

#[test]
fn a_client_that_speaks_https_to_plain_http_is_told() {
    let mut serve = serve(nowhere(), "--log-format json");
    // The head of a ClientHello.
    Client::connect(serve.address).write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    let line = serve.json("a TLS handshake failed");
    assert_eq!((&line["level"], &line["peer"]), (&"WARN".into(), &"127.0.0.1".into()));
    assert!(line["error"].as_str().expect("a text").contains("`url` must begin with http://"), "{line}");
}
