//! Workers, and the bounds on what the whole process takes in.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::num::{NonZeroU16, NonZeroUsize};

use kit::{Bridge, Client, Request, app, app_ruled_by, bridge, eventually, ms};
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
fn the_unfinished_body_that_has_waited_longest_gets_the_fallback() {
    let app = app();
    for number in [1, 2] {
        let start = || {
            bridge().asking(&app).timeout(LONG).with(workers(number)).with(|settings| {
                settings.bridge.limits.request_bytes = some(100_000);
                // For two: a body counts twice, and a quarter is for small ones.
                settings.bridge.limits.body_bytes = some(600_000);
            })
        };
        for bridge in [start().start(), start().refusing().start()] {
            let (request, last) = large(90_000);
            let mut slow = [bridge.connect(), bridge.connect(), bridge.connect()];
            for (number, client) in slow.iter_mut().enumerate() {
                client.write(&request[..last]);
                let held = 180_000 * (number + 1).min(2);
                eventually("it is held", || bridge.server.load().body_bytes > held);
            }
            let [given_up, ref mut others @ ..] = slow;
            let mut given_up = given_up;
            let reply = given_up.reply();
            assert!(reply.announces_close(), "its body was not read");
            if reply.json()["nextCode"] == 1 {
                reply.refuses(200, OVERLOADED);
            } else {
                // The remark was not read: OpenIM keeps its user's.
                reply.goes_on();
            }
            given_up.leave();
            assert_eq!(app.calls(), 0, "none is whole yet");
            for client in others {
                client.write(&request[last..]);
                client.reply().goes_on_with(&"r".repeat(90_000));
            }
            assert_eq!(app.calls(), 2);
            holds_no_bytes(&bridge);
        }
    }
}

#[track_caller]
fn holds_no_bytes(bridge: &Bridge) {
    eventually("no bytes are held", || bridge.server.load().body_bytes == 0);
}

#[test]
fn small_bodies_are_decided_beside_any_number_of_large_unfinished_ones() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(LONG).with(|settings| {
        settings.bridge.limits.request_bytes = some(100_000);
        settings.bridge.limits.body_bytes = some(600_000);
    });
    let bridge = bridge.start();
    let (request, last) = large(90_000);
    let mut slow = Vec::new();
    for _ in 0..32 {
        let mut client = bridge.connect();
        client.write(&request[..last]);
        slow.push(client);
        bridge.ask("mock:refuse=5001,no").refuses(200, 5001);
    }
    eventually("two are held", || bridge.server.load().body_bytes > 360_000);
    drop(slow);
    holds_nothing(&bridge);
}

#[test]
fn what_is_asked_is_not_given_up_for_a_body_that_comes() {
    let app = app_ruled_by("rules:\n  - when: {}\n    then: allow\n    delay: 2s\n");
    let bridge = bridge().asking(&app).timeout(LONG).refusing().with(|settings| {
        settings.bridge.limits.request_bytes = some(100_000);
        settings.bridge.limits.body_bytes = some(600_000);
    });
    let bridge = bridge.start();
    let (request, _) = large(90_000);
    let ask = |_| {
        let mut client = bridge.connect();
        client.write(&request);
        client
    };
    let mut asked: Vec<_> = (0..2).map(ask).collect();
    let _asked = [app.next_call(), app.next_call()];
    // Body and question are held while the service is asked.
    assert!(bridge.server.load().body_bytes > 360_000);
    let mut client = ask(2);
    client.reply().refuses(200, OVERLOADED);
    bridge.ask("pal").goes_on_with("pal");
    for client in &mut asked {
        client.reply().goes_on_with(&"r".repeat(90_000));
    }
    drop((asked, client));
    holds_nothing(&bridge);
}

#[test]
fn beyond_the_connections_the_one_that_is_idle_longest_is_told_to_close() {
    let app = app();
    let bridge = bridge().asking(&app).with(|settings| settings.connections = Some(some(3))).start();
    let mut kept: Vec<_> = (0..3).map(|_| bridge.connect()).collect();
    for client in &mut kept {
        client.write(&Request::new().bytes());
        assert!(!client.reply().announces_close());
        std::thread::sleep(ms(5));
    }
    // It waits for nobody to be answered, since one more is accepted, which leaves when it has its answer.
    assert!(bridge.ask("pal").announces_close());
    for (number, client) in kept.iter_mut().enumerate().rev() {
        client.write(&Request::new().bytes());
        let reply = client.reply();
        reply.goes_on_with("pal");
        assert_eq!(reply.announces_close(), number == 0, "connection {number}");
    }
    eventually("it has closed", || bridge.server.load().connections == 2);
}

#[test]
fn a_silent_connection_goes_before_one_that_has_spoken() {
    let app = app();
    let bridge = bridge().asking(&app).with(|settings| settings.connections = Some(some(3))).start();
    let mut kept = bridge.connect();
    kept.write(&Request::new().bytes());
    kept.reply().goes_on_with("pal");
    let silent: Vec<_> = (0..20).map(|_| bridge.connect()).collect();
    eventually("the silent ones make room for each other", || {
        bridge.server.load().connections <= 4 && bridge.ask("pal").json()["nextCode"] == 0
    });
    kept.write(&Request::new().bytes());
    assert!(!kept.reply().announces_close());
    drop(silent);
}

#[test]
fn connections_are_counted_with_what_they_hold() {
    let app = app();
    let bridge = bridge().asking(&app).admin().with(|settings| settings.connection_bytes = Some(200_000)).start();
    let mut kept = bridge.connect();
    kept.write(&Request::new().bytes());
    kept.reply().goes_on_with("pal");
    let silent: Vec<_> = (0..50).map(|_| bridge.connect()).collect();
    eventually("most are turned out", || bridge.ask("pal").json()["nextCode"] == 0);
    let sample = bridge.scrape();
    assert!(sample["openim_bridge_connections"] <= 22.0, "{sample:?}");
    assert!(sample["openim_bridge_connection_bytes"] <= 230_000.0, "{sample:?}");
    assert_eq!(sample["openim_bridge_connections_limit"].to_bits(), 21.0_f64.to_bits());
    kept.write(&Request::new().bytes());
    assert!(!kept.reply().announces_close());
    drop((silent, kept));
    eventually("nothing is held", || bridge.scrape()["openim_bridge_connection_bytes"] < 1.0);
}

#[test]
fn connections_that_have_been_idle_longest_hold_no_buffers() {
    let app = app();
    let bridge = bridge().asking(&app).admin().with(workers(1)).start();
    let request = Request::new().bytes();
    let (first, second) = request.split_at(request.len() / 3);
    // A part of its next request was read with the one before.
    let mut early = bridge.connect();
    early.write(&[&request, first].concat());
    early.reply().goes_on_with("pal");
    let mut clients: Vec<_> = (0..400).map(|_| bridge.connect()).collect();
    let mut ask_all = || {
        for client in &mut clients {
            client.write(&request);
            let reply = client.reply();
            assert!(!reply.announces_close());
            reply.goes_on_with("pal");
        }
    };
    for _ in 0..2 {
        ask_all();
        // Each is 9 KiB. Of 256, and not many more, the 8 KiB for reading are held.
        eventually("they rest", || {
            bridge.scrape()["openim_bridge_connection_bytes"] < 1024.0 * (401.0 * 9.0 + 300.0 * 8.0)
        });
    }
    early.write(second);
    early.reply().goes_on_with("pal");
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
    // What an answer holds goes once it has been written, and its client may have read it before.
    let idle = Load { connections: 64, in_flight: 0, body_bytes: 0, queued: 0 };
    eventually("nothing but connections is held", || bridge.server.load() == idle);
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
