//! Roll-out: whose callbacks the decision service decides, and what happens to the others'.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use bytes::Bytes;
use std::{
    num::{NonZeroU16, NonZeroUsize},
    time::Duration,
};

use kit::callback::{panics, remark_in};
use kit::{App, Bridge, BridgeBuilder, COMMAND, PATIENCE, Request, app, bridge, eventually, log, ms};
use openim_bridge::callback::{BodyError, Callback, Codec, Question};
use openim_bridge::openim::OperationId;
use openim_bridge::policy::Percent;
use openim_bridge::server::Load;

/// Longer than any test waits: what comes earlier was not waited for.
const LONG: Duration = ms(14_000);

const REFUSE: &str = "mock:refuse=5001,No";

/// A bridge that decides for this share of the owners, and whose log is kept.
fn enforcing(percent: u8) -> BridgeBuilder {
    log::keep();
    bridge()
        .with(|settings| settings.bridge.decision.enforce_percent = Percent::try_from(percent).expect("a percentage"))
}

/// The one line about a callback: level, outcome, source, reason. No more than ten warnings a second are logged: these
/// tests together bring about fewer.
#[track_caller]
fn recorded(operation_id: &str) -> String {
    eventually("the callback is recorded", || !log::of(operation_id).is_empty());
    let lines = log::of(operation_id);
    assert_eq!(lines.len(), 1, "recorded once: {lines:?}");
    let of = |field: &str| lines[0][field].as_str().unwrap_or("-").to_owned();
    [of("level"), of("outcome"), of("source"), of("reason")].join(" ")
}

fn request(operation_id: &str, remark: &str) -> Request {
    Request::new().header("operationID", operation_id).remark(remark)
}

#[track_caller]
fn holds_nothing(bridge: &Bridge) {
    eventually("nothing is held", || {
        bridge.server.load() == Load { connections: 0, in_flight: 0, body_bytes: 0, queued: 0 }
    });
}

#[test]
fn at_0_percent_all_is_allowed_and_the_app_is_asked_all_the_same() {
    let app = app();
    let bridge = enforcing(0).asking(&app).start();
    for (operation_id, remark, expected) in [
        ("shadow-refuse", REFUSE, "DEBUG refuse shadow -"),
        ("shadow-replace", "mock:replace=Another", "DEBUG change shadow -"),
        ("shadow-allow", "pal", "DEBUG allow shadow -"),
    ] {
        let reply = bridge.send(&request(operation_id, remark));
        reply.goes_on_with(remark);
        assert_eq!(reply.origin(), "shadow");
        let call = app.next_call();
        assert_eq!((call.text("ownerUserID"), call.text("remark"), &*call.operation_id), ("u1", remark, operation_id));
        assert_eq!(recorded(operation_id), expected);
        assert!(!format!("{:?}", log::of(operation_id)).contains("Another"), "a remark is logged");
    }
    holds_nothing(&bridge);
}

#[test]
fn at_100_percent_which_is_the_default_the_app_decides() {
    let app = app();
    for (operation_id, bridge) in [
        ("all", enforcing(100)),
        (
            "default",
            enforcing(0).with(|settings| {
                settings.bridge.decision = openim_bridge::server::Settings::default().bridge.decision;
            }),
        ),
    ] {
        bridge.asking(&app).start().send(&request(operation_id, REFUSE)).refuses(200, 5001);
        assert_eq!(recorded(operation_id), "DEBUG refuse decision -");
    }
}

#[test]
fn in_the_shadow_a_fallback_is_a_warning_and_refuses_nobody() {
    let app = app();
    for (operation_id, remark, timeout, reason) in [
        ("shadow-unavailable", "mock:status=UNAVAILABLE", LONG, "unavailable"),
        ("shadow-unset", "mock:invalid=unset", LONG, "invalid_reply"),
        ("shadow-timeout", "mock:hang", ms(200), "timeout"),
    ] {
        let bridge = enforcing(0).asking(&app).refusing().timeout(timeout).start();
        bridge.send(&request(operation_id, remark)).goes_on_with(remark);
        assert_eq!(recorded(operation_id), format!("WARN refuse shadow {reason}"));
        holds_nothing(&bridge);
    }
}

/// Which of so many owners are refused, all on one connection. All of them are asked about.
fn refused(owners: usize, app: &App, bridge: &Bridge) -> Vec<bool> {
    let mut client = bridge.connect();
    let refused = (0..owners).map(|number| {
        client.write(&Request::new().callback(COMMAND, &format!("user-{number}"), "u2", REFUSE).bytes());
        client.reply().json()["nextCode"] == 1
    });
    let refused: Vec<bool> = refused.collect();
    for _ in 0..owners {
        app.next_call();
    }
    refused
}

#[test]
fn at_50_percent_it_is_the_same_half_of_the_owners_always() {
    let app = app();
    let half = refused(1000, &app, &enforcing(50).asking(&app).start());
    let count = half.iter().filter(|refused| **refused).count();
    assert!((450..=550).contains(&count), "{count} of 1,000");

    let workers = |bridge: BridgeBuilder| bridge.with(|settings| settings.workers = NonZeroU16::new(2).expect("2"));
    let half = &half[..200];
    assert_eq!(refused(200, &app, &workers(enforcing(50)).asking(&app).start()), half, "another bridge");
    let more = refused(200, &app, &enforcing(75).asking(&app).start());
    assert!(half.iter().zip(&more).all(|(half, more)| *more || !half), "who was in stays in");
    assert_ne!(more, half);
}

#[test]
fn an_app_that_hangs_delays_nobody_in_the_shadow() {
    let app = app();
    let bridge = enforcing(0).asking(&app).timeout(LONG).start();
    let mut client = bridge.connect();
    for number in 1..=3 {
        client.write(&Request::new().remark("mock:hang").bytes());
        client.reply().goes_on_with("mock:hang");
        app.next_call();
        assert_eq!(bridge.server.load().in_flight, number, "still being decided");
    }
    client.leave();
    eventually("the connection is closed", || bridge.server.load().connections == 0);
    assert_eq!(bridge.server.load().in_flight, 3, "nothing of it hangs on the connection");
    assert!(bridge.server.load().body_bytes > 0, "what is asked is still held");
}

#[test]
fn the_callbacks_in_flight_are_limited_in_the_shadow_too() {
    let app = app();
    let limit = NonZeroUsize::new(2).expect("2");
    let bridge =
        enforcing(0).asking(&app).timeout(LONG).with(|settings| settings.bridge.limits.in_flight = limit).start();
    for _ in 0..2 {
        bridge.ask("mock:hang").goes_on_with("mock:hang");
        app.next_call();
    }
    bridge.send(&request("shadow-overloaded", REFUSE)).goes_on_with(REFUSE);
    assert_eq!(recorded("shadow-overloaded"), "WARN allow shadow overloaded");
    assert_eq!(bridge.server.load().in_flight, 2);
    assert_eq!(app.calls(), 0, "what is over the limit is not asked");
}

#[test]
fn a_callback_that_finds_no_room_is_refused_in_the_shadow_only() {
    let room = |percent| {
        enforcing(percent).refusing().timeout(LONG).with(|settings| {
            settings.bridge.limits.request_bytes = NonZeroUsize::new(100_000).expect("not zero");
            settings.bridge.limits.body_bytes = NonZeroUsize::new(250_000).expect("not zero");
        })
    };
    let large = Request::new().remark(&"r".repeat(90_000)).bytes();
    let without_its_end = &large[..large.len() - 1];
    let no_room = |bridge: &Bridge| {
        let mut slow = bridge.connect();
        slow.write(without_its_end);
        eventually("a body is held", || bridge.server.load().body_bytes > 180_000);
        let mut client = bridge.connect();
        client.write(without_its_end);
        // The one that has waited longer is given up.
        slow.reply()
    };
    no_room(&room(0).start()).goes_on();
    // Whose it is was not read.
    no_room(&room(1).start()).refuses(200, 9922);
}

#[test]
fn a_drain_waits_for_what_is_asked_in_the_shadow() {
    let app = app();
    let mut bridge = enforcing(0).asking(&app).timeout(ms(500)).start();
    bridge.send(&request("shadow-drain", "mock:hang")).goes_on_with("mock:hang");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    assert!(runtime.block_on(bridge.server.drain(Duration::ZERO, PATIENCE)));
    assert_eq!(log::of("shadow-drain").len(), 1, "recorded before the end");
}

fn panics_early(callback: &'static Callback, body: Bytes, id: &OperationId) -> Result<Question, BodyError> {
    assert_ne!(remark_in(&body), "a bug in reading", "on purpose");
    (Codec::TABLES.decode)(callback, body, id)
}

const PANICS: Codec = Codec { decode: panics_early, read: panics };

#[test]
fn a_panic_in_the_shadow_is_recorded_and_refuses_nobody() {
    let app = app();
    let bridge = enforcing(0).asking(&app).refusing().coded_by(PANICS).start();
    bridge.send(&request("shadow-panic", "pal")).goes_on_with("pal");
    assert_eq!(recorded("shadow-panic"), "WARN refuse shadow internal");
    bridge.ask("a bug in reading").goes_on();
    holds_nothing(&bridge);
}
