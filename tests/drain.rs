//! Stopping: every answer announces it, and nothing that was accepted is left without an answer.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{net::TcpStream, thread, time::Duration};

use kit::callback::{Gate, STOPS, set, wait_until};
use kit::{App, Bridge, PATIENCE, Request, app, bridge, eventually, ms};
use openim_bridge::mock::CallStage;
use openim_bridge::server::Load;

const TIMEOUT: i32 = 9920;

/// Drains, and says whether all was done in time. The announcement is out when this returns.
fn drain(mut bridge: Bridge, delay: Duration, timeout: Duration) -> thread::JoinHandle<(bool, Bridge)> {
    bridge.server.announce();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        let done = runtime.block_on(bridge.server.drain(delay, timeout));
        (done, bridge)
    })
}

#[track_caller]
fn is_done(draining: thread::JoinHandle<(bool, Bridge)>) {
    let (done, bridge) = draining.join().expect("the drain ends");
    assert!(done, "not done in time");
    assert_eq!(bridge.server.load(), Load { connections: 0, in_flight: 0, body_bytes: 0, queued: 0 });
    assert!(TcpStream::connect(bridge.address()).is_err(), "the port still takes connections");
}

fn with_app() -> (App, Bridge) {
    let app = app();
    let bridge = bridge().asking(&app).start();
    (app, bridge)
}

#[test]
fn an_announcement_closes_each_connection_with_its_next_answer() {
    let (_app, bridge) = with_app();
    let mut kept = bridge.connect();
    kept.write(&Request::new().bytes());
    assert!(!kept.reply().announces_close());

    bridge.server.announce();
    assert!(bridge.ask("pal").announces_close(), "new connections are still accepted");
    assert!(bridge.send(&Request::new().target("/")).announces_close(), "whatever the answer");
    kept.write(&Request::new().bytes());
    let reply = kept.reply();
    reply.goes_on_with("pal");
    assert!(reply.announces_close());
    assert!(kept.is_closed());
    bridge.ask("pal").goes_on_with("pal");
}

#[test]
fn what_is_in_flight_is_answered_and_idle_connections_close_last() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(14_000)).start();
    let address = bridge.address();
    let mut kept = bridge.connect();
    kept.write(&Request::new().bytes());
    assert!(!kept.reply().announces_close());
    let mut used_late = bridge.connect();
    used_late.write(&Request::new().bytes());
    used_late.reply().goes_on_with("pal");
    let mut silent = bridge.connect();
    let mut hung = bridge.connect();
    hung.write(&Request::new().remark("mock:hang").bytes());
    while app.next_event().call.text("remark") != "mock:hang" {}

    let draining = drain(bridge, Duration::ZERO, PATIENCE);
    eventually("the port is closed", || TcpStream::connect(address).is_err());
    used_late.write(&Request::new().bytes());
    let reply = used_late.reply();
    reply.goes_on_with("pal");
    assert!(reply.announces_close());

    // The mock ends its calls when it ends.
    app.stop();
    let reply = hung.reply();
    reply.goes_on_with("mock:hang");
    assert!(reply.announces_close());
    assert!(hung.is_closed());
    assert!(kept.is_closed());
    assert!(silent.is_closed());
    is_done(draining);
}

#[test]
fn new_connections_are_served_during_the_delay() {
    let (_app, bridge) = with_app();
    let address = bridge.address();
    let mut early = kit::Client::connect(address);
    let draining = drain(bridge, ms(300), PATIENCE);
    let mut late = kit::Client::connect(address);
    for client in [&mut late, &mut early] {
        client.write(&Request::new().bytes());
        let reply = client.reply();
        reply.goes_on_with("pal");
        assert!(reply.announces_close());
        assert!(client.is_closed());
    }
    is_done(draining);
}

#[test]
fn a_hung_decision_service_does_not_hold_it_up() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(300)).refusing().start();
    let mut client = bridge.connect();
    client.write(&Request::new().remark("mock:hang").bytes());
    assert_eq!(app.next_event().stage, CallStage::Received);
    let draining = drain(bridge, Duration::ZERO, PATIENCE);
    client.reply().refuses(200, TIMEOUT);
    is_done(draining);
}

#[test]
fn a_request_that_is_still_coming_is_answered() {
    let (_app, bridge) = with_app();
    let address = bridge.address();
    let request = Request::new();
    let mut client = bridge.connect();
    client.write(&request.head());
    client.write(&request.body[..20]);
    eventually("its body has begun", || bridge.server.load().body_bytes > 20);

    let draining = drain(bridge, Duration::ZERO, PATIENCE);
    eventually("the port is closed", || TcpStream::connect(address).is_err());
    client.write(&request.body[20..]);
    let reply = client.reply();
    reply.goes_on_with("pal");
    assert!(reply.announces_close());
    is_done(draining);
}

#[test]
fn half_a_head_on_a_kept_connection_is_waited_for_and_its_request_answered() {
    let (_app, bridge) = with_app();
    let [mut idle, mut half] = [bridge.connect(), bridge.connect()];
    for client in [&mut idle, &mut half] {
        client.write(&Request::new().bytes());
        client.reply().goes_on_with("pal");
    }
    let request = Request::new().bytes();
    half.write(&request[..40]);

    let draining = drain(bridge, Duration::ZERO, PATIENCE);
    assert!(idle.is_closed(), "which is done last");
    half.write(&request[40..]);
    let reply = half.reply();
    reply.goes_on_with("pal");
    assert!(reply.announces_close());
    assert!(half.is_closed());
    is_done(draining);
}

#[test]
fn all_workers_drain() {
    let app = app();
    let bridge = bridge()
        .asking(&app)
        .with(|settings| settings.workers = std::num::NonZeroU16::new(4).expect("not zero"))
        .start();
    let mut kept: Vec<_> = (0..32).map(|_| bridge.connect()).collect();
    for client in &mut kept {
        client.write(&Request::new().bytes());
        client.reply().goes_on_with("pal");
    }
    let draining = drain(bridge, Duration::ZERO, PATIENCE);
    assert!(kept.iter_mut().all(kit::Client::is_closed));
    is_done(draining);
}

#[test]
fn it_says_when_the_time_was_too_short() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(14_000)).start();
    let mut client = bridge.connect();
    client.write(&Request::new().remark("mock:hang").bytes());
    assert_eq!(app.next_event().stage, CallStage::Received);
    let (done, bridge) = drain(bridge, Duration::ZERO, ms(50)).join().expect("the drain ends");
    assert!(!done);
    drop(bridge);
    assert!(client.is_closed(), "everything ends with the server");
}

#[test]
fn a_server_that_is_dropped_frees_its_port() {
    let (_app, bridge) = with_app();
    let address = bridge.address();
    drop(bridge);
    eventually("the port is closed", || TcpStream::connect(address).is_err());
}

#[test]
fn what_waits_to_be_accepted_is_answered_too() {
    let app = app();
    let bridge = bridge().asking(&app).coded_by(STOPS).start();
    // One that is kept, on which a request comes as late as can be.
    let mut kept = bridge.connect();
    kept.write(&Request::new().bytes());
    kept.reply().goes_on_with("pal");

    set(Gate::Shut);
    let mut first = bridge.connect();
    first.write(&Request::new().remark("stop").bytes());
    wait_until(|gate| gate == Gate::Reached);
    // More than the runtime accepts in one go.
    let mut waiting: Vec<_> = (0..300).map(|_| bridge.connect()).collect();
    for client in waiting.iter_mut().chain([&mut kept]) {
        client.write(&Request::new().bytes());
    }

    let draining = drain(bridge, Duration::ZERO, PATIENCE);
    // The drain goes as far as it can before the worker sees anything of it. Were it slower, this would show less.
    thread::sleep(ms(100));
    set(Gate::Open);
    first.reply().goes_on_with("stop");
    for client in waiting.iter_mut().chain([&mut kept]) {
        let reply = client.reply();
        reply.goes_on_with("pal");
        assert!(reply.announces_close());
    }
    is_done(draining);
}
