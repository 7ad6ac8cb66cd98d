//! `send`, towards a real socket that answers from a script.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use openim_bridge::cli::send::{CannotSend, Ending, Exchange, NoAnswer, SendArgs, SendReport, exchange, run, send};
use openim_bridge::openim::client::{CallbackRequest, OpenIm, OpenImError, UrlForm};
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
    CallbackRequest {
        owner: owner.to_owned(),
        friend: friend.to_owned(),
        remark: remark.to_owned(),
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

fn why(exchange: &Exchange) -> &NoAnswer {
    exchange.answer.as_ref().expect_err("no answer")
}

fn args(url: &str, more: &[&str]) -> SendArgs {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SendArgs,
    }
    let fixed = ["send", "--url", url, "--remark", "x", "--operation-id", "op-1"];
    Cli::try_parse_from(fixed.iter().chain(more)).expect("arguments").args
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
    assert!(matches!(exchange.open_im(), OpenIm::GoesOn { remark: Some("other") }));
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
    assert!(matches!(exchange.open_im(), OpenIm::GoesOn { remark: Some("zipped") }), "{exchange:?}");

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
    let fallback = "the fallback, since the decision service gave no good reply (class=timeout)";
    let rejected = by("rejected; code=9903\r\nopenim-bridge-hint: do better", REFUSE);
    for (reply, decider, code) in [
        (by("decision", ALLOW), "the decision service", 0),
        (by("decision", REFUSE), "the decision service", 3),
        (by("fallback; class=timeout", ALLOW), fallback, 5),
        (by("fallback; class=timeout", REFUSE), fallback, 5),
        (rejected, "the bridge, which rejected the request (code=9903)\nhint: do better", 3),
        (by("route", ALLOW), "the bridge's configuration, without asking anybody", 0),
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
    (OpenIM does not look at the status, only at the body)
    body: {"actionCode":1,"errCode":5001,"nextCode":1,"remark":"\u{9b}31m\u001b[0m"}\n

    OpenIM goes on, with the remark "\u{9b}31m\u{1b}[0m".
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
      "url": "http://127.0.0.1:10006/callbackExample/callbackBeforeSetFriendRemarkCommand",
      "operationID": "op-1",
      "status": 200,
      "elapsedMs": 0,
      "body": "{\"actionCode\":0,\"errCode\":0,\"errMsg\":\"Success\",\"errDlt\":\"\",\"nextCode\":0,\"remark\":\"other\"}",
      "verdict": {
        "kind": "goesOn",
        "remark": "other"
      },
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
