//! Workers, and the bounds on what the whole process takes in.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::num::{NonZeroU16, NonZeroUsize};

use kit::{Bridge, Client, Request, app, bridge, eventually, ms};
use openim_bridge::callback::Callbacks;
use openim_bridge::server::Settings;
use openim_bridge::server::{Load, Server, StartError};

const OVERLOADED: i32 = 9922;
/// Longer than any test waits: what comes earlier was not waited for.
const LONG: std::time::Duration = ms(14_000);

fn some(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("not zero")
}

fn workers(number: u16) -> impl Fn(&mut Settings) {
    move |settings| settings.workers = NonZeroU16::new(number).expect("not zero")
}

/// Sends a request whose decision never comes.
fn hang(bridge: &Bridge) -> Client {
    let mut client = bridge.connect();
    client.write(&Request::new().remark("mock:hang").bytes());
    client
}

#[track_caller]
fn holds_nothing(bridge: &Bridge) {
    eventually("nothing is held", || {
        bridge.server.load() == Load { connections: 0, in_flight: 0, body_bytes: 0, queued: 0 }
    });
}

#[test]
fn beyond_the_calls_in_flight_the_fallback_comes_at_once() {
    let app = app();
    let start = || bridge().asking(&app).timeout(LONG).with(|settings| settings.bridge.limits.in_flight = some(2));
    let bridge = start().refusing().start();

    let hung = [hang(&bridge), hang(&bridge)];
    let _asked = [app.next_call(), app.next_call()];
    assert_eq!(bridge.server.load().in_flight, 2);
    bridge.ask("pal").refuses(200, OVERLOADED);
    bridge.ask("pal").refuses(200, OVERLOADED);

    let [one, other] = hung;
    one.leave();
    eventually("one is in flight", || bridge.server.load().in_flight == 1);
    bridge.ask("pal").goes_on_with("pal");
    other.leave();
    holds_nothing(&bridge);
    assert_eq!(app.calls(), 1, "what is over the limit is not asked");
}

#[test]
fn a_callback_over_the_limit_that_is_allowed_keeps_its_remark() {
    let app = app();
    let bridge =
        bridge().asking(&app).timeout(LONG).with(|settings| settings.bridge.limits.in_flight = some(1)).start();
    let _hung = hang(&bridge);
    app.next_call();
    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(app.calls(), 0);
}

#[test]
fn the_calls_in_flight_are_those_of_all_workers() {
    let app = app();
    let bridge = bridge()
        .asking(&app)
        .timeout(LONG)
        .refusing()
        .with(workers(2))
        .with(|settings| settings.bridge.limits.in_flight = some(16))
        .start();
    let hung: Vec<_> = (0..16).map(|_| hang(&bridge)).collect();
    eventually("16 are in flight", || bridge.server.load().in_flight == 16);
    for _ in 0..16 {
        bridge.ask("mock:hang").refuses(200, OVERLOADED);
    }
    drop(hung);
    holds_nothing(&bridge);
}

/// A request with a remark of this many bytes, and where its last byte begins.
fn large(bytes: usize) -> (Vec<u8>, usize) {
    let request = Request::new().remark(&"r".repeat(bytes)).bytes();
    let last = request.len() - 1;
    (request, last)
}

#[test]
fn the_body_too_many_gets_the_fallback() {
    let app = app();
    for number in [1, 2] {
        let start = || {
            bridge().asking(&app).timeout(LONG).with(workers(number)).with(|settings| {
                settings.bridge.limits.request_bytes = some(100_000);
                settings.bridge.limits.body_bytes = some(250_000);
            })
        };
        for bridge in [start().start(), start().refusing().start()] {
            let (request, last) = large(90_000);
            let mut slow = [bridge.connect(), bridge.connect()];
            for client in &mut slow {
                client.write(&request[..last]);
            }
            eventually("two bodies are held", || bridge.server.load().body_bytes > 180_000);

            let mut client = bridge.connect();
            client.write(&request[..last]);
            let reply = client.reply();
            assert!(reply.announces_close(), "its body was not read");
            if reply.json()["nextCode"] == 1 {
                reply.refuses(200, OVERLOADED);
            } else {
                // The remark was not read: OpenIM keeps its user's.
                reply.goes_on();
            }
            client.leave();
            assert_eq!(app.calls(), 0, "none is whole yet");
            bridge.ask("pal").goes_on_with("pal");
            assert_eq!(app.calls(), 1, "a small one still finds room");

            for client in &mut slow {
                client.write(&request[last..]);
                client.reply().goes_on_with(&"r".repeat(90_000));
            }
            assert_eq!(app.calls(), 2);
            drop(slow);
            holds_nothing(&bridge);
        }
    }
}

#[test]
fn bodies_that_never_end_give_back_what_they_held() {
    let bridge = bridge().timeout(LONG).start();
    let (request, last) = large(90_000);
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = bridge.connect();
            client.write(&request[..last]);
            client
        })
        .collect();
    eventually("all are held", || bridge.server.load().body_bytes > 20 * 90_000);
    clients.into_iter().for_each(Client::leave);
    holds_nothing(&bridge);
}

#[test]
fn four_workers_answer_on_one_port() {
    let app = app();
    let bridge = bridge().asking(&app).with(workers(4)).start();
    assert_ne!(bridge.address().port(), 0);
    let mut clients: Vec<_> = (0..64).map(|_| bridge.connect()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.write(&Request::new().bytes());
        }
        for client in &mut clients {
            client.reply().goes_on_with("pal");
        }
    }
    assert_eq!(bridge.server.load(), Load { connections: 64, in_flight: 0, body_bytes: 0, queued: 0 });
    assert_eq!(app.calls(), 128);
    drop(clients);
    holds_nothing(&bridge);
}

#[test]
fn a_second_server_on_the_port_fails_and_takes_nothing() {
    let app = app();
    for (first, second) in [(1, 1), (1, 4), (4, 1), (4, 4)] {
        let bridge = bridge().asking(&app).with(workers(first)).start();
        let mut settings = Settings { listen: bridge.address(), ..Settings::default() };
        settings.admin.listen = None;
        workers(second)(&mut settings);
        match Server::start(settings, Callbacks::all()) {
            Err(error @ StartError::Bind { address, .. }) => {
                assert_eq!(address, bridge.address());
                assert!(error.to_string().contains(&address.to_string()), "{error}");
            }
            other => panic!("{first} and {second} workers share a port: {other:?}"),
        }
        for _ in 0..16 {
            bridge.ask("pal").goes_on_with("pal");
        }
    }
}
