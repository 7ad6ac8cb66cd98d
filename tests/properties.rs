//! What holds for every request, whatever is in it.

#![allow(clippy::expect_used)]

mod kit;

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kit::frames::{Answer, On, allow, answer, grpc, terms};
use kit::{ALIAS, App, Bridge, COMMAND, Client, Reply, Request, app, bridge, eventually, ms};
use openim_bridge::policy::UnknownRoute;
use openim_bridge::server::Settings;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// A bridge, its decision service, and one connection for as many cases as it lives.
struct Setup {
    app: App,
    bridge: Bridge,
    kept: RefCell<Option<Client>>,
}

fn setup(change: impl FnOnce(&mut Settings)) -> Setup {
    let app = app();
    Setup { bridge: bridge().asking(&app).with(change).start(), app, kept: RefCell::new(None) }
}

impl Setup {
    fn send(&self, request: &[u8]) -> Reply {
        // Not put back where this panics: the next case then has a new one.
        let mut client = self.kept.take().unwrap_or_else(|| self.bridge.connect());
        client.write(request);
        let reply = client.reply();
        if !reply.announces_close() {
            self.kept.replace(Some(client));
        }
        reply
    }

    /// Sends it, and says what the App was asked and what came back.
    fn round_trip(&self, request: &Request) -> (kit::MockCall, Reply) {
        let reply = self.send(&request.bytes());
        assert_eq!(reply.status, 200, "{}", reply.body);
        (self.app.next_call(), reply)
    }
}

fn for_all<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&strategy, test) {
        panic!("{failure}");
    }
}

/// Any text. `.` leaves out line ends and control characters, which this does not.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "[\\x00-\\x7f]{0,40}",
        proptest::collection::vec(any::<char>(), 0..200).prop_map(String::from_iter),
    ]
}

/// Any text that does not tell the decision service what to answer.
fn remark() -> impl Strategy<Value = String> {
    text().prop_filter("a command of the mock", |text| !text.starts_with("mock:"))
}

/// The bytes of a header's value as a client may send it: no control characters, no white space around it.
fn header_value() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(b'\t'), b' '..=b'~', 0x80..=0xff_u8];
    let bytes = proptest::collection::vec(byte, 1..300);
    prop_oneof![bytes, text().prop_map(|text| text.replace(|char: char| char.is_ascii_control(), "").into_bytes())]
        .prop_map(|bytes| bytes.trim_ascii().to_vec())
        .prop_filter("empty", |bytes| !bytes.is_empty())
}

/// JSON for `text`, each character in one of the ways that JSON has for it: as itself or by its code.
fn escaped(text: &str, by_code: &[bool]) -> String {
    let mut json = String::from("\"");
    for (char, by_code) in text.chars().zip(by_code.iter().cycle()) {
        if *by_code || char < ' ' || matches!(char, '"' | '\\') {
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(json, "\\u{unit:04x}").expect("a string takes all");
            }
        } else {
            json.push(char);
        }
    }
    json + "\""
}

#[test]
fn every_text_arrives_at_the_app_and_the_remark_comes_back() {
    let setup = setup(|_| {});
    for_all(400, (text(), text(), remark(), header_value()), |(owner, friend, remark, id)| {
        let request = Request::new().callback(COMMAND, &owner, &friend, &remark).header("Operationid", &id);
        let (call, reply) = setup.round_trip(&request);
        prop_assert_eq!(call.text("ownerUserID"), &owner);
        prop_assert_eq!(call.text("friendUserID"), &friend);
        prop_assert_eq!(call.text("remark"), &remark);
        prop_assert_eq!(&call.operation_id, &String::from_utf8_lossy(&id));
        let visible = id.len() <= 256 && id.iter().all(u8::is_ascii_graphic);
        prop_assert_eq!(call.operation_id_metadata.as_deref(), visible.then_some(&*call.operation_id));
        reply.goes_on_with(&remark);
        Ok(())
    });
}

#[test]
fn every_way_to_write_a_text_is_the_same_text() {
    let setup = setup(|_| {});
    let by_code = proptest::collection::vec(any::<bool>(), 1..20);
    for_all(200, (text(), remark(), by_code), |(owner, remark, by_code)| {
        let body = format!(
            r#"{{"ownerUserID":{},"remark":{},"friendUserID":"","callbackCommand":{}}}"#,
            escaped(&owner, &by_code),
            escaped(&remark, &by_code),
            escaped(COMMAND, &by_code),
        );
        let (call, reply) = setup.round_trip(&Request::new().body(body));
        prop_assert_eq!((call.text("ownerUserID"), call.text("remark")), (&*owner, &*remark));
        reply.goes_on_with(&remark);
        Ok(())
    });
}

#[test]
fn every_replacement_comes_back() {
    let setup = setup(|_| {});
    for_all(200, text().prop_filter("empty", |text| !text.is_empty()), |text| {
        let (_, reply) = setup.round_trip(&Request::new().remark(&format!("mock:replace={text}")));
        reply.goes_on_with(&text);
        Ok(())
    });
}

#[test]
fn every_refusal_comes_back() {
    let setup = setup(|_| {});
    for_all(200, (5000..=9899, text().prop_filter("empty", |text| !text.is_empty())), |(code, text)| {
        let (_, reply) = setup.round_trip(&Request::new().remark(&format!("mock:refuse={code},{text}")));
        reply.refuses(200, code);
        let json = reply.json();
        prop_assert_eq!(json["errMsg"].as_str(), Some(&*text));
        Ok(())
    });
}

/// Bytes that are no callback's JSON, or nearly are.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let fine = || Request::new().remark("a \"pal\" é😀").body;
    let length = fine().len();
    let overwritten = (0..length, any::<u8>()).prop_map(move |(at, byte)| {
        let mut body = fine();
        body[at] = byte;
        body
    });
    let spliced =
        (0..length, 0..length, proptest::collection::vec(any::<u8>(), 0..8)).prop_map(move |(from, to, put)| {
            let mut body = fine();
            body.splice(from.min(to)..from.max(to), put);
            body
        });
    let tokens = proptest::collection::vec(
        prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "\\u",
            "d800",
            "null",
            "-1e9",
            " ",
            "\0",
            "\"remark\"",
            "\"ownerUserID\"",
            "\"friendUserID\"",
            "\"callbackCommand\"",
            "\"callbackBeforeSetFriendRemarkCommand\"",
        ]),
        0..30,
    );
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        overwritten,
        spliced,
        tokens.prop_map(|tokens| tokens.concat().into_bytes()),
    ]
}

/// Of the answers to any body: they are complete, and only a callback of OpenIM's JSON goes on.
fn is_answered_as_it_should(reply: &Reply, body: &[u8]) -> Result<(), TestCaseError> {
    prop_assert!(reply.is_complete(), "{}", reply.body);
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let is_callback = value.is_some_and(|value| {
        value.is_object()
            && (value["callbackCommand"] == COMMAND || value["callbackCommand"] == ALIAS)
            && ["ownerUserID", "friendUserID", "remark"].iter().all(|field| value[field].is_string())
    });
    if !is_callback && reply.status == 200 {
        // The one thing that `Value` does not read: lone surrogates.
        prop_assert!(body.windows(2).any(|bytes| bytes == b"\\u"), "{}", String::from_utf8_lossy(body));
    }
    let code = reply.json()["errCode"].as_i64();
    prop_assert!(matches!((reply.status, code), (200, Some(0)) | (400, Some(9900 | 9902))), "{}", reply.body);
    Ok(())
}

#[test]
fn every_body_gets_a_complete_answer() {
    let setup = setup(|_| {});
    for_all(800, (body(), any::<bool>()), |(body, chunked)| {
        let request = Request::new().body(&body);
        is_answered_as_it_should(&setup.send(&if chunked { request.chunked(16) } else { request.bytes() }), &body)
    });
}

#[test]
fn every_body_of_an_unserved_command_gets_a_complete_answer() {
    let setup = setup(|all| all.bridge.routes.unknown = UnknownRoute::Allow);
    for_all(500, body(), |body| {
        let request = Request::new().target("/cb/callbackBeforeAddFriendCommand").body(&body);
        let reply = setup.send(&request.bytes());
        prop_assert!(reply.is_complete(), "{}", reply.body);
        prop_assert!(matches!(reply.status, 200 | 400 | 404), "{}", reply.head);
        prop_assert_eq!(setup.app.calls(), 0);
        Ok(())
    });
}

/// What RFC 3986 lets a request's target be.
fn target() -> impl Strategy<Value = String> {
    let parts = prop::sample::select(vec![
        "/",
        "/",
        "/",
        "?",
        "&",
        "=",
        "command=",
        "contenttype=",
        "json",
        "callback",
        COMMAND,
        ALIAS,
        "callbackAfterX",
        "%2f",
        "%00",
        "%ff",
        "%",
        ".",
        "..",
        "+",
        ";",
        ":",
        "@",
    ]);
    let parts = proptest::collection::vec(parts, 0..12).prop_map(|parts| parts.concat());
    let any = "([A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2}){0,60}";
    prop_oneof![parts, any].prop_map(|rest| format!("/{rest}"))
}

#[test]
fn every_target_gets_a_complete_answer() {
    let setup = setup(|_| {});
    for_all(800, (target(), any::<bool>()), |(target, absolute)| {
        let target = if absolute { format!("http://127.0.0.1:10006{target}") } else { target };
        let reply = setup.send(&Request::new().target(&target).bytes());
        prop_assert!(reply.is_complete(), "{}", reply.body);
        let code = reply.json()["errCode"].as_i64();
        let expected = matches!((reply.status, code), (200, Some(0)) | (404, Some(9901)) | (400, Some(9902 | 9908)));
        prop_assert!(expected, "{} {}", reply.status, reply.body);
        prop_assert_eq!(setup.app.calls(), usize::from(reply.status == 200));
        prop_assert!(reply.status != 200 || target.contains('%') || target.contains("callbackBefore"));
        Ok(())
    });
}

#[test]
fn every_method_and_header_gets_a_complete_answer() {
    let setup = setup(|_| {});
    // HEAD has no body in its answer, and CONNECT has another kind of target.
    let method = prop_oneof![Just("POST".to_owned()), "[A-Z]{1,12}"]
        .prop_filter("without a body", |method| method != "HEAD" && method != "CONNECT");
    for_all(500, (method, header_value(), header_value()), |(method, content_type, other)| {
        let request = Request::new().method(&method).header("Content-Type", &content_type).header("X-Other", &other);
        let reply = setup.send(&request.bytes());
        reply.refuses(if method == "POST" { 415 } else { 405 }, if method == "POST" { 9905 } else { 9906 });
        Ok(())
    });
    assert_eq!(setup.app.calls(), 0);
}

#[test]
fn what_is_not_http_gets_no_more_than_a_bare_error_and_hurts_nobody() {
    let setup = setup(|_| {});
    let mangled = (0..60_usize, any::<u8>()).prop_map(|(at, byte)| {
        let mut bytes = Request::new().bytes();
        bytes[at] = byte;
        bytes
    });
    let any_bytes = proptest::collection::vec(any::<u8>(), 1..200).prop_map(|mut bytes| {
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes
    });
    for_all(200, prop_oneof![mangled, any_bytes], |bytes| {
        let mut client = setup.bridge.connect();
        client.write(&bytes);
        client.stream.shutdown(std::net::Shutdown::Write).expect("open");
        // One whole answer for each request that it can be read as.
        let answers = client.all();
        for answer in answers.split("HTTP/1.").skip(1) {
            let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
            let bare = body.is_empty() && head[2..].starts_with('4');
            prop_assert!(bare || body.starts_with(r#"{"actionCode":0,"#) && body.ends_with('}'), "{answers}");
        }
        Ok(())
    });
    setup.send(&Request::new().bytes()).goes_on_with("pal");
}

/// Frames as a decision service sends them, and as none does.
fn frames() -> impl Strategy<Value = Answer> {
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    let on = prop_oneof![
        4 => Just(On::Request),
        2 => Just(On::Connection),
        1 => prop_oneof![0..9_u32, any::<u32>()].prop_map(On::Another),
    ];
    let piece = prop_oneof![
        3 => Just(grpc()),
        2 => Just(answer().message(&[0x0a, 0])),
        2 => prop_oneof![Just("0".to_owned()), "[0-9]{0,3}", "[ -~]{0,8}"].prop_map(|status| answer().trailers(&status)),
        1 => (any::<u16>(), any::<bool>()).prop_map(|(status, end)| answer().head(status, "application/grpc", end)),
        1 => ("[ -~]{0,9}", "[ -~]{0,9}").prop_map(|(name, value)| answer().headers(&[(&name, &value)], false)),
        1 => (bytes(40), any::<bool>()).prop_map(|(data, end)| answer().data(&data, end)),
        1 => (0..16_u32).prop_map(|code| answer().reset(code)),
        1 => (0..16_u32).prop_map(|code| answer().goes_away(code)),
        1 => prop_oneof![0..3_u32, any::<u32>()].prop_map(|calls| answer().permits(calls)),
        1 => prop_oneof![Just(answer().closes()), Just(answer().resets()), Just(answer().will_go_away())],
        4 => (on, 0..12_u8, any::<u8>(), prop_oneof![bytes(9), bytes(60)])
            .prop_map(|(on, kind, flags, payload)| answer().frame_on(on, kind, flags, &payload)),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.into_iter().fold(answer(), Answer::then))
}

#[test]
fn whatever_frames_the_service_sends_every_callback_gets_a_complete_answer() {
    let script = Arc::<Mutex<Answer>>::default();
    let played = Arc::clone(&script);
    let player = terms().plays_by(move |_| played.lock().expect("a script").clone());
    let bridge = bridge()
        .asking_at(player.address)
        .timeout(ms(30))
        .refusing()
        .with(|settings| {
            settings.upstream.health.interval = Duration::from_hours(1);
            settings.upstream.eject.failures = NonZeroUsize::MAX;
        })
        .start();
    for_all(32, frames(), |frames| {
        *script.lock().expect("a script") = frames;
        prop_assert!(bridge.ask("pal").is_complete());
        Ok(())
    });
    *script.lock().expect("a script") = allow();
    eventually("it is asked still", || bridge.ask("pal").json()["nextCode"] == 0);
    eventually("nothing is held", || bridge.server.load().in_flight == 0);
}
