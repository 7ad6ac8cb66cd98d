//! Who may call: 9909 and 9907, before anything else is looked at.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{net::SocketAddr, num::NonZeroUsize};

use kit::{App, Bridge, COMMAND, Client, Reply, Request, app, bridge};
use openim_bridge::policy::Credentials;

const ADDRESS: (u16, i32) = (403, 9909);
const CREDENTIALS: (u16, i32) = (401, 9907);
const METHOD: (u16, i32) = (405, 9906);

/// The header of `openim` with `s3cret`.
const OPENIM: &str = "Basic b3BlbmltOnMzY3JldA==";
/// Of `other` with `pass:with:colons`.
const OTHER: &str = "Basic b3RoZXI6cGFzczp3aXRoOmNvbG9ucw==";

struct Guarded {
    app: App,
    bridge: Bridge,
}

/// A bridge that takes calls from these addresses, with the credentials of this file.
fn guarded(allow: &[&str], users: &str) -> Guarded {
    guarded_on("127.0.0.1:0", allow, users)
}

fn guarded_on(listen: &str, allow: &[&str], users: &str) -> Guarded {
    let app = app();
    let bridge = bridge().asking(&app).with(|settings| {
        settings.listen = listen.parse().expect("an address");
        settings.bridge.access.allow = allow.iter().map(|range| range.parse().expect("a range")).collect();
        settings.bridge.access.basic_auth =
            (!users.is_empty()).then(|| Credentials::parse(users).expect("credentials"));
    });
    Guarded { bridge: bridge.start(), app }
}

impl Guarded {
    #[track_caller]
    fn lets_in(&self, request: &Request) {
        self.bridge.send(request).goes_on_with("pal");
        assert_eq!(self.app.calls(), 1, "the decision service was not asked");
    }

    #[track_caller]
    fn turns_away(&self, request: &Request, (status, code): (u16, i32)) -> Reply {
        let reply = self.bridge.send(request);
        reply.refuses(status, code);
        assert_eq!(self.app.calls(), 0, "the decision service was asked");
        reply
    }
}

fn with_authorization(value: impl AsRef<[u8]>) -> Request {
    Request::new().header("Authorization", value)
}

// 9909: the address.

#[test]
fn an_empty_list_allows_everybody() {
    guarded(&[], "").lets_in(&Request::new());
}

#[test]
fn accepts_an_address_of_the_list() {
    for allow in [&["127.0.0.1/32"][..], &["127.0.0.0/8"], &["0.0.0.0/0"], &["192.0.2.0/24", "::1/128", "127.0.0.1/32"]]
    {
        guarded(allow, "").lets_in(&Request::new());
    }
}

#[test]
fn refuses_an_address_that_is_not_of_the_list() {
    for allow in [&["192.0.2.0/24"][..], &["127.0.0.2/32"], &["::1/128", "::/0"], &["127.0.0.0/32", "10.0.0.0/8"]] {
        let reply = guarded(allow, "").turns_away(&Request::new(), ADDRESS);
        assert_eq!(reply.header("www-authenticate"), None);
    }
}

#[test]
fn an_address_of_ipv4_counts_as_such_also_on_a_listener_of_ipv6() {
    let on_both = |allow: &[&str]| guarded_on("[::ffff:127.0.0.1]:0", allow, "");
    let by_ipv4 = |guarded: &Guarded| {
        let port = guarded.bridge.address().port();
        let mut client = Client::connect(SocketAddr::from(([127, 0, 0, 1], port)));
        client.write(&Request::new().bytes());
        client.reply()
    };
    by_ipv4(&on_both(&["127.0.0.0/8"])).goes_on_with("pal");
    by_ipv4(&on_both(&["::/0"])).refuses(ADDRESS.0, ADDRESS.1);
}

#[test]
fn believes_no_forwarded_header() {
    let claim =
        |name: &str| Request::new().header(name, if name == "Forwarded" { "for=127.0.0.1" } else { "127.0.0.1" });
    let names = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP"];
    let elsewhere = guarded(&["192.0.2.7/32"], "");
    let here = guarded(&["127.0.0.1/32"], "");
    for name in names {
        elsewhere.turns_away(&claim(name), ADDRESS);
        here.lets_in(&claim(name).header(name, "192.0.2.7"));
    }
}

// 9907: the credentials.

#[test]
fn accepts_every_user_with_their_own_password() {
    let guarded = guarded(&[], "# those who may call\nopenim:s3cret\n\nother:pass:with:colons\n");
    guarded.lets_in(&with_authorization(OPENIM));
    guarded.lets_in(&with_authorization(OTHER));
    guarded.lets_in(&with_authorization(OPENIM.replace("Basic", "bASIC")));
}

#[test]
fn a_user_who_stands_twice_may_use_either_password() {
    let guarded = guarded(&[], "openim:old\nopenim:s3cret\n");
    guarded.lets_in(&with_authorization(OPENIM));
    guarded.lets_in(&with_authorization("Basic b3BlbmltOm9sZA=="));
}

#[test]
fn accepts_what_openim_sends_for_credentials_in_its_url() {
    let path = format!("{}/tests/fixtures/captures/url-userinfo.http", env!("CARGO_MANIFEST_DIR"));
    let recorded = std::fs::read(path).expect("the capture");
    let ask = |users| {
        let guarded = guarded(&[], users);
        let mut client = guarded.bridge.connect();
        client.write(&recorded);
        client.reply()
    };
    ask("openim:s3cret").goes_on_with("x");
    ask("openim:another").refuses(CREDENTIALS.0, CREDENTIALS.1);
}

#[test]
fn refuses_credentials_that_are_missing_or_wrong_and_says_how_to_send_them() {
    let guarded = guarded(&[], "openim:s3cret\nother:pass:with:colons\n");
    let reply = guarded.turns_away(&Request::new(), CREDENTIALS);
    assert_eq!(reply.header("www-authenticate"), Some(r#"Basic realm="openim-bridge""#));

    for (what, value) in [
        ("openim:wrong", "Basic b3BlbmltOndyb25n"),
        ("wrong:s3cret", "Basic d3Jvbmc6czNjcmV0"),
        ("the password of another: openim:pass:with:colons", "Basic b3BlbmltOnBhc3M6d2l0aDpjb2xvbnM="),
        ("openim:s3cre", "Basic b3BlbmltOnMzY3Jl"),
        ("openim:s3cret1", "Basic b3BlbmltOnMzY3JldDE="),
        ("openim:s3cret and a NUL", "Basic b3BlbmltOnMzY3JldAA="),
        ("OPENIM:s3cret", "Basic T1BFTklNOnMzY3JldA=="),
        ("openim:", "Basic b3BlbmltOg=="),
        ("openim", "Basic b3Blbmlt"),
        (":", "Basic Og=="),
        ("both lines", "Basic b3BlbmltOnMzY3JldApvdGhlcjpwYXNzOndpdGg6Y29sb25z"),
        ("nothing", ""),
        ("only the scheme", "Basic"),
        ("an empty token", "Basic "),
        ("malformed base64", "Basic b3BlbmltOnMzY3JldA=!"),
        ("base64 without its end", "Basic b3BlbmltOnMzY3JldA"),
        ("not encoded", "Basic openim:s3cret"),
        ("another scheme", "Bearer b3BlbmltOnMzY3JldA=="),
        ("no scheme", "b3BlbmltOnMzY3JldA=="),
    ] {
        let reply = guarded.bridge.send(&with_authorization(value));
        assert_eq!((reply.status, reply.json()["errCode"].as_i64()), (401, Some(9907)), "{what}");
        assert!(reply.is_complete(), "{what}");
    }
    guarded.turns_away(&with_authorization(b"Basic \xff\xfe"), CREDENTIALS);
    guarded.turns_away(&with_authorization(format!("Basic {}", "QUFB".repeat(4000))), CREDENTIALS);
    guarded.turns_away(&Request::new().header("Proxy-Authorization", OPENIM), CREDENTIALS);

    let mut twice = with_authorization("Basic b3BlbmltOndyb25n");
    twice.headers.push(("Authorization".to_owned(), OPENIM.into()));
    guarded.turns_away(&twice, CREDENTIALS);
    guarded.lets_in(&with_authorization(OPENIM));
}

#[test]
fn an_answer_tells_nothing_of_the_users() {
    let guarded = guarded(&[], "openim:s3cret\n");
    let none = guarded.turns_away(&Request::new(), CREDENTIALS).body;
    for value in ["Basic b3BlbmltOndyb25n", "Basic d3Jvbmc6czNjcmV0", "Bearer x"] {
        assert_eq!(guarded.turns_away(&with_authorization(value), CREDENTIALS).body, none);
    }
}

#[test]
fn credentials_are_asked_for_with_every_request_of_a_connection() {
    let guarded = guarded(&[], "openim:s3cret\n");
    let mut client = guarded.bridge.connect();
    client.write(&with_authorization(OPENIM).bytes());
    client.reply().goes_on_with("pal");
    client.write(&Request::new().bytes());
    client.reply().refuses(CREDENTIALS.0, CREDENTIALS.1);
}

// The order.

#[test]
fn the_address_is_checked_first_then_the_credentials_then_the_method() {
    let wrong = Request::new().method("GET").target("/").without("Content-Type").without("Operationid").body("{");
    guarded(&["192.0.2.7/32"], "openim:s3cret").turns_away(&wrong, ADDRESS);
    guarded(&["192.0.2.7/32"], "openim:s3cret").turns_away(&with_authorization(OPENIM), ADDRESS);
    let guarded = guarded(&["127.0.0.1/32"], "openim:s3cret");
    guarded.turns_away(&wrong, CREDENTIALS);
    guarded.turns_away(&wrong.header("Authorization", OPENIM), METHOD);
    guarded.turns_away(&Request::new().callback(&COMMAND[1..], "u1", "u2", "pal"), CREDENTIALS);
    guarded.lets_in(&with_authorization(OPENIM));
}

// A place is for those who may call.

#[test]
fn a_peer_that_may_not_call_keeps_no_connection() {
    for guarded in [guarded(&["192.0.2.0/24"], ""), guarded(&[], "openim:s3cret")] {
        let mut client = guarded.bridge.connect();
        client.write(&Request::new().bytes());
        assert!(client.reply().announces_close());
        assert!(client.is_closed());
        // Nor is it waited for, when it says that more comes.
        let mut slow = guarded.bridge.connect();
        let bytes = Request::new().bytes();
        slow.write(&bytes[..bytes.len() - 1]);
        assert!(slow.reply().announces_close());
        assert!(slow.is_closed());
    }
}

#[test]
fn one_call_that_is_let_in_keeps_the_connection_whatever_credentials_others_send_on_it() {
    let guarded = guarded(&[], "openim:s3cret");
    let mut client = guarded.bridge.connect();
    for value in [OPENIM, OTHER, OPENIM] {
        client.write(&with_authorization(value).bytes());
        let reply = client.reply();
        assert_eq!(reply.status, if value == OPENIM { 200 } else { 401 });
        assert!(!reply.announces_close());
    }
}

#[test]
fn who_may_not_call_makes_room_for_who_may() {
    let app = app();
    let bridge = bridge().asking(&app).with(|settings| {
        settings.connections = NonZeroUsize::new(2);
        settings.bridge.access.basic_auth = Some(Credentials::parse("openim:s3cret").expect("credentials"));
    });
    let bridge = bridge.start();
    // They have been rejected, and read no answer: what they have said does not count as a call.
    let bytes = Request::new().bytes();
    let mut strangers: Vec<_> = (0..2).map(|_| bridge.connect()).collect();
    for stranger in &mut strangers {
        stranger.write(&bytes[..bytes.len() - 1]);
    }
    let mut client = bridge.connect();
    client.write(&with_authorization(OPENIM).bytes());
    client.reply().goes_on_with("pal");
}

#[test]
fn that_nobody_may_call_is_told_once_with_the_address_and_the_ranges() {
    let serve = kit::process::serve(&["--access-allow", "10.0.0.0/8,192.0.2.7"]).started();
    for _ in 0..3 {
        serve.send(&Request::new()).refuses(403, 9909);
    }
    serve.signal("INT");
    let lines = serve.rest();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("every request so far was rejected")).collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert!(told[0].contains("peer=127.0.0.1 allow=\"10.0.0.0/8, 192.0.2.7/32\""), "{told:?}");
}
