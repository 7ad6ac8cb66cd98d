//! Stopping the program: what its signals do, and that nobody who was accepted is left without an answer.

// clippy.toml allows the first in test functions only, not in what they share; a service that is slow sleeps.
#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    net::{SocketAddr, TcpStream},
    thread,
};

use kit::{
    App, Client, Request, app, eventually, ms,
    process::{self, Serve},
    rpc::{AnyService, any_service},
};
use openim_bridge::mock::CallStage;

const TIMEOUT: i32 = 9920;

fn flags<'a>(upstream: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--upstream", upstream, "--admin-listen", "127.0.0.1:0", "--drain-timeout", "20s"], more].concat()
}

fn url(app: &App) -> String {
    format!("http://{}", app.address)
}

/// Waits until the decision service has been asked.
fn asked(app: &App) {
    while app.next_event().stage != CallStage::Received {}
}

/// Asks again and again, on new connections or on one that is kept for as long as the bridge keeps it, until the port is
/// closed or the end was announced so often that it must have been meant. The number of answers.
fn ask_until_it_ends(address: SocketAddr, keeps: bool) -> usize {
    let request = Request::new().remark("mock:delay=50ms").bytes();
    let mut kept: Option<Client> = None;
    let (mut answers, mut announced) = (0, 0);
    while announced < 3 {
        let Some(mut client) = kept.take().or_else(|| Client::try_connect(address).ok()) else { break };
        client.write(&request);
        let reply = client.reply();
        reply.goes_on_with("mock:delay=50ms");
        answers += 1;
        if reply.announces_close() {
            announced += 1;
            assert!(client.is_closed());
        } else if keeps {
            kept = Some(client);
        }
    }
    answers
}

/// SIGTERM under load, on a bridge that was just started.
fn drains_under_load(app: &App, mut serve: Serve) {
    let admin = serve.admin_address();
    let mut serve = serve.started();
    let ready = || {
        let mut client = Client::connect(admin);
        client.write(&Request::new().method("GET").target("/ready").body("").bytes());
        client.reply().status
    };
    eventually("the bridge is ready", || ready() == 200);
    let address = serve.address;
    // One that the decision service keeps until long after the port is closed.
    let mut slow = Client::connect(address);
    slow.write(&Request::new().remark("mock:delay=3s").bytes());
    asked(app);
    let mut silent = Client::connect(address);

    thread::scope(|scope| {
        let clients: Vec<_> = (0..16)
            .map(|number: usize| scope.spawn(move || ask_until_it_ends(address, number.is_multiple_of(2))))
            .collect();
        for _ in 0..64 {
            asked(app);
        }
        serve.signal("TERM");
        serve.says("draining");
        eventually("it is not ready any more", || ready() == 503);
        assert!(serve.send(&Request::new()).announces_close(), "new connections are still accepted");
        for client in clients {
            assert!(client.join().expect("every request is answered") > 0);
        }
    });
    let reply = slow.reply();
    reply.goes_on_with("mock:delay=3s");
    assert!(reply.announces_close());
    assert!(silent.is_closed());
    serve.says("stopped");
    assert_eq!(serve.exit_code(), Some(0));
    assert!(TcpStream::connect(address).is_err() && TcpStream::connect(admin).is_err());
}

#[test]
fn sigterm_under_load_answers_everybody_and_exits_0() {
    let app = app();
    let url = url(&app);
    drains_under_load(&app, process::serve(&flags(&url, &["--timeout", "8s", "--drain-delay", "1500ms"])));
}

/// Where making a PID namespace is permitted: `.ci/full pid1`.
#[test]
#[ignore = "needs the right to make a PID namespace"]
fn pid_1_of_a_container_drains_too() {
    let app = app();
    let url = url(&app);
    drains_under_load(&app, process::serve_as_pid_1(&flags(&url, &["--timeout", "8s", "--drain-delay", "1500ms"])));
}

#[test]
fn a_decision_service_that_hangs_does_not_hold_it_up_and_its_callers_get_the_fallback() {
    let app = app();
    let url = url(&app);
    let mut serve =
        process::serve(&flags(&url, &["--timeout", "2s", "--drain-delay", "0s", "--fallback", "refuse"])).started();
    let hang = Request::new().remark("mock:hang").bytes();
    let mut clients: Vec<_> = (0..50).map(|_| Client::connect(serve.address)).collect();
    for client in &mut clients {
        client.write(&hang);
    }
    for _ in &clients {
        asked(&app);
    }
    serve.signal("TERM");
    for client in &mut clients {
        let reply = client.reply();
        reply.refuses(200, TIMEOUT);
        assert!(reply.announces_close());
        assert!(client.is_closed());
    }
    assert_eq!(serve.exit_code(), Some(0));
}

#[test]
fn a_request_whose_body_never_comes_is_answered_and_does_not_hold_it_up() {
    let app = app();
    let url = url(&app);
    let mut serve = process::serve(&[
        "--upstream",
        &url,
        "--admin-listen",
        "off",
        "--timeout",
        "500ms",
        "--drain-delay",
        "0s",
        "--drain-timeout",
        "1500ms",
    ])
    .started();
    let mut client = Client::connect(serve.address);
    client.write(&Request::new().head());
    serve.signal("TERM");
    client.reply().refuses(400, 9900);
    assert_eq!(serve.exit_code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once_with_a_code_of_its_own() {
    let app = app();
    let url = url(&app);
    for (second, code) in [("TERM", 143), ("INT", 130)] {
        let mut serve = process::serve(&flags(&url, &["--timeout", "14s"])).started();
        let mut client = Client::connect(serve.address);
        client.write(&Request::new().remark("mock:hang").bytes());
        asked(&app);
        serve.signal("TERM");
        serve.says("draining");
        serve.signal(second);
        assert_eq!(serve.exit_code(), Some(code));
        assert!(client.is_closed());
    }
}

#[test]
fn sigint_does_not_wait_for_the_rest_of_a_cluster() {
    let mut serve =
        process::serve(&["--admin-listen", "off", "--drain-delay", "50m", "--drain-timeout", "55m"]).started();
    serve.signal("INT");
    assert_eq!(serve.exit_code(), Some(0));
}

#[test]
fn sighup_ends_no_drain() {
    let app = app();
    let url = url(&app);
    let mut serve = process::serve(&flags(&url, &["--drain-delay", "0s"])).started();
    let mut client = Client::connect(serve.address);
    client.write(&Request::new().remark("mock:delay=1s").bytes());
    asked(&app);
    serve.signal("TERM");
    serve.says("draining");
    serve.signal("HUP");
    client.reply().goes_on_with("mock:delay=1s");
    assert_eq!(serve.exit_code(), Some(0));
}

/// An event. All are of one key, so that one is delivered after the other.
fn event(serve: &Serve) {
    let command = "callbackAfterSetFriendRemarkCommand";
    let event = Request::new().target(&format!("/cb/{command}")).callback(command, "u1", "u2", "pal");
    assert_eq!(serve.send(&event).origin(), "queued");
}

/// What the bridge holds of these events, and what became of them.
fn events(admin: SocketAddr, metric: &str) -> usize {
    let mut client = Client::connect(admin);
    client.write(&Request::new().method("GET").target("/metrics").body("").bytes());
    let text = client.reply().body;
    let value = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse().expect("a count"))
}

const QUEUE: &str = "openim_bridge_delivery_queue";
const DELIVERED: &str = "openim_bridge_deliveries_total{callback=\"afterSetFriendRemark\",result=\"delivered\"}";

/// A bridge beside its App, as deploy/kustomize has it, at the moment at which kubelet begins to end the pod: the hooks of both
/// begin, and the bridge's announces the end.
fn pod_that_ends() -> (AnyService, Serve, SocketAddr) {
    // It takes 20 ms for each event.
    let app = any_service(|_| {
        thread::sleep(ms(20));
        Ok(vec![])
    });
    let url = format!("http://{}", app.address);
    let mut serve = process::serve(&flags(&url, &["--drain-delay", "0s"]));
    let admin = serve.admin_address();
    let serve = serve.started();
    for _ in 0..50 {
        event(&serve);
    }
    assert!(events(admin, QUEUE) > 10, "they are delivered one after the other");
    let hook = std::process::Command::new(env!("CARGO_BIN_EXE_openim-bridge"))
        .args(["probe", "--drain", "--admin-listen", &admin.to_string()])
        .output()
        .expect("the program");
    assert!(hook.status.success(), "{}", String::from_utf8_lossy(&hook.stderr));
    // What OpenIM sends until its connections have moved.
    event(&serve);
    (app, serve, admin)
}

#[test]
fn what_is_queued_goes_out_while_the_app_sleeps_before_it_stops() {
    let (app, mut serve, admin) = pod_that_ends();
    // The App's hook sleeps for longer than this takes; then the App gets SIGTERM, and the bridge after it.
    eventually("the queue is empty", || events(admin, QUEUE) == 0);
    assert_eq!(events(admin, DELIVERED), 51);
    app.stop();
    serve.signal("TERM");
    assert_eq!(serve.exit_code(), Some(0));
    assert!(serve.rest().iter().all(|line| !line.contains("lost")));
}

#[test]
fn what_is_queued_is_lost_and_told_where_the_app_does_not_sleep() {
    let (app, mut serve, _) = pod_that_ends();
    app.stop();
    serve.signal("TERM");
    assert!(serve.says("after callbacks are lost").contains("WARN"));
    assert_eq!(serve.exit_code(), Some(0));
}
