//! `send`, towards a real socket that answers from a script.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use openim_bridge::callback::{AnswerFailure, CALLBACKS, Callback, Field, FieldKind};
use openim_bridge::cli::send::{CannotSend, Ending, Exchange, NoAnswer, SendArgs, SendReport, exchange, run, send};
use openim_bridge::openim::client::{CallbackRequest, OpenIm, OpenImError, UrlForm, go_body};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

const ALLOW: &str = r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0,"remark":"other"}"#;
const REFUSE: &str = r#"{"actionCode":0,"errCode":5001,"errMsg":"no","errDlt":"why","nextCode":1}"#;

/// What is done with one connection, once its request was read.
#[derive(Clone)]
enum Reply {
    /// Written, then closed.
    Bytes(Vec<u8>),
    /// Written, then nothing until the client closes.
    Stall(&'static str),
}

fn ok(body: &str) -> Reply {
    response("200 OK", "", body.as_bytes())
}

fn redirect(status: &str, location: &str) -> Reply {
    response(status, &format!("Location: {location}\r\n"), b"moved")
}

fn response(status: &str, headers: &str, body: &[u8]) -> Reply {
    let head = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    Reply::Bytes([head.as_bytes(), body].concat())
}

/// A server that gives one reply to each connection, and the requests that it was sent.
struct Server {
    address: String,
    requests: JoinHandle<Vec<String>>,
}

impl Server {
    async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let replies: Vec<Reply> = replies.into_iter().collect();
        let requests = tokio::spawn(async move {
            let mut requests = vec![];
            for reply in replies {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                requests.push(read_request(&mut stream).await);
                // The client may leave at any time.
                let _ = match reply {
                    Reply::Bytes(bytes) => stream.write_all(&bytes).await,
                    Reply::Stall(bytes) => {
                        stream.write_all(bytes.as_bytes()).await.and(stream.read(&mut [0]).await.map(drop))
                    }
                };
            }
            requests
        });
        Self { address, requests }
    }

    fn url(&self) -> String {
        format!("http://{}/callbackExample", self.address)
    }

    async fn requests(self) -> Vec<String> {
        self.requests.await.expect("the server's end")
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut read = vec![];
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
                return text.into_owned();
            }
        }
        assert_ne!(stream.read_buf(&mut read).await.expect("readable"), 0, "the request broke off: {read:?}");
    }
}

fn request(owner: &str, friend: &str, remark: &str, operation_id: &str) -> CallbackRequest {
    let command = "callbackBeforeSetFriendRemarkCommand";
    let [owner, friend, remark] = [owner, friend, remark].map(Value::from);
    let body =
        format!(r#"{{"callbackCommand":"{command}","ownerUserID":{owner},"friendUserID":{friend},"remark":{remark}}}"#);
    CallbackRequest {
        command,
        body: go_body(&body),
        operation_id: http::HeaderValue::from_bytes(operation_id.as_bytes()).expect("a header's value"),
        form: UrlForm::Path,
    }
}

async fn ask(url: &str) -> Result<Exchange, CannotSend> {
    exchange(&request("u1", "u2", "x", "op"), url, Duration::from_secs(15)).await
}

/// The exchange with a server that gives one reply.
async fn told(reply: Reply) -> Exchange {
    ask(&Server::start([reply]).await.url()).await.expect("an exchange")
}

/// The first value that OpenIM takes, if it goes on.
fn taken(exchange: &Exchange) -> Option<Value> {
    exchange.effects()?.taken.first()?.told.clone()
}

fn why(exchange: &Exchange) -> &NoAnswer {
    exchange.answer.as_ref().expect_err("no answer")
}

fn args(url: &str, more: &[&str]) -> SendArgs {
    flags(&[&["--url", url, "--remark", "x", "--operation-id", "op-1"], more].concat())
}

fn flags(flags: &[&str]) -> SendArgs {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SendArgs,
    }
    Cli::try_parse_from(["send"].iter().chain(flags)).expect("arguments").args
}

/// What came of this callback, to which this is answered. The answer's members come after those of an allow.
async fn sent(callback: &str, sets: &[&str], answer: &str) -> SendReport {
    let server =
        Server::start([ok(&format!(r#"{{"actionCode":0,"errCode":0,"errMsg":"","errDlt":"","nextCode":0{answer}}}"#))])
            .await;
    let url = server.url();
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let arguments: Vec<&str> = ["--url", &url, callback].into_iter().chain(sets).collect();
    send(&flags(&arguments)).await.expect("a report")
}

async fn report(url: &str) -> SendReport {
    send(&args(url, &[])).await.expect("a report")
}

/// A head and a body, the head's lines in an order that does not depend on the client.
fn layout(request: &str) -> (Vec<&str>, &str) {
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let mut lines: Vec<_> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    (lines, body)
}

#[tokio::test]
async fn sends_what_openim_sends() {
    let captures = [
        (include_str!("fixtures/captures/allow.http"), request("u1", "u2", "asked-0", "drive-13c10484dea6")),
        (include_str!("fixtures/captures/empty-remark.http"), request("u1", "u2", "", "drive-6192f372fa3e")),
        (include_str!("fixtures/captures/opid-odd.http"), request("u1", "u2", "asked-69", "op id/?&=%20\"<>;:,é")),
        (
            include_str!("fixtures/captures/special-chars.http"),
            request("u1", "u2", "<b>&\"'\\/ é 中 😀 \u{2028} \t\n \0 \u{7f}", "drive-62528947cc0a"),
        ),
        (
            include_str!("fixtures/captures/ids-odd.http"),
            request("u1", "../u2?x=1&y#<é中>", "asked-71", "drive-fc83bce00459"),
        ),
    ];
    for (captured, request) in captures {
        let server = Server::start([ok("{}")]).await;
        let url = server.url();
        let expected = captured.replace("127.0.0.1:10006", &server.address);
        exchange(&request, &url, Duration::from_secs(15)).await.expect("an exchange");
        let sent = server.requests().await.remove(0);
        let (mut head, body) = layout(&sent);
        let accept = head.iter().position(|line| *line == "Accept: */*").expect("the client's own header");
        head.remove(accept);
        assert_eq!((head, body), layout(&expected));
    }
}

#[tokio::test]
async fn joins_the_url_as_openim_does() {
    let captures = [
        ("", include_str!("fixtures/captures/url-root.http")),
        ("/callbackExample/", include_str!("fixtures/captures/url-trailing-slash.http")),
    ];
    for (path, captured) in captures {
        let server = Server::start([ok("{}")]).await;
        ask(&format!("http://{}{path}", server.address)).await.expect("an exchange");
        assert_eq!(server.requests().await[0].lines().next(), captured.lines().next());
    }
}

#[tokio::test]
async fn the_query_form_is_the_documented_one() {
    let server = Server::start([ok("{}")]).await;
    send(&args(&server.url(), &["--form", "query"])).await.expect("a report");
    let sent = server.requests().await.remove(0);
    let target = "/callbackExample?command=callbackBeforeSetFriendRemarkCommand&contenttype=json";
    assert_eq!(sent.lines().next(), Some(&*format!("POST {target} HTTP/1.1")));
}

#[tokio::test]
async fn credentials_in_the_url_become_basic_and_are_not_shown() {
    let server = Server::start([ok("{}")]).await;
    let report = report(&server.url().replace("http://", "http://openim:s3cret@")).await;
    let captured = include_str!("fixtures/captures/url-userinfo.http");
    let basic = captured.lines().find(|line| line.starts_with("Authorization")).expect("captured");
    assert!(server.requests().await[0].lines().any(|line| line == basic));
    assert!(!format!("{report}{}", report.json()).contains("s3cret"));
    assert!(report.url.starts_with("http://openim:***@127.0.0.1:"), "{}", report.url);
}

#[tokio::test]
async fn a_password_is_not_shown_when_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let report = report(&format!("http://openim:s3cret@{address}/cb")).await;
    assert!(matches!(why(&report.exchange), NoAnswer::Connection(_)));
    assert_eq!(report.exchange.ending(), Ending::Fails);
    let shown = format!("{report}{}", report.json());
    assert!(shown.contains("90004 NetworkError"), "{shown}");
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn exits_by_what_openim_does() {
    let code = async |body: &str| {
        let server = Server::start([ok(body)]).await;
        format!("{:?}", run(args(&server.url(), &[])).await.expect("printed"))
    };
    let exit = |code: u8| format!("{:?}", ExitCode::from(code));
    assert_eq!(code(ALLOW).await, exit(0));
    assert_eq!(code(REFUSE).await, exit(3));
    assert_eq!(code(r#"{"nextCode":"0"}"#).await, exit(4));
    for url in ["ftp://127.0.0.1/cb", "127.0.0.1:10006/cb", ""] {
        assert_eq!(format!("{:?}", run(args(url, &[])).await.expect("printed")), exit(2), "{url}");
    }
    let control = SendArgs { operation_id: Some("a\nb".to_owned()), ..args("http://127.0.0.1:1/", &[]) };
    assert!(matches!(send(&control).await, Err(CannotSend::OperationId)));
}

#[tokio::test]
async fn the_status_is_not_looked_at() {
    let exchange = told(response("500 Internal Server Error", "", REFUSE.as_bytes())).await;
    assert!(matches!(exchange.open_im(), OpenIm::Refused { code: 5001, message: "no", detail: "why" }));
}

#[tokio::test]
async fn an_undecodable_answer_is_a_data_error() {
    let exchange = told(response("204 No Content", "", b"")).await;
    assert!(matches!(exchange.open_im(), OpenIm::Fails { error: OpenImError::Data, .. }));
}

#[tokio::test]
async fn a_302_becomes_a_get() {
    let server = Server::start([redirect("302 Found", "/moved"), ok(ALLOW)]).await;
    let exchange = ask(&server.url()).await.expect("an exchange");
    assert_eq!(taken(&exchange), Some(json!("other")));
    let second = server.requests().await.remove(1);
    assert!(second.starts_with("GET /moved HTTP/1.1\r\n"), "{second}");
    assert!(second.ends_with("\r\n\r\n"), "{second}");
}

#[tokio::test]
async fn a_307_keeps_method_and_body() {
    let server = Server::start([redirect("307 Temporary Redirect", "/moved"), ok(REFUSE)]).await;
    assert_eq!(ask(&server.url()).await.expect("an exchange").ending(), Ending::Refused);
    let requests = server.requests().await;
    assert!(requests[1].starts_with("POST /moved HTTP/1.1\r\n"), "{}", requests[1]);
    assert_eq!(layout(&requests[1]).1, layout(&requests[0]).1);
}

#[tokio::test]
async fn ten_requests_are_the_most() {
    let server = Server::start(vec![redirect("307 Temporary Redirect", "/again"); 10]).await;
    let exchange = ask(&server.url()).await.expect("an exchange");
    assert!(matches!(why(&exchange), NoAnswer::Redirects), "{exchange:?}");
    assert_eq!(server.requests().await.len(), 10);

    let nine = vec![redirect("307 Temporary Redirect", "/again"); 9];
    let server = Server::start(nine.into_iter().chain([ok("{}")])).await;
    assert_eq!(ask(&server.url()).await.expect("an exchange").ending(), Ending::GoesOn);
}

#[tokio::test]
async fn a_gzip_body_is_unpacked() {
    // {"actionCode":0,"nextCode":0,"remark":"zipped"}
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xabVJL.\xc9\xcc\xcfs\xceOIU\xb22\xd0Q\xcaK\xad(\x81s\x8aRs\x13\x8b\xb2\x95\xac\x94\xaa2\x0b\x0aRS\x94j\x01e\x8c\xf5\x19/\x00\x00\x00";
    let exchange = told(response("200 OK", "Content-Encoding: gzip\r\n", packed)).await;
    assert_eq!(taken(&exchange), Some(json!("zipped")), "{exchange:?}");

    let exchange = told(response("200 OK", "Content-Encoding: gzip\r\n", &packed[..30])).await;
    assert!(matches!(why(&exchange), NoAnswer::Gzip { .. }), "{exchange:?}");
}

#[tokio::test]
async fn a_packed_body_is_bounded_once_unpacked() {
    let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(b' '), (64 << 20) + 1), &mut encoder).expect("packed");
    let packed = encoder.finish().expect("packed");
    let exchange = told(response("200 OK", "Content-Encoding: GZIP\r\n", &packed)).await;
    assert!(matches!(why(&exchange), NoAnswer::TooLarge { .. }), "{exchange:?}");
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_said_to() {
    let server = Server::start([redirect("302 Found", "ftp://files/x")]).await;
    let exchange = ask(&server.url()).await.expect("an exchange");
    assert!(matches!(why(&exchange), NoAnswer::Location { location } if location == "ftp://files/x"), "{exchange:?}");

    let server = Server::start([redirect("302 Found", "")]).await;
    let exchange = ask(&server.url()).await.expect("an exchange");
    assert_eq!(exchange.answer.expect("the redirect is the answer").body, b"moved");
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_network_error() {
    let exchange = told(Reply::Bytes(vec![])).await;
    assert!(matches!(why(&exchange), NoAnswer::Connection(_)), "{exchange:?}");
    let exchange = told(Reply::Bytes(b"not HTTP\r\n\r\n".to_vec())).await;
    assert!(matches!(why(&exchange), NoAnswer::Connection(_)), "{exchange:?}");
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}".to_vec();
    let exchange = told(Reply::Bytes(cut)).await;
    assert!(matches!(why(&exchange), NoAnswer::Body { .. }), "{exchange:?}");
    assert!(matches!(exchange.open_im(), OpenIm::Fails { error: OpenImError::Network, .. }));
}

#[tokio::test]
async fn the_timeout_covers_head_and_body() {
    for stalled in ["", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}"] {
        let server = Server::start([Reply::Stall(stalled)]).await;
        let timeout = Duration::from_millis(150);
        let exchange = exchange(&request("u1", "u2", "x", "op"), &server.url(), timeout).await.expect("an exchange");
        assert!(matches!(why(&exchange), NoAnswer::Timeout(t) if *t == timeout), "{exchange:?}");
        assert_eq!(exchange.ending(), Ending::Fails);
    }
}

#[tokio::test]
async fn a_huge_answer_is_given_up() {
    let server = Server::start([response("200 OK", "", &vec![b' '; (64 << 20) + 1])]).await;
    let exchange = ask(&server.url()).await.expect("an exchange");
    assert!(matches!(why(&exchange), NoAnswer::TooLarge { .. }));
}

#[test]
fn timeouts_are_what_openim_can_have() {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SendArgs,
    }
    let parse = |timeout: &str| Cli::try_parse_from(["send", "--remark=", "--timeout", timeout]).map(|cli| cli.args);
    assert_eq!(parse("15s").expect("15s").timeout, Duration::from_secs(15));
    for timeout in ["0s", "15001ms", "5", "-1s", "soon"] {
        assert!(parse(timeout).is_err(), "{timeout}");
    }
}

#[tokio::test]
async fn a_fallback_is_told_and_fails_where_asked_to() {
    let by = |origin: &str, body: &str| response("200 OK", &format!("openim-bridge: {origin}\r\n"), body.as_bytes());
    let fallback = "the fallback, since the decision service gave no valid reply (class=timeout)";
    let rejected = by("rejected; code=9903\r\nopenim-bridge-hint: do better", REFUSE);
    for (reply, decider, code) in [
        (by("decision", ALLOW), "the decision service", 0),
        (by("decision", REFUSE), "the decision service", 3),
        (by("fallback; class=timeout", ALLOW), fallback, 5),
        (by("fallback; class=timeout", REFUSE), fallback, 5),
        (rejected, "the bridge, which rejected the request (code=9903)\nhint: do better", 3),
        (by("route", ALLOW), "the bridge's configuration; no service was called", 0),
        (by("new \u{9b}2J", ALLOW), "new \\u{9b}2J", 0),
        (ok(ALLOW), "unknown, since the answer has no header openim-bridge", 5),
        (by("decision", "[]"), "the decision service", 4),
    ] {
        let server = Server::start([reply.clone(), reply.clone(), reply]).await;
        let told = report(&server.url()).await.to_string();
        assert!(told.contains(&format!("\ndecided by: {decider}\n")), "{told}");
        let exit = run(args(&server.url(), &["--fail-on-fallback"])).await.expect("printed");
        assert_eq!(exit, ExitCode::from(code), "{told}");
        let many = if code == 5 { 5 } else { u8::from(code == 4) };
        let exit = run(args(&server.url(), &["--fail-on-fallback", "--count", "1"])).await.expect("printed");
        assert_eq!(exit, ExitCode::from(many), "{told}");
    }
}

#[tokio::test]
async fn tells_people_in_words() {
    let body = "{\"actionCode\":1,\"errCode\":5001,\"nextCode\":1,\"remark\":\"\u{9b}31m\\u001b[0m\"}\n";
    let server = Server::start([response("404 Not Found", "", body.as_bytes())]).await;
    let report = report(&server.url()).await.to_string().replace(&server.address, "127.0.0.1:10006");
    let after = report.find("after ").expect("a time");
    let time = &report[after..after + report[after..].find(" ms").expect("a time")];
    insta::assert_snapshot!(report.replace(time, "after N"), @r#"
    POST http://127.0.0.1:10006/callbackExample/callbackBeforeSetFriendRemarkCommand
    operationID: op-1
    sent: {"callbackCommand":"callbackBeforeSetFriendRemarkCommand","ownerUserID":"u1","friendUserID":"u2","remark":"x"}
    answer: 404 Not Found, after N ms
    (OpenIM ignores the status and reads only the body)
    body: {"actionCode":1,"errCode":5001,"nextCode":1,"remark":"\u{9b}31m\u001b[0m"}\n

    OpenIM goes on, with remark "\u{9b}31m\u001b[0m" instead of "x".
    decided by: unknown, since the answer has no header openim-bridge
    caution: actionCode 1 makes OpenIM go on from v3.7 on, while v3.5 and v3.6 refuse: send actionCode 0 always, and nextCode 1 to refuse
    caution: errCode 5001 has no effect here: OpenIM refuses only if actionCode is 0 and nextCode is 1
    "#);
}

#[tokio::test]
async fn tells_programs_in_json() {
    let json = async |body: &str| {
        let server = Server::start([ok(body)]).await;
        let mut json = report(&server.url()).await.json();
        assert!(json["elapsedMs"].is_u64());
        json["elapsedMs"] = 0.into();
        json["url"] = json["url"].as_str().expect("a URL").replace(&server.address, "127.0.0.1:10006").into();
        serde_json::to_string_pretty(&json).expect("JSON")
    };
    insta::assert_snapshot!(json(ALLOW).await, @r#"
    {
      "callback": "beforeSetFriendRemark",
      "url": "http://127.0.0.1:10006/callbackExample/callbackBeforeSetFriendRemarkCommand",
      "operationID": "op-1",
      "status": 200,
      "elapsedMs": 0,
      "body": "{\"actionCode\":0,\"errCode\":0,\"errMsg\":\"Success\",\"errDlt\":\"\",\"nextCode\":0,\"remark\":\"other\"}",
      "verdict": {
        "kind": "goesOn",
        "remark": "other"
      },
      "changes": [
        "remark"
      ],
      "origin": null,
      "hint": null,
      "fields": {
        "actionCode": 0,
        "errCode": 0,
        "errMsg": "Success",
        "errDlt": "",
        "nextCode": 0,
        "remark": "other"
      },
      "cautions": []
    }
    "#);
    insta::assert_snapshot!(json(r#"{"nextCode":1}"#).await, @r#"
    {
      "callback": "beforeSetFriendRemark",
      "url": "http://127.0.0.1:10006/callbackExample/callbackBeforeSetFriendRemarkCommand",
      "operationID": "op-1",
      "status": 200,
      "elapsedMs": 0,
      "body": "{\"nextCode\":1}",
      "verdict": {
        "kind": "refused",
        "errCode": 0,
        "errMsg": "",
        "errDlt": ""
      },
      "changes": null,
      "origin": null,
      "hint": null,
      "fields": {
        "actionCode": 0,
        "errCode": 0,
        "errMsg": "",
        "errDlt": "",
        "nextCode": 1,
        "remark": ""
      },
      "cautions": [
        {
          "kind": "err_code_zero",
          "text": "a refusal with errCode 0 looks like success to the API's caller while nothing is stored (v3.8.3 makes it 500): use 5000 to 9899"
        },
        {
          "kind": "err_msg_empty",
          "text": "errMsg is empty, and OpenIM passes it on as such: say why it is refused"
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(r#"{"nextCode":"0"}"#).await, @r#"
    {
      "callback": "beforeSetFriendRemark",
      "url": "http://127.0.0.1:10006/callbackExample/callbackBeforeSetFriendRemarkCommand",
      "operationID": "op-1",
      "status": 200,
      "elapsedMs": 0,
      "body": "{\"nextCode\":\"0\"}",
      "verdict": {
        "kind": "fails",
        "errCode": 90007,
        "errMsg": "DataError",
        "cause": "wrong_type",
        "why": "nextCode is a string; it must be an integer from -2147483648 to 2147483647"
      },
      "changes": null,
      "origin": null,
      "hint": null,
      "fields": null,
      "cautions": [
        {
          "kind": "next_code_string",
          "text": "nextCode is a string, as OpenIM's documented page shows it, but OpenIM Server decodes only an integer: write 0 or 1 without quotes"
        }
      ]
    }
    "#);
}

/// A JSON value of this kind, and one that is not.
fn values(field: &Field) -> (Value, Value) {
    let list = |item: Value| (json!([item]), json!("x"));
    match &field.kind {
        FieldKind::Text if field.repeated => list(json!("x")),
        FieldKind::Text => (json!("{\"new\":1}"), json!(5)),
        FieldKind::Bool => (json!(true), json!(1)),
        FieldKind::Int32 | FieldKind::Int64 | FieldKind::Uint32 => (json!(3), json!("3")),
        FieldKind::Texts => list(json!("x")),
        FieldKind::Message(shape) => {
            let object = shape.fields.iter().map(|field| (field.key.to_owned(), values(field).0)).collect::<Value>();
            if field.repeated { list(object) } else { (object, json!([])) }
        }
    }
}

#[tokio::test]
async fn every_callback_is_sent_as_a_real_server_sent_it() {
    for callback in CALLBACKS {
        let path = format!("tests/fixtures/callbacks/{}.http", callback.name);
        let captured = std::fs::read_to_string(&path).expect(&path);
        for name in callback.aliases.iter().chain([&callback.name, &callback.command]) {
            let server = Server::start([ok("{}")]).await;
            let id =
                captured.split_once("Operationid: ").and_then(|(_, rest)| rest.split_once("\r\n")).expect("an ID").0;
            let report = send(&flags(&["--url", &server.url(), name, "--operation-id", id])).await.expect(name);
            assert_eq!(report.json()["callback"], callback.name);
            let sent = server.requests().await.remove(0);
            let command = if *name == callback.name { callback.command } else { name };
            let mut expected = captured.replace(callback.command, command);
            if let Some(in_body) = sample(callback)["operationID"].as_str().filter(|id| !id.is_empty()) {
                expected = expected.replace(in_body, id);
            }
            let target = |request: &str| request.split([' ', '?']).nth(1).expect("a target").to_owned();
            assert_eq!((target(&sent), layout(&sent).1), (target(&expected), layout(&expected).1), "{name}");
        }
    }
}

#[tokio::test]
async fn a_field_is_set_by_its_kind_and_the_rest_stays() {
    for callback in CALLBACKS {
        let fields = callback.rpc.request.fields;
        let is_text = |field: &Field| matches!(field.kind, FieldKind::Text) && !field.repeated;
        // Every second one.
        let set: Vec<_> = fields.iter().step_by(2).map(|field| (field, values(field).0)).collect();
        let flag = |(field, value): &(&Field, Value)| match value.as_str().filter(|_| is_text(field)) {
            Some(text) => format!("--set={}={text}", field.key),
            None => format!("--set={}={value}", field.key),
        };
        let set_flags: Vec<String> = set.iter().map(flag).collect();
        let server = Server::start([ok("{}")]).await;
        let url = server.url();
        let arguments: Vec<&str> =
            [callback.name, "--url", &url].into_iter().chain(set_flags.iter().map(String::as_str)).collect();
        send(&flags(&arguments)).await.expect(callback.name);
        let sent = server.requests().await.remove(0);
        let mut body: Value = serde_json::from_str(layout(&sent).1).expect("JSON");
        let mut expected = sample(callback);
        for (field, value) in set {
            expected[field.key] = value;
        }
        for body in [&mut body, &mut expected] {
            body["operationID"] = Value::Null;
        }
        assert_eq!(body, expected, "{}: {set_flags:?}", callback.name);
        for field in fields.iter().filter(|field| !is_text(field)) {
            let set = format!("{}=no JSON", field.key);
            let error = send(&flags(&[callback.name, "--set", &set])).await.expect_err(&set).to_string();
            assert!(error.starts_with(&format!("--set: {} takes JSON", field.key)), "{error}");
        }
    }
}

#[tokio::test]
async fn what_openim_takes_follows_from_the_callback_s_change() {
    for callback in CALLBACKS {
        let repeated: String = callback
            .repeated_keys()
            .iter()
            .filter(|key| sample(callback)[**key] != json!(null))
            .fold(String::new(), |all, key| format!("{all},\"{key}\":{}", sample(callback)[*key]));
        let allowed = sent(callback.name, &[], &repeated).await;
        let words = allowed.to_string();
        if callback.is_after() {
            assert!(words.contains("\nOpenIM goes on: it reads nothing of the answer"), "{words}");
            let refused = sent(callback.name, &[], ",\"nextCode\":1,\"groupID\":5").await;
            assert_eq!(
                (refused.exchange.ending(), refused.json()["verdict"].clone()),
                (Ending::GoesOn, json!({"kind": "told"}))
            );
            continue;
        }
        assert!(words.contains("\nOpenIM goes on as its user asked.\n"), "{words}");
        assert_eq!(allowed.json()["changes"], json!([]), "{words}");
        for field in callback.rpc.change.map(|change| change.fields).unwrap_or_default() {
            let (value, wrong) = values(field);
            // Where the user has asked for it, and a message has the right session.
            let asked = callback.rpc.request.index(field.key).is_some().then(|| format!("{}={value}", field.key));
            let asked =
                asked.filter(|_| matches!(field.kind, FieldKind::Text)).map(|_| format!("{}=as asked", field.key));
            let session = if field.key == "groupID" { "sessionType=3" } else { "sessionType=1" };
            let fitting = ["contentType=101", session]
                .into_iter()
                .filter(|set| callback.rpc.request.index(set.split('=').next().unwrap_or_default()).is_some());
            let sets: Vec<&str> = asked.as_deref().into_iter().chain(fitting).collect();
            let told = sent(callback.name, &sets, &format!("{repeated},\"{}\":{value}", field.key)).await;
            let place = format!("{}.{}: {told}", callback.name, field.key);
            let shown = told.json();
            assert_eq!((&shown["verdict"][field.key], &shown["fields"][field.key]), (&value, &value), "{place}");
            assert_eq!(shown["changes"], json!([field.key]), "{place}");
            assert_eq!(shown["cautions"], json!([]), "{place}");
            let instead = if asked.is_some() { " instead of \"as asked\"" } else { "" };
            assert!(
                told.to_string().contains(&format!("OpenIM goes on, with {} {value}{instead}", field.key)),
                "{place}"
            );

            let wrong = format!("{{\"{}\":{wrong}}}", field.key);
            let (reading, _) = callback.read_answer(b"{}", wrong.as_bytes());
            assert!(matches!(reading.open_im(), OpenIm::Fails { error: OpenImError::Data, .. }), "{place}: {wrong}");
        }
        let strange = sent(callback.name, &[], &format!("{repeated},\"strange\":5")).await.to_string();
        assert!(
            strange.contains("goes on as its user asked.")
                && strange.contains("\ncaution: OpenIM does nothing with strange\n"),
            "{strange}"
        );
    }
}

fn sample(callback: &Callback) -> Value {
    serde_json::from_str(callback.rpc.sample).expect("JSON")
}

/// What a real server did with these answers.
#[tokio::test]
async fn an_answer_that_does_harm_is_told_as_such() {
    let group = r#","groupID":"g1","groupName":"n","introduction":"","faceURL":"""#;
    for (callback, sets, answer, expected) in [
        ("beforeMsgModify", &[][..], r#","recvID":"u3""#, "goes on, with recvID \"u3\"."),
        ("beforeMsgModify", &["sessionType=3"], r#","recvID":"u3""#, "caution: OpenIM loses the message: recvID"),
        ("beforeMsgModify", &[], r#","recvID":"""#, "caution: OpenIM loses the message: recvID"),
        (
            "beforeMsgModify",
            &[],
            r#","content":"hi""#,
            "fails its user's action with 1001 ArgsError: content is no JSON object",
        ),
        ("beforeMsgModify", &[], r#","status":4"#, "goes on, with status 4 instead of 0."),
        ("beforeMsgModify", &[], r#","offlinePushInfo":{}"#, "caution: offlinePushInfo makes OpenIM panic unless"),
        ("beforeMsgModify", &[], r#","atUserList":["u9"]"#, "caution: OpenIM does nothing with atUserList"),
        ("beforeSendSingleMsg", &[], r#","content":"{}""#, "caution: OpenIM does nothing with content"),
        ("beforeUpdateUserInfoEx", &["nickName=n"], r#","nickName":"m""#, "with nickName \"m\" instead of \"n\"."),
        ("beforeUpdateUserInfo", &["nickName=n"], r#","nickName":"""#, "OpenIM goes on, without nickName \"n\"."),
        ("beforeSetGroupInfo", &[], "", "500 ServerInternalError: OpenIM always overwrites groupID"),
        ("beforeSetGroupInfoEx", &[], "", "500 ServerInternalError: OpenIM always overwrites groupID"),
        ("beforeSetGroupInfo", &["groupName=n"], r#","groupID":"g1""#, "OpenIM goes on, without groupName \"n\"."),
        ("beforeSetGroupInfo", &["groupName=n", "groupID=g1"], group, "OpenIM goes on as its user asked."),
        ("beforeSetGroupInfo", &["groupID=g2", "groupName=n"], group, "with groupID \"g1\" instead of \"g2\"."),
        (
            "beforeSetGroupInfo",
            &["groupName=n", "groupID=g1"],
            r#","groupID":"g1","groupName":"n","notification":"x""#,
            "does nothing with notification",
        ),
        (
            "beforeSetGroupInfoEx",
            &["groupName=n"],
            r#","groupID":"g1","groupName":" ""#,
            "caution: groupName is blank: OpenIM drops the whole update",
        ),
        (
            "beforeCreateGroup",
            &["groupName=n"],
            r#","groupName":"""#,
            "OpenIM goes on, with groupName \"\" instead of \"n\".\n",
        ),
        (
            "beforeMemberJoinGroup",
            &[],
            r#","memberCallbackList":[{"nickname":"x"}]"#,
            "OpenIM panics, and its user's action fails with an empty answer (status 500): an entry of memberCallbackList has no userID",
        ),
        ("beforeUserRegister", &[], r#","users":[{"nickname":"x"}]"#, "caution: an entry of users has no userID"),
        ("beforeUserRegister", &[], r#","users":[]"#, "caution: users is empty, which OpenIM takes for no change"),
        (
            "beforeGroupOnlinePush",
            &["contentType=1501"],
            r#","userIDList":["u1"]"#,
            "caution: the answer changes a notification",
        ),
        ("beforeSetGroupMemberInfo", &[], r#","roleLevel":0"#, "caution: roleLevel is 0, which is none"),
        ("beforeSetFriendRemark", &[], r#","remark":"""#, "caution: remark is empty, which OpenIM takes for no change"),
    ] {
        let told = sent(callback, sets, answer).await.to_string();
        assert!(told.contains(expected), "{callback} {sets:?} {answer}: {told}");
    }
    let body = br#"{"callbackCommand":"callbackBeforeUpdateUserInfoExCommand","userID":"u1","nickName":null}"#;
    let callback = CALLBACKS.iter().find(|callback| callback.name == "beforeUpdateUserInfoEx").expect("the callback");
    let (_, effects) = callback.read_answer(body, br#"{"nickName":"m"}"#);
    assert_eq!(effects.failure, Some(AnswerFailure::NotAsked("nickName")));
}

#[tokio::test]
async fn an_after_callback_that_nobody_takes_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/cb", listener.local_addr().expect("an address"));
    drop(listener);
    let lost = send(&flags(&["afterQuitGroup", "--url", &url])).await.expect("a report");
    assert_eq!((lost.exchange.ending(), lost.exchange.ending().exit_code()), (Ending::Fails, 4));
    assert!(lost.to_string().contains("OpenIM goes on, and the callback is lost: no answer"), "{lost}");
    assert_eq!(lost.json()["verdict"], json!({"kind": "lost", "cause": "connect"}));
    let by = |origin: &str| response("200 OK", &format!("openim-bridge: {origin}\r\n"), REFUSE.as_bytes());
    for (origin, ending, words) in [
        (
            "rejected; code=9907",
            Ending::Fails,
            "the callback is lost: the bridge rejected it.\ndecided by: the bridge, which rejected",
        ),
        (
            "queued",
            Ending::GoesOn,
            "decided by: nobody: the bridge delivers it to the decision service in the background",
        ),
        ("forwarded", Ending::GoesOn, "decided by: the receiver at forward.url"),
    ] {
        let server = Server::start([by(origin)]).await;
        let report = send(&flags(&["afterQuitGroup", "--url", &server.url()])).await.expect("a report");
        assert_eq!(report.exchange.ending(), ending, "{report}");
        assert!(report.to_string().contains(words), "{report}");
    }
}

#[tokio::test]
async fn wrong_names_are_told_what_was_meant() {
    let wrong = async |arguments: &[&str]| send(&flags(arguments)).await.expect_err("wrong").to_string();
    insta::assert_snapshot!(wrong(&["beforeSendSingelMsg"]).await, @"there is no callback beforeSendSingelMsg: did you mean beforeSendSingleMsg?");
    insta::assert_snapshot!(wrong(&["callbackBeforeSendSingleMsg"]).await, @"there is no callback callbackBeforeSendSingleMsg: did you mean callbackBeforeSendSingleMsgCommand?");
    insta::assert_snapshot!(wrong(&["nonsense"]).await, @"there is no callback nonsense; docs/callbacks.md lists them");
    insta::assert_snapshot!(wrong(&["beforeSendSingleMsg", "--set", "recvid=u3"]).await, @"--set: beforeSendSingleMsg has no field recvid: did you mean recvID?");
    insta::assert_snapshot!(wrong(&["beforeSendSingleMsg", "--set", "callbackCommand=x"]).await, @"--set: beforeSendSingleMsg has no field callbackCommand");
    insta::assert_snapshot!(wrong(&["beforeSendSingleMsg", "--set", "recvID"]).await, @"--set takes KEY=VALUE, which recvID is not");
    insta::assert_snapshot!(wrong(&["beforeSendSingleMsg", "--set", "contentType=text"]).await, @"--set: contentType takes JSON, such as 1, and text is none");
    insta::assert_snapshot!(wrong(&["beforeSendSingleMsg", "--remark", "x"]).await, @"--set: beforeSendSingleMsg has no field remark");
    insta::assert_snapshot!(wrong(&["--body", "/nowhere"]).await, @"--body: cannot read /nowhere");
}

#[tokio::test]
async fn a_whole_body_is_sent_as_it_lies_in_a_file() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let body = "{ \"callbackCommand\" : \"callbackAfterQuitGroupCommand\" }";
    std::fs::write(file.path(), body).expect("written");
    let server = Server::start([ok("{}")]).await;
    let path = file.path().to_str().expect("UTF-8");
    send(&flags(&["afterQuitGroup", "--url", &server.url(), "--body", path])).await.expect("a report");
    assert!(server.requests().await[0].ends_with(&format!("\r\n\r\n{body}")));
}
