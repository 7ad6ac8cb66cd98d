//! The decision service misbehaves: OpenIM is answered all the same, in time, and the code tells the class of the error.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use bytes::Bytes;
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use kit::callback::{panics, remark_in};
use kit::frames::{
    Answer, CANCEL, ENHANCE_YOUR_CALM, HEADER_TABLE_SIZE, INADEQUATE_SECURITY, INITIAL_WINDOW_SIZE, INTERNAL_ERROR,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, NO_ERROR, Player, REFUSED_STREAM, allow, answer, grpc, http, plays, terms,
};
use kit::{BridgeBuilder, Client, Request, app, app_at, app_to_stop, bridge, eventually, ms, nowhere, peer};
use openim_bridge::callback::{BodyError, Callback, Codec, Question};
use openim_bridge::mock::CallStage;
use openim_bridge::openim::OperationId;
use openim_bridge::openim::RefusalCode;
use openim_bridge::policy::Action;
use openim_bridge::upstream::ErrorClass;

const TIMEOUT: i32 = 9920;
const UNAVAILABLE: i32 = 9921;
const OVERLOADED: i32 = 9922;
const DENIED: i32 = 9923;
const UNIMPLEMENTED: i32 = 9924;
const INVALID_REPLY: i32 = 9925;
const INTERNAL: i32 = 9926;

/// On which connections the requests came.
const ONCE: &[usize] = &[0];
const AGAIN: &[usize] = &[0, 0];
const AGAIN_ON_A_NEW_CONNECTION: &[usize] = &[0, 1];
const AGAIN_ON_NEW_CONNECTIONS: &[usize] = &[0, 1, 2, 3, 4];

/// Plays `answers`, the last one again and again, and demands the fallback of the class with this code.
#[track_caller]
fn fails<const N: usize>(answers: [Answer; N], code: i32, requests: &[usize]) {
    let player = plays(answers);
    bridge().asking_at(player.address).refusing().start().ask("pal").refuses(200, code);
    assert_eq!(player.requests(), requests);
}

/// Plays `answers`, of which the last one allows, and demands that nobody notices.
#[track_caller]
fn recovers<const N: usize>(answers: [Answer; N], requests: &[usize]) {
    let player = plays(answers);
    bridge().asking_at(player.address).refusing().start().ask("pal").goes_on_with("pal");
    assert_eq!(player.requests(), requests);
}

#[test]
fn every_status_has_its_class() {
    let app = app();
    let bridge = bridge().asking(&app).refusing().start();
    for (status, code) in [
        ("CANCELLED", TIMEOUT),
        ("UNKNOWN", INTERNAL),
        ("INVALID_ARGUMENT", INTERNAL),
        ("DEADLINE_EXCEEDED", TIMEOUT),
        ("NOT_FOUND", INTERNAL),
        ("ALREADY_EXISTS", INTERNAL),
        ("PERMISSION_DENIED", DENIED),
        ("RESOURCE_EXHAUSTED", OVERLOADED),
        ("FAILED_PRECONDITION", INTERNAL),
        ("ABORTED", INTERNAL),
        ("OUT_OF_RANGE", INTERNAL),
        ("UNIMPLEMENTED", UNIMPLEMENTED),
        ("INTERNAL", INTERNAL),
        ("UNAVAILABLE", UNAVAILABLE),
        ("DATA_LOSS", INTERNAL),
        ("UNAUTHENTICATED", DENIED),
    ] {
        bridge.ask(&format!("mock:status={status}")).refuses(200, code);
        let asked = if status == "UNAVAILABLE" { 2 } else { 1 };
        assert_eq!(app.calls(), asked, "of what was really sent, only UNAVAILABLE is asked for again: {status}");
    }
}

#[test]
fn the_default_is_to_allow_the_users_own_remark() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(150)).start();
    for remark in ["mock:hang", "mock:status=UNAVAILABLE", "mock:status=INTERNAL", "mock:invalid=unset"] {
        bridge.ask(remark).goes_on_with(remark);
    }
}

#[test]
fn one_class_may_have_another_action() {
    let app = app();
    let set = |class: ErrorClass, action| {
        bridge().asking(&app).with(|settings| settings.bridge.fallback.class[class as usize] = Some(action))
    };
    let careful = set(ErrorClass::Denied, Action::Refuse).start();
    careful.ask("mock:status=UNAUTHENTICATED").refuses(200, DENIED);
    careful.ask("mock:status=UNAVAILABLE").goes_on_with("mock:status=UNAVAILABLE");

    let lenient = set(ErrorClass::Unavailable, Action::Allow).refusing().start();
    lenient.ask("mock:status=UNAUTHENTICATED").refuses(200, DENIED);
    lenient.ask("mock:status=UNAVAILABLE").goes_on_with("mock:status=UNAVAILABLE");
}

#[test]
fn a_fallback_refusal_reads_as_configured() {
    let app = app();
    let told = bridge().asking(&app).refusing().start().ask("mock:status=INTERNAL");
    insta::assert_snapshot!(told.body, @r#"{"actionCode":0,"errCode":9926,"errMsg":"Please try again later","errDlt":"","nextCode":1,"remark":"mock:status=INTERNAL"}"#);

    let configured = bridge().asking(&app).refusing().with(|settings| {
        settings.bridge.fallback.refusal.code = RefusalCode::from_app(5005);
        settings.bridge.fallback.refusal.message = "Not now".to_owned();
        settings.bridge.fallback.refusal.detail = "no decision".to_owned();
    });
    let told = configured.start().ask("mock:status=INTERNAL");
    insta::assert_snapshot!(told.body, @r#"{"actionCode":0,"errCode":5005,"errMsg":"Not now","errDlt":"no decision","nextCode":1,"remark":"mock:status=INTERNAL"}"#);
}

#[test]
fn a_reply_without_a_valid_decision() {
    let app = app();
    let bridge = bridge().asking(&app).refusing().start();
    bridge.ask("mock:invalid=unset").refuses(200, INVALID_REPLY);
    bridge.ask("mock:invalid=empty").refuses(200, INVALID_REPLY);
    assert_eq!(app.calls(), 2, "nothing was asked twice");
}

#[test]
fn a_refusal_with_a_wrong_code_stays_a_refusal() {
    let app = app();
    let told = bridge().asking(&app).start().ask("mock:invalid=code");
    insta::assert_snapshot!(told.body, @r#"{"actionCode":0,"errCode":9925,"errMsg":"This is not allowed","errDlt":"","nextCode":1,"remark":"mock:invalid=code"}"#);
}

#[test]
fn hangs_after_taking_the_call() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(150)).refusing().start();
    let asked = Instant::now();
    bridge.ask("mock:hang").refuses(200, TIMEOUT);
    assert!(asked.elapsed() >= ms(150) * 99 / 100, "it has all of its time, but for the share kept for answering");
    bridge.ask("pal").goes_on_with("pal");
}

#[test]
fn accepts_the_connection_and_never_speaks() {
    let silent = peer(|mut stream| while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {});
    let bridge = bridge().asking_at(silent).timeout(ms(150)).refusing().start();
    bridge.ask("pal").refuses(200, TIMEOUT);
    bridge.ask("pal").refuses(200, TIMEOUT);
}

#[test]
fn refuses_connections() {
    bridge().asking_at(nowhere()).refusing().start().ask("pal").refuses(200, UNAVAILABLE);
}

/// A listener whose queue is full, so that the kernel answers no more SYN.
#[cfg(target_os = "linux")]
fn unreachable() -> (SocketAddr, impl Sized) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    socket.listen(0).expect("listens");
    let address = socket.local_addr().expect("an address").as_socket().expect("an IP address");
    let waiting: Vec<_> = std::iter::from_fn(|| TcpStream::connect_timeout(&address, ms(200)).ok()).take(16).collect();
    assert!(waiting.len() < 16, "the queue never fills");
    (address, (socket, waiting))
}

#[test]
#[cfg(target_os = "linux")]
fn cannot_be_connected_to_in_time() {
    let (address, _held) = unreachable();
    let connecting = |timeout: Duration| {
        bridge().asking_at(address).refusing().with(move |settings| settings.upstream.connect_timeout = timeout)
    };
    connecting(ms(50)).start().ask("pal").refuses(200, UNAVAILABLE);
    connecting(ms(10_000))
        .with(|settings| settings.bridge.decision.timeout = ms(150))
        .start()
        .ask("pal")
        .refuses(200, TIMEOUT);
}

#[test]
fn is_down_at_the_start_and_comes_up() {
    let first = app_to_stop();
    let address = first.address;
    first.stop();
    let bridge = bridge().asking_at(address).refusing().start();
    bridge.ask("pal").refuses(200, UNAVAILABLE);

    let app = app_at(address);
    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(app.calls(), 1);
}

#[test]
fn goes_away_and_comes_back() {
    let mut app = app_to_stop();
    let bridge = bridge().asking(&app).refusing().start();
    for _ in 0..3 {
        bridge.ask("pal").goes_on_with("pal");
        let address = app.address;
        app.stop();
        bridge.ask("pal").refuses(200, UNAVAILABLE);
        app = app_at(address);
    }
    bridge.ask("pal").goes_on_with("pal");
}

#[test]
fn resets_the_connection_mid_call() {
    fails([answer().resets()], UNAVAILABLE, AGAIN_ON_A_NEW_CONNECTION);
    recovers([answer().resets(), allow()], AGAIN_ON_A_NEW_CONNECTION);
}

#[test]
fn closes_the_connection_mid_call() {
    fails([answer().closes()], UNAVAILABLE, AGAIN_ON_A_NEW_CONNECTION);
    recovers([answer().closes(), allow()], AGAIN_ON_A_NEW_CONNECTION);
}

#[test]
fn says_that_it_goes_away() {
    let goes_away_and_closes = |code| answer().goes_away(code).reaches_the_bridge().closes();
    let goes_away = goes_away_and_closes(NO_ERROR);
    recovers([goes_away.clone(), allow()], AGAIN_ON_A_NEW_CONNECTION);
    // The connection stays open, but is of no use any more.
    recovers([answer().goes_away(NO_ERROR), allow()], AGAIN_ON_A_NEW_CONNECTION);
    // Nobody has looked at the call, wherever it went.
    recovers([goes_away.clone(), goes_away.clone(), allow()], &AGAIN_ON_NEW_CONNECTIONS[..3]);
    fails([goes_away], UNAVAILABLE, AGAIN_ON_NEW_CONNECTIONS);
    fails([goes_away_and_closes(ENHANCE_YOUR_CALM)], UNAVAILABLE, AGAIN_ON_A_NEW_CONNECTION);
}

#[test]
fn resets_one_stream() {
    // It says that it has not looked at the request.
    recovers([answer().reset(REFUSED_STREAM), allow()], AGAIN_ON_A_NEW_CONNECTION);
    fails([answer().reset(REFUSED_STREAM)], UNAVAILABLE, AGAIN_ON_A_NEW_CONNECTION);
    // These are statuses, by the table of gRPC over HTTP/2.
    fails([answer().reset(CANCEL)], TIMEOUT, ONCE);
    fails([answer().reset(INTERNAL_ERROR)], INTERNAL, ONCE);
    fails([answer().reset(NO_ERROR)], INTERNAL, ONCE);
    fails([answer().reset(ENHANCE_YOUR_CALM)], OVERLOADED, ONCE);
    fails([answer().reset(INADEQUATE_SECURITY)], DENIED, ONCE);
}

#[test]
fn nothing_is_sent_again_once_a_head_has_come() {
    fails([grpc().reaches_the_bridge().closes(), allow()], UNAVAILABLE, ONCE);
    fails([grpc().reaches_the_bridge().resets(), allow()], UNAVAILABLE, ONCE);
    fails([grpc().reset(INTERNAL_ERROR), allow()], INTERNAL, ONCE);
    fails([grpc().message(&[0x0a, 0]).reset(NO_ERROR), allow()], INTERNAL, ONCE);
    fails([grpc().message(&[0x0a, 0]).reset(CANCEL), allow()], TIMEOUT, ONCE);
    fails([grpc().message(b"").reaches_the_bridge().closes(), allow()], UNAVAILABLE, ONCE);
}

/// Without health checks, which would be requests too.
fn asking_alone(player: &Player) -> BridgeBuilder {
    bridge().asking_at(player.address).with(|settings| settings.upstream.health.interval = Duration::from_hours(1))
}

/// Once the bridge has heard what the service allows: these are decided, and all on its first connection.
#[track_caller]
fn are_decided(player: &Player, bridge: BridgeBuilder, remarks: [&str; 3]) {
    let bridge = bridge.refusing().start();
    eventually("it has said what it allows", || player.heard() > 0);
    for remark in remarks {
        bridge.ask(remark).goes_on_with(remark);
    }
    assert_eq!(player.requests(), [0, 0, 0]);
}

#[test]
fn a_call_is_answered_on_a_connection_that_is_to_go() {
    let player = plays([answer().will_go_away().reaches_the_bridge().then(allow()), allow()]);
    let bridge = asking_alone(&player).refusing().start();
    bridge.ask("pal").goes_on_with("pal");
    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(player.requests(), AGAIN_ON_A_NEW_CONNECTION);
}

#[test]
fn a_request_is_sent_as_far_as_the_service_opens_its_window() {
    let long = "pal".repeat(40_000);
    for window in [0, 1, 65_535] {
        let terms = terms().set(INITIAL_WINDOW_SIZE, window).opens_windows_by(5_000);
        let player = terms.plays([allow()]);
        are_decided(&player, asking_alone(&player).timeout(ms(14_000)), [&long; 3]);
    }
}

#[test]
fn a_request_that_is_not_read_holds_up_no_other_once_it_is_given_up() {
    // More than a connection's window in all, and less of each than would be sent at once.
    let player = terms().set(INITIAL_WINDOW_SIZE, 40_000).plays([allow()]);
    let bridge = asking_alone(&player).timeout(ms(150)).refusing().start();
    eventually("it has said what it allows", || player.heard() > 0);
    for _ in 0..3 {
        bridge.ask(&"pal".repeat(20_000)).refuses(200, TIMEOUT);
    }
    eventually("a short one is decided", || bridge.ask("pal").json()["nextCode"] == 0);
    assert!(player.requests().iter().all(|connection| *connection == 0), "the connection has ended");
}

#[test]
fn a_service_may_decide_before_it_has_read_the_request() {
    let unread = || terms().set(INITIAL_WINDOW_SIZE, 0).answers_heads();
    let long = "pal".repeat(40_000);
    for answer in [allow(), allow().reset(NO_ERROR), allow().reset(CANCEL)] {
        let player = unread().plays([answer]);
        are_decided(&player, asking_alone(&player), [&long; 3]);
    }
}

#[test]
fn a_service_may_set_what_it_likes_and_ping() {
    for (name, value) in
        [(HEADER_TABLE_SIZE, 0), (INITIAL_WINDOW_SIZE, u32::MAX >> 1), (MAX_FRAME_SIZE, (1 << 24) - 1), (0xff00, 1)]
    {
        let pings = (0..1000).fold(answer(), |answer, _| answer.pings());
        let player = terms().set(name, value).plays([pings.then(allow())]);
        are_decided(&player, asking_alone(&player), ["pal", &"pal".repeat(20_000), "pal"]);
    }
}

#[test]
fn what_comes_of_a_reply_that_is_too_large_uses_up_no_window() {
    let long =
        (0..8).fold(grpc().data(&[0, 0xff, 0xff, 0xff, 0xff], false), |reply, _| reply.data(&[0; 1 << 14], false));
    let player = terms().plays_by(move |request| if request < 12 { long.clone() } else { allow() });
    let bridge = asking_alone(&player).refusing().start();
    // More than is ever on its way.
    for _ in 0..12 {
        bridge.ask("pal").refuses(200, INVALID_REPLY);
    }
    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(player.requests(), [0; 13]);
}

#[test]
fn the_second_try_has_what_is_left_of_the_time() {
    let player = plays([answer().waits(ms(100)).closes(), answer()]);
    let bridge = bridge().asking_at(player.address).timeout(ms(300)).refusing().start();
    let asked = Instant::now();
    bridge.ask("pal").refuses(200, TIMEOUT);
    assert!(asked.elapsed() >= ms(300) * 99 / 100);
    assert_eq!(player.requests(), AGAIN_ON_A_NEW_CONNECTION);
}

#[test]
fn an_error_with_no_time_left_is_a_timeout() {
    let late = answer().waits(ms(196)).head(503, "text/html", true);
    let player = plays([late]);
    bridge().asking_at(player.address).timeout(ms(200)).refusing().start().ask("pal").refuses(200, TIMEOUT);
}

#[test]
fn answers_garbage() {
    for garbage in [
        &b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        &[0xff; 4096],
        &[0; 4096],
    ] {
        let peer = peer(move |mut stream| {
            // It may have been closed meanwhile.
            let _gone = stream.write_all(garbage);
            while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {}
        });
        bridge().asking_at(peer).refusing().start().ask("pal").refuses(200, UNAVAILABLE);
    }
}

#[test]
fn a_reply_that_is_no_good() {
    // Field 1 says a length of 127 that is not there.
    fails([grpc().message(&[0x0a, 0x7f]).trailers("0")], INVALID_REPLY, ONCE);
    fails([grpc().message(b"").trailers("0")], INVALID_REPLY, ONCE);
    // A decision that this bridge does not know.
    fails([grpc().message(&[0x7a, 0]).trailers("0")], INVALID_REPLY, ONCE);
    // No message, although all is said to be well.
    fails([grpc().trailers("0")], INTERNAL, ONCE);
    // No status, so that nobody knows whether this is all.
    fails([grpc().message(&[0x0a, 0]).data(b"", true)], INTERNAL, ONCE);
    // Compressed, which nobody has asked for, and with or without saying how.
    let gzip = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-encoding", "gzip")];
    fails([answer().headers(&gzip, false).data(&[1, 0, 0, 0, 0], false).trailers("0")], INTERNAL, ONCE);
    fails([grpc().data(&[1, 0, 0, 0, 0], false).trailers("0")], INTERNAL, ONCE);
    // A status that is none.
    fails([grpc().message(&[0x0a, 0]).trailers("many")], INTERNAL, ONCE);
}

#[test]
fn a_reply_of_two_messages_is_no_good() {
    let (allowed, refused) = ([0x0a, 0], [0x12, 3, 0x08, 0x89, 0x27]);
    for second in [&allowed[..], &refused, &[]] {
        fails([grpc().message(&allowed).message(second).trailers("0")], INVALID_REPLY, ONCE);
        fails([grpc().message(&refused).message(second).trailers("0")], INVALID_REPLY, ONCE);
    }
    // Not even whole.
    fails([grpc().message(&allowed).data(&[0], false).trailers("0")], INVALID_REPLY, ONCE);
}

#[test]
fn of_two_statuses_the_last_one_counts() {
    let head = |status| {
        answer().headers(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", status)], false)
    };
    recovers([head("7").message(&[0x0a, 0]).trailers("0")], ONCE);
    fails([head("0").message(&[0x0a, 0]).trailers("7")], DENIED, ONCE);
    fails([head("0").trailers("7")], DENIED, ONCE);
    fails([head("14").trailers("7")], DENIED, ONCE);
    // There is no other.
    fails([head("7").data(b"", true)], DENIED, ONCE);
    fails([head("7").reset(INTERNAL_ERROR)], DENIED, ONCE);
    recovers([head("0").message(&[0x0a, 0]).data(b"", true)], ONCE);
}

#[test]
fn empty_data_before_the_trailers_ends_no_connection() {
    for empty in [1, 3, 200] {
        let reply = (0..empty).fold(grpc().message(&[0x0a, 0]), |reply, _| reply.data(b"", false)).trailers("0");
        let player = plays([reply]);
        let bridge = asking_alone(&player).refusing().start();
        let mut client = bridge.connect();
        client.all_decided(250);
        assert!(player.requests().iter().all(|connection| *connection == 0), "{empty} a reply: it has ended");
    }
}

#[test]
fn a_status_is_its_code_whatever_comes_with_it() {
    // Not base64, and too short for it.
    for details in ["!", "=", "a", "CAUSA%"] {
        fails([grpc().trailers_with("7", "grpc-status-details-bin", details)], DENIED, ONCE);
        recovers([grpc().trailers_with("14", "grpc-status-details-bin", details), allow()], AGAIN);
    }
    // The message in another encoding than UTF-8, and what is no percent-encoding.
    for message in ["%b7%fe%ce%f1", "%ff", "%", "%zz"] {
        fails([grpc().trailers_with("7", "grpc-message", message)], DENIED, ONCE);
        recovers([grpc().trailers_with("14", "grpc-message", message), allow()], AGAIN);
    }
}

#[test]
fn an_answer_that_is_not_http_is_not_asked_for_again() {
    let grpc_with = |name: &'static str, value: &'static str| {
        answer().headers(&[(":status", "200"), ("content-type", "application/grpc"), (name, value)], false)
    };
    // No status, and a length that is none.
    fails([answer().headers(&[("content-type", "application/grpc")], true)], INTERNAL, ONCE);
    fails([grpc_with("content-length", "many").message(&[0x0a, 0]).trailers("0")], INTERNAL, ONCE);
    // Shorter, and longer, than it says.
    fails([grpc_with("content-length", "99").message(&[0x0a, 0]).trailers("0")], INTERNAL, ONCE);
    fails([grpc_with("content-length", "1").message(&[0x0a, 0]).trailers("0")], INTERNAL, ONCE);
    // Trailers that are not the end.
    fails([grpc().message(&[0x0a, 0]).headers(&[("grpc-status", "0")], false)], INTERNAL, ONCE);
    // More headers than the bridge has said that it takes. Each counts for 32 bytes more than it has.
    let refused = [[(":status", "200"), ("grpc-status", "7")].as_slice(), &[("x", ""); 500]].concat();
    fails([answer().headers(&refused, true)], INTERNAL, ONCE);
}

#[test]
fn interim_responses_are_passed_over() {
    let interim = |status| answer().headers(&[(":status", status)], false);
    let decided = |answer: Answer| answer.head(200, "application/grpc", false).message(&[0x0a, 0]).trailers("0");
    recovers([decided(interim("100"))], ONCE);
    recovers([decided(interim("103").headers(&[(":status", "103"), ("link", "x")], false))], ONCE);
    // And nothing comes after them.
    fails([interim("103").trailers("0")], INTERNAL, ONCE);
}

#[test]
fn a_reply_that_is_too_large_is_not_waited_for() {
    // 4 GiB are announced.
    fails([grpc().data(&[0, 0xff, 0xff, 0xff, 0xff], false)], INVALID_REPLY, ONCE);
    // Three times what a decision on a few bytes can be, without a word of how long it is.
    let beyond = (0..12).fold(grpc(), |reply, _| reply.data(&[0; 1 << 14], false));
    fails([beyond], INVALID_REPLY, ONCE);
}

#[test]
fn a_reply_that_is_too_large_counts_against_nobody_else() {
    let long = || grpc().data(&[0, 0xff, 0xff, 0xff, 0xff], false);
    let player = terms().plays_by(move |request| if request < 20 { long() } else { allow() });
    let bridge = asking_alone(&player).refusing().admin().start();
    for _ in 0..20 {
        bridge.ask("pal").refuses(200, INVALID_REPLY);
    }
    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(player.requests(), [0; 21], "the connection stays, and the endpoint is not ejected");
    let sample = bridge.scrape();
    assert_eq!(sample["openim_bridge_breaker_open"].to_bits(), 0.0_f64.to_bits());
}

#[test]
fn something_else_answers_in_its_place() {
    for (status, code) in [
        (400, INTERNAL),
        (401, DENIED),
        (403, DENIED),
        (404, UNIMPLEMENTED),
        (429, UNAVAILABLE),
        (500, INTERNAL),
        (502, UNAVAILABLE),
        (503, UNAVAILABLE),
        (504, UNAVAILABLE),
    ] {
        let asked = if code == UNAVAILABLE { AGAIN } else { ONCE };
        fails([http(status), http(status)], code, asked);
        let page = || answer().head(status, "text/html", true);
        fails([page(), page()], code, asked);
    }
    // A page of an HTTP server: what is in it is no message.
    fails([http(200)], INTERNAL, ONCE);
}

#[test]
fn a_client_that_leaves_cancels_the_call() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(14_000)).start();
    let asked = Instant::now();
    let mut client = bridge.connect();
    client.write(&Request::new().remark("mock:hang").bytes());
    assert_eq!(app.next_event().stage, CallStage::Received);
    client.leave();
    assert_eq!(app.next_event().stage, CallStage::Cancelled);
    assert!(asked.elapsed() < ms(13_000), "it ended by itself");
    eventually("nothing is held", || bridge.server.load().in_flight == 0);
}

/// How many calls that are given up are cancelled at once.
const RESETS_AT_ONCE: usize = 8;

/// As reactor-netty, grpc-node and h2 do, a service may end a connection on which many calls are cancelled.
#[test]
fn calls_that_are_given_up_do_not_look_like_an_attack() {
    // A few of many places, and all of few.
    for (places, given_up) in [(1000, 60), (100, 100)] {
        let service = terms().set(MAX_CONCURRENT_STREAMS, places);
        let service = service.plays_by(move |request| if request < given_up { answer() } else { allow() });
        let bridge = bridge().asking_at(service.address).refusing().timeout(ms(14_000)).start();
        let mut clients: Vec<_> = (0..given_up).map(|_| bridge.connect()).collect();
        for client in &mut clients {
            client.write(&Request::new().bytes());
        }
        eventually("all are asked", || service.requests().len() == given_up);
        clients.into_iter().for_each(Client::leave);
        eventually("nobody waits", || bridge.server.load().in_flight == 0);
        bridge.ask("pal").goes_on_with("pal");
        assert_eq!(service.requests(), vec![0; given_up + 1], "all on one connection");
        let resets = service.resets();
        assert!((1..=RESETS_AT_ONCE).contains(&resets), "{resets} resets");
    }
}

#[test]
fn calls_that_are_given_up_and_never_end_do_not_keep_their_places_from_others() {
    const PLACES: usize = 20;
    const GIVEN_UP: usize = PLACES + RESETS_AT_ONCE;
    let service = terms().set(MAX_CONCURRENT_STREAMS, u32::try_from(PLACES).expect("few"));
    let service = service.plays_by(|request| if request < GIVEN_UP { answer() } else { allow() });
    let bridge = bridge()
        .asking_at(service.address)
        .refusing()
        .with(|settings| settings.upstream.connections = NonZeroUsize::MIN)
        .timeout(ms(14_000))
        .start();
    eventually("it has said what it allows", || service.heard() > 0);
    for number in 0..GIVEN_UP {
        let mut client = bridge.connect();
        client.write(&Request::new().bytes());
        eventually("it is asked", || service.requests().len() > number);
        client.leave();
        eventually("nobody waits", || bridge.server.load().in_flight == 0);
    }
    let asked = Instant::now();
    bridge.ask("pal").goes_on_with("pal");
    assert!(asked.elapsed() < ms(9_000), "{:?}", asked.elapsed());
    assert_eq!(service.requests(), [0; GIVEN_UP + 1], "all on one connection");
}

fn panics_early(callback: &'static Callback, body: Bytes, id: &OperationId) -> Result<Question, BodyError> {
    assert_ne!(remark_in(&body), "early", "another bug, on purpose");
    (Codec::TABLES.decode)(callback, body, id)
}

const PANICS: Codec = Codec { decode: panics_early, read: panics };

#[test]
fn a_panic_in_the_bridge_is_answered_and_harms_nobody_else() {
    let app = app();
    let start = || bridge().asking(&app).coded_by(PANICS);
    let lenient = start().start();
    let careful = start().refusing().start();
    let mut kept = careful.connect();
    for remark in ["early", "late", "early"] {
        // What could not be read cannot be repeated.
        let reply = lenient.ask(remark);
        if remark == "early" {
            reply.goes_on();
        } else {
            reply.goes_on_with(remark);
        }
        kept.write(&Request::new().remark(remark).bytes());
        kept.reply().refuses(200, INTERNAL);
    }
    assert_eq!(careful.server.load().in_flight, 0);
    eventually("nothing is held", || careful.server.load().body_bytes == 0);
}
