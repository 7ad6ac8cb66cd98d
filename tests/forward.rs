//! `route: forward`: the request goes on as it came, and the answer back as it came; or the fallback, in OpenIM's shape.

#![allow(clippy::expect_used)]

mod kit;

use std::{
    net::{SocketAddr, TcpListener},
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

use bytes::Bytes;
use http::{Request as HttpRequest, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsAcceptor;

use kit::receiver::{Got, Receiver, Said, goes_on, receiver, receiver_on, said};
use kit::rpc::any_service;
use kit::tls::{Authority, Config, Files, changing, shows};
use kit::{ALIAS, Bridge, BridgeBuilder, Reply, Request, bridge, eventually, log, ms, nowhere};
use openim_bridge::bridge::DeliverySettings;
use openim_bridge::policy::{Action, Percent, Rest, Route, UnknownRoute};
use openim_bridge::upstream::{ForwardCredentials, ForwardSettings, TlsKeys, TtlBounds, UpstreamTlsSettings};

fn forwarding(url: &str) -> BridgeBuilder {
    let settings = ForwardSettings {
        url: url.parse().expect("a URL"),
        credentials: None,
        connect_timeout: ms(1000),
        resolve: TtlBounds { min: ms(1000), max: ms(30_000) },
        name_server: None,
        tls: UpstreamTlsSettings {
            keys: TlsKeys::FORWARD,
            ca: None,
            client: None,
            server_name: None,
            look_every: ms(100),
        },
    };
    bridge().with(|all| {
        all.forward = Some(settings);
        all.bridge.routes.default = Route::Forward;
    })
}

fn to(receiver: &Receiver) -> BridgeBuilder {
    forwarding(&receiver.url("/old"))
}

fn after() -> Request {
    let command = "callbackAfterAddFriendCommand";
    let body = format!(r#"{{"callbackCommand":"{command}","fromUserID":"u1","toUserID":"u2"}}"#);
    Request::new().target(&format!("/cb/{command}")).body(body)
}

#[test]
fn a_request_goes_on_as_it_came_and_its_answer_comes_back_so() {
    let answer = "{\"nextCode\":1,\"errCode\": 73001,\"errMsg\":\"no\"} ";
    let headers = "Content-Type: application/json; charset=x\r\nX-Own: a\r\nX-Own: b\r\n";
    let receiver = receiver(move |_| said("418 I'm a teapot", headers, answer));
    let bridge = to(&receiver).start();
    let body = "{ \"not\": \"this callback's\", \u{feff}\"text\": \"\\u0000\" ";
    let request = Request::new().target("/any/prefix/callbackBeforeAddFriendCommand?key=b2s%3D").body(body);
    let reply = bridge.send(&request.header("X-Request", "1").header("traceparent", TRACE));
    assert_eq!((reply.status, &*reply.body, reply.origin()), (418, answer, "forwarded"));
    assert_eq!(reply.header("content-type"), Some("application/json; charset=x"));
    assert!(reply.head.contains("x-own: a\r\nx-own: b"), "{}", reply.head);
    let got = receiver.next();
    assert_eq!(got.line, "POST /old/callbackBeforeAddFriendCommand?key=b2s%3D HTTP/1.1");
    assert_eq!(String::from_utf8_lossy(&got.body), body);
    let header = |name| got.header(name).map(str::to_owned);
    assert_eq!(header("x-request").as_deref(), Some("1"));
    assert_eq!(header("operationid").as_deref(), Some("op-1"), "{}", got.head);
    assert_eq!(header("host"), Some(receiver.address.to_string()));
    assert_eq!(header("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(header("traceparent").as_deref(), Some(TRACE));
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn the_command_as_a_parameter_stays_one() {
    let receiver = receiver(|_| goes_on());
    let target = format!("/any?command={}&contenttype=json", kit::COMMAND);
    to(&receiver).start().send(&Request::new().target(&target)).goes_on();
    assert_eq!(receiver.next().line, format!("POST /old?command={}&contenttype=json HTTP/1.1", kit::COMMAND));
}

#[test]
fn what_is_about_a_connection_stays_on_it() {
    let receiver = receiver(|_| said("200 OK", "Connection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n", "{}"));
    let bridge = to(&receiver).start();
    let reply = bridge
        .send(&Request::new().header("Connection", "keep-alive, X-Hop").header("X-Hop", "1").header("TE", "gzip"));
    assert_eq!((reply.header("x-hop"), reply.header("keep-alive")), (None, None), "{}", reply.head);
    let got = receiver.next();
    assert_eq!((got.header("x-hop"), got.header("te")), (None, None), "{}", got.head);
}

#[test]
fn credentials_are_those_of_the_receiver() {
    const OPENIM: &str = "Basic b3BlbmltOnMzY3JldA==";
    let receiver = receiver(|_| goes_on());
    let request = Request::new().header("Authorization", OPENIM);
    let sent = |builder: BridgeBuilder| {
        builder.start().send(&request).goes_on();
        receiver.next().header("authorization").map(str::to_owned)
    };
    let checking = |builder: BridgeBuilder| {
        builder.with(|all| {
            let users = openim_bridge::policy::Credentials::parse("openim:s3cret\n").expect("a user");
            all.bridge.access.basic_auth = Some(users);
        })
    };
    assert_eq!(sent(to(&receiver)).as_deref(), Some(OPENIM));
    assert_eq!(sent(checking(to(&receiver))), None);
    let url = format!("http://old:one@{}/old", receiver.address);
    assert_eq!(sent(forwarding(&url)).as_deref(), Some("Basic b2xkOm9uZQ=="));
    let of_file = forwarding(&url).with(|all| {
        all.forward.as_mut().expect("a receiver").credentials = ForwardCredentials::new("of:file");
    });
    assert_eq!(sent(of_file).as_deref(), Some("Basic b2Y6ZmlsZQ=="));
}

type Answer = Box<dyn Fn() -> Said + Send + Sync>;

#[test]
fn without_an_answer_that_can_be_passed_on_there_is_the_fallback() {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(1 << 20));
    let answers: [(&str, Answer); 5] = [
        ("unavailable", Box::new(|| Said::Closes)),
        ("invalid_reply", Box::new(|| said("307 Temporary Redirect", "Location: /elsewhere\r\n", "{}"))),
        ("invalid_reply", Box::new(|| said("204 No Content", "", ""))),
        ("invalid_reply", Box::new(move || said("200 OK", "", &large))),
        ("timeout", Box::new(|| Said::Hangs)),
    ];
    for (class, answer) in answers {
        let receiver = receiver(move |_| answer());
        let bridge = to(&receiver).timeout(if class == "timeout" { ms(200) } else { ms(14_000) }).start();
        let reply = bridge.ask("pal");
        assert_eq!(reply.origin(), format!("fallback; class={class}"));
        // In OpenIM's shape, with what it must repeat.
        reply.goes_on_with("pal");
    }
    let reply = forwarding(&format!("http://{}/old", nowhere())).refusing().start().ask("pal");
    reply.refuses(200, 9921);
}

#[test]
fn without_room_for_the_body_there_is_the_fallback_also_where_decisions_have_no_effect() {
    let receiver = receiver(|_| goes_on());
    for (route, rest, code) in [
        (Route::Forward, Rest::Allow, Some(9922)),
        (Route::Service, Rest::Forward, Some(9922)),
        (Route::Service, Rest::Allow, None),
    ] {
        let bridge = to(&receiver).refusing().with(move |all| {
            all.bridge.routes.default = route;
            (all.bridge.decision.enforce_percent, all.bridge.decision.rest) = (Percent::NONE, rest);
            all.bridge.limits.body_bytes = NonZeroUsize::MIN;
        });
        let reply = bridge.start().send(&Request::new());
        match code {
            Some(code) => reply.refuses(200, code),
            None => reply.goes_on(),
        }
    }
}

/// Begins an answer of 500 kB, and says no more.
fn unfinished() -> Said {
    Said::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n{}", "x".repeat(350_000)).into_bytes())
}

/// A quarter is for small ones.
fn with_room_for_300_kb(builder: BridgeBuilder) -> Bridge {
    builder.admin().with(|all| all.bridge.limits.body_bytes = NonZeroUsize::new(400_000).expect("some")).start()
}

#[test]
fn an_answer_counts_as_it_comes_in() {
    let receiver =
        receiver(|got| if got.body.len() > 10 { unfinished() } else { said("200 OK", "", &"x".repeat(200_000)) });
    let bridge = with_room_for_300_kb(to(&receiver));
    assert_eq!(bridge.send(&Request::new().body("{}")).origin(), "forwarded");
    assert_eq!(bridge.ask("pal").origin(), "fallback; class=overloaded");
    eventually("no bytes are held", || bridge.server.load().body_bytes == 0);
}

#[test]
fn an_answer_to_what_openim_only_tells_needs_no_room() {
    let receiver = receiver(|_| said("200 OK", "", &"x".repeat(900_000)));
    let bridge = with_room_for_300_kb(to(&receiver));
    assert_eq!(bridge.send(&after()).origin(), "queued");
    let delivered = r#"openim_bridge_deliveries_total{callback="afterAddFriend",result="delivered"}"#;
    eventually("it is delivered", || bridge.scrape().get(delivered) == Some(&1.0));
}

#[test]
fn the_callback_s_own_time_holds_and_its_own_body_need_not_be_right() {
    let receiver = receiver(|_| Said::Hangs);
    let bridge = to(&receiver).timeout(ms(200)).start();
    bridge.send(&Request::new().body("{")).goes_on();
    // Servers that send this name overwrite the remark with nothing.
    bridge.send(&Request::new().target(&format!("/cb/{ALIAS}")).body("{")).refuses(200, 9920);
}

#[test]
fn an_answer_that_openim_cannot_decode_is_passed_on_and_told_of() {
    log::keep();
    let receiver = receiver(|_| said("200 OK", "", "<html>"));
    let bridge = to(&receiver).admin().start();
    let reply = bridge.send(&Request::new().header("operationID", "undecodable"));
    assert_eq!((&*reply.body, reply.origin()), ("<html>", "forwarded"));
    let line = eventually_of("undecodable");
    assert_eq!((&line["level"], &line["reason"]), (&"WARN".into(), &"undecodable".into()));
    let counted = bridge.scrape().into_iter().find(|(name, _)| name.contains(r#"reason="undecodable""#));
    assert!(counted.expect("a series").0.contains(r#"source="forward""#));
}

fn eventually_of(operation_id: &str) -> serde_json::Value {
    eventually("it is logged", || !log::of(operation_id).is_empty());
    log::of(operation_id).remove(0)
}

#[test]
fn a_connection_is_used_again_and_one_that_has_closed_is_not() {
    let receiver = receiver(|_| goes_on());
    let bridge = to(&receiver).start();
    let mut client = bridge.connect();
    for _ in 0..20 {
        client.write(&Request::new().bytes());
        client.reply().goes_on();
    }
    assert_eq!(receiver.connections(), 1);
}

/// The receiver has read it, and perhaps acted on it.
#[test]
fn a_request_that_may_have_been_read_is_not_repeated() {
    let calls = AtomicUsize::new(0);
    let receiver = receiver(move |_| if calls.fetch_add(1, Relaxed) == 1 { Said::Closes } else { goes_on() });
    let bridge = to(&receiver).start();
    let mut client = bridge.connect();
    let mut ask = || {
        client.write(&Request::new().bytes());
        client.reply()
    };
    assert_eq!(ask().origin(), "forwarded");
    assert_eq!(ask().origin(), "fallback; class=unavailable");
    assert_eq!(ask().origin(), "forwarded");
    assert_eq!(receiver.all().len(), 3);
}

#[test]
fn an_after_callback_is_answered_at_once_and_forwarded_in_the_background() {
    let receiver = receiver(|_| Said::Hangs);
    let bridge = to(&receiver).start();
    assert_eq!(bridge.send(&after()).origin(), "queued");
    let got = receiver.next();
    assert_eq!(got.line, "POST /old/callbackAfterAddFriendCommand HTTP/1.1");
    assert!(String::from_utf8_lossy(&got.body).contains("fromUserID"));
}

#[test]
fn an_after_callback_is_repeated_only_where_nobody_has_read_it() {
    let delivered =
        |builder: BridgeBuilder| builder.admin().with(|all| all.bridge.delivery = DeliverySettings::default());
    let closes = receiver(|_| Said::Closes);
    let bridge = delivered(to(&closes)).start();
    assert_eq!(bridge.send(&after()).origin(), "queued");
    let rejected = r#"openim_bridge_deliveries_total{callback="afterAddFriend",result="rejected"}"#;
    eventually("it is rejected", || bridge.scrape().get(rejected) == Some(&1.0));
    assert_eq!(closes.all().len(), 1);

    // Nobody listens there yet.
    let place = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = place.local_addr().expect("an address");
    drop(place);
    let bridge = delivered(forwarding(&format!("http://{address}/old"))).start();
    assert_eq!(bridge.send(&after()).origin(), "queued");
    let retries = "openim_bridge_delivery_retries_total";
    eventually("it is to be repeated", || bridge.scrape().get(retries).is_some_and(|count| *count >= 1.0));
    let receiver = receiver_on(TcpListener::bind(address).expect("the same port"), |_| goes_on());
    assert!(String::from_utf8_lossy(&receiver.next().body).contains("fromUserID"));
    let delivered = r#"openim_bridge_deliveries_total{callback="afterAddFriend",result="delivered"}"#;
    eventually("it is delivered", || bridge.scrape().get(delivered) == Some(&1.0));
}

#[test]
fn a_command_that_nobody_knows_is_the_receiver_s() {
    let receiver = receiver(|_| goes_on());
    let bridge = to(&receiver).with(|all| all.bridge.routes.unknown = UnknownRoute::Forward).start();
    let reply = bridge.send(&Request::new().target("/cb/callbackBeforeTomorrowCommand").body("{}"));
    assert_eq!(reply.origin(), "forwarded");
    assert_eq!(receiver.next().line, "POST /old/callbackBeforeTomorrowCommand HTTP/1.1");
}

/// A roll-out that begins with nobody: the receiver decides, and the service is asked in the shadow of it.
fn compared(by_receiver: &'static str, by_service: Vec<u8>, operation_id: &str) -> (Reply, String) {
    log::keep();
    let receiver = receiver(move |_| said("200 OK", "", by_receiver));
    let service = any_service(move |_| Ok(by_service.clone()));
    let bridge = to(&receiver).admin().asking_at(service.address).with(|all| {
        all.bridge.routes.default = Route::Service;
        all.bridge.decision.rest = Rest::Forward;
        all.bridge.decision.enforce_percent = Percent::NONE;
        all.bridge.fallback.action = Action::Refuse;
    });
    let bridge = bridge.start();
    let reply = bridge.send(&Request::new().header("operationID", operation_id));
    assert_eq!(reply.origin(), "forwarded");
    let mut result = String::new();
    eventually("it is compared", || {
        let samples = bridge.scrape();
        let counted =
            samples.keys().find_map(|name| name.strip_prefix("openim_bridge_comparisons_total").map(str::to_owned));
        result = counted.clone().unwrap_or_default();
        counted.is_some()
    });
    let result = result.split("result=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a result").to_owned();
    (reply, result)
}

#[test]
fn the_two_are_compared_by_the_names_of_fields() {
    let allows = || vec![0x0a, 0x00];
    let (reply, result) = compared(r#"{"nextCode":0}"#, allows(), "compare-same");
    assert_eq!((&*reply.body, &*result), (r#"{"nextCode":0}"#, "same"));
    assert_eq!(compared(r#"{"remark":"pal"}"#, allows(), "compare-echo").1, "same");
    assert_eq!(compared(r#"{"remark":"S3CRET"}"#, allows(), "compare-field").1, "different");
    let differ = |operation_id: &str| {
        let differs = || log::lines_with(operation_id).into_iter().find(|line| !line["fields"].is_null());
        eventually("it is logged", || differs().is_some());
        let (lines, line) = (log::lines_with(operation_id), differs().expect("a line"));
        assert!(!format!("{lines:?}").contains("S3CRET"), "a value is logged");
        line["fields"].as_str().expect("names").to_owned()
    };
    assert_eq!(differ("compare-field"), "remark");
    let (_, result) = compared(r#"{"nextCode":1,"errCode":7,"errMsg":"S3CRET"}"#, allows(), "compare-verdict");
    assert_eq!((&*result, &*differ("compare-verdict")), ("different", "nextCode"));
    assert_eq!(compared(r#"{"nextCode":0}"#, vec![], "compare-undecided").1, "undecided");
    assert_eq!(compared("no", allows(), "compare-undecodable").1, "undecodable");
}

#[test]
fn operators_see_where_requests_go_and_no_secret() {
    let receiver = receiver(|_| goes_on());
    let url = format!("http://u:s3cret@{}/old?token=s3cret", receiver.address);
    let bridge = forwarding(&url).admin().start();
    bridge.ask("pal").goes_on();
    let page = bridge.operator("GET", "/", "").body;
    assert!(page.contains("Receiver of forwarded callbacks") && page.contains(&receiver.address.to_string()), "{page}");
    assert!(!page.contains("s3cret"));
    let got: Got = receiver.next();
    assert_eq!(got.line, format!("POST /old?token=s3cret/{} HTTP/1.1", kit::COMMAND));
}

/// Answers over TLS, in the version of HTTP that the handshake agreed on, and says which.
fn secured(config: Config) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let answer = |request: HttpRequest<Incoming>| async move {
        let version = format!("{:?} {:?}", request.version(), request.uri().path());
        let body = r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0}"#;
        Response::builder().header("x-version", version).body(Full::new(Bytes::from(body)))
    };
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = TlsAcceptor::from(config.lock().expect("a configuration").clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    let (stream, service) = (TokioIo::new(stream), service_fn(answer));
                    if is_http2 {
                        let http2 = conn::http2::Builder::new(TokioExecutor::new());
                        let _ended = http2.serve_connection(stream, service).await;
                    } else {
                        let _ended = conn::http1::Builder::new().serve_connection(stream, service).await;
                    }
                });
            }
        });
    });
    address
}

fn securely(files: &Files, address: SocketAddr) -> BridgeBuilder {
    forwarding(&format!("https://{address}/old")).with(|all| {
        let tls = &mut all.forward.as_mut().expect("a receiver").tls;
        tls.ca = Some(files.path("ca.pem"));
        tls.look_every = ms(5);
    })
}

#[test]
fn over_tls_it_speaks_whichever_version_the_receiver_does() {
    let authority = Authority::new();
    let (files, pair) = (Files::new(&authority), authority.signs("127.0.0.1"));
    for (protocol, version) in [("http/1.1", "HTTP/1.1"), ("h2", "HTTP/2.0")] {
        let bridge = securely(&files, secured(changing(shows(&pair, None, protocol)))).start();
        let reply = bridge.ask("pal");
        assert_eq!(reply.origin(), "forwarded");
        let path = format!("/old/{}", kit::COMMAND);
        assert_eq!(reply.header("x-version"), Some(&*format!("{version} {path:?}")));
    }
}

#[test]
fn whom_it_trusts_follows_its_file() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&other);
    let address = secured(changing(shows(&authority.signs("127.0.0.1"), None, "h2")));
    let bridge = securely(&files, address).start();
    assert_eq!(bridge.ask("pal").origin(), "fallback; class=unavailable");
    files.put("ca.pem", &authority.cert);
    eventually("it is trusted", || bridge.ask("pal").origin() == "forwarded");
}
