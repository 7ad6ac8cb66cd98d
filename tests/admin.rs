//! The listener for operators: what it says, and to whom.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use bytes::Bytes;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::{Condvar, Mutex, atomic::Ordering::Relaxed},
    thread,
    time::Duration,
};

use kit::{
    Bridge, BridgeBuilder, Client, PATIENCE, Reply, Request, app, app_at, app_to_stop, bridge, dns::name_server_after,
    eventually, ms, nowhere, peer, service::serving,
};
use openim_bridge::callback::{BodyError, Callback, Callbacks, Codec, Question};
use openim_bridge::config::Sources;
use openim_bridge::openim::OperationId;
use openim_bridge::server::Settings;
use openim_bridge::server::{Server, StartError};
use tonic_health::pb::health_check_response::ServingStatus;

fn get(bridge: &Bridge, target: &str) -> Reply {
    bridge.operator("GET", target, "")
}

#[track_caller]
fn says(reply: &Reply, status: u16, line: &str) {
    assert_eq!((reply.status, reply.body.trim_end()), (status, line));
}

#[track_caller]
fn becomes_ready(bridge: &Bridge) {
    eventually("the bridge is ready", || get(bridge, "/ready").status == 200);
}

#[test]
fn it_says_that_it_lives_and_which_version_it_is() {
    let bridge = bridge().admin().start();
    says(&get(&bridge, "/live"), 200, "live");
    let version = get(&bridge, "/version");
    assert_eq!(version.header("content-type"), Some("application/json"));
    let json = version.json();
    assert_eq!(json["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(json["commit"], openim_bridge::base::COMMIT);
    assert_eq!(json["date"], openim_bridge::base::COMMIT_DATE);
}

#[test]
fn head_is_answered_as_get_is_but_without_a_body() {
    let bridge = bridge().admin().start();
    let mut client = Client::connect(bridge.server.admin_address().expect("an admin listener"));
    client.write(&Request::new().method("HEAD").target("/live").body("").bytes());
    assert!(client.reply_head().starts_with("HTTP/1.1 200 "));
    client.write(&Request::new().method("GET").target("/live").body("").bytes());
    says(&client.reply(), 200, "live");
}

#[test]
fn what_is_not_there_is_told_in_plain_words() {
    let bridge = bridge().admin().start();
    let there = "not found; there is: GET /, /live, /ready, /metrics, /version, /config; PUT /log-level; POST /drain";
    says(&get(&bridge, "/nothing"), 404, there);
    says(&bridge.operator("POST", "/liveness", ""), 404, there);
    for (method, target, allowed) in
        [("POST", "/live", "GET,HEAD"), ("GET", "/drain", "POST"), ("DELETE", "/log-level", "PUT")]
    {
        let reply = bridge.operator(method, target, "");
        says(&reply, 405, &format!("{target} does not take {method}; see the header Allow"));
        assert_eq!(reply.header("allow"), Some(allowed), "{target}");
    }
}

/// Longer than any test.
const NEVER: Duration = Duration::from_hours(1);

/// Waits at its start for as long as it takes.
fn waiting() -> BridgeBuilder {
    bridge().admin().with(|settings| settings.ready.wait_for_upstream = NEVER)
}

#[track_caller]
fn waits(bridge: &Bridge) {
    let why = "not ready: the decision service has not answered yet; the bridge waits for it for up to 1h after its start \
               (`ready.wait_for_upstream`)";
    says(&get(bridge, "/ready"), 503, why);
}

#[test]
fn it_is_ready_when_the_decision_service_has_answered_for_the_first_time() {
    let gone = app_to_stop();
    let address = gone.address;
    gone.stop();
    let bridge = waiting().asking_at(address).start();
    waits(&bridge);
    says(&get(&bridge, "/live"), 200, "live");
    let app = app_at(address);
    becomes_ready(&bridge);
    // From then on the fallback is better than nothing.
    app.stop();
    eventually("it is missed", || bridge.ask("pal").origin() == "fallback; class=unavailable");
    says(&get(&bridge, "/ready"), 200, "ready");
}

#[test]
fn it_is_ready_although_nobody_asked_while_the_decision_service_was_there() {
    let app = app_to_stop();
    let bridge = waiting().asking_at(app.address).start();
    let healthy = r#"openim_bridge_endpoints{state="healthy"}"#;
    eventually("its endpoint is healthy", || bridge.scrape().get(healthy) == Some(&1.0));
    app.stop();
    eventually("it is missed", || bridge.ask("pal").origin() == "fallback; class=unavailable");
    says(&get(&bridge, "/ready"), 200, "ready");
}

#[test]
fn it_is_ready_when_the_decision_service_says_that_it_serves() {
    let service = serving(ms(0), |server| server);
    service.says(Ok(ServingStatus::NotServing));
    let bridge = waiting().asking_at(service.address).start();
    eventually("it has been told so", || service.seen.checks.load(Relaxed) > 3);
    waits(&bridge);
    service.says(Ok(ServingStatus::Serving));
    becomes_ready(&bridge);
}

#[test]
fn it_is_ready_without_the_decision_service_when_it_has_waited_long_enough() {
    let mute = peer(|stream| {
        let _held = stream.peek(&mut [0]);
        thread::sleep(PATIENCE);
    });
    // A name server that answers nothing but refusals: the port is closed.
    let closed = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    for address in [format!("http://{mute}"), format!("http://{}", nowhere()), "http://nobody.test:50051".to_owned()] {
        let bridge = bridge().admin().with(|settings| {
            settings.upstream.name_server = Some(closed);
            settings.upstream.addresses = vec![address.parse().expect("an address")];
            settings.ready.wait_for_upstream = ms(300);
        });
        becomes_ready(&bridge.start());
    }
}

/// In a cluster no callback comes to a pod that is not ready.
#[test]
fn it_is_ready_without_a_callback_whenever_the_name_s_addresses_come() {
    let localhost = IpAddr::from(Ipv4Addr::LOCALHOST);
    for delay in [0, 1, 20] {
        let app = app();
        let names = name_server_after(ms(delay), localhost);
        let by_name = |settings: &mut Settings| {
            let url = format!("http://decisions.test:{}", app.address.port());
            settings.upstream.addresses = vec![url.parse().expect("an address")];
            settings.upstream.name_server = Some(names.address);
            settings.upstream.resolve.min = ms(100);
        };
        becomes_ready(&waiting().with(by_name).start());

        names.says_all(&[]);
        let bridge = waiting().with(by_name).start();
        waits(&bridge);
        names.says(localhost);
        becomes_ready(&bridge);
        assert!(get(&bridge, "/metrics").body.contains("\nopenim_bridge_upstream_connections 1\n"));
    }
}

#[test]
fn it_can_be_made_to_need_the_decision_service() {
    let requiring = |settings: &mut Settings| settings.ready.require_upstream = true;
    let connected = app_to_stop();
    let address = connected.address;
    let bridge = bridge().admin().asking(&connected).with(requiring).start();
    becomes_ready(&bridge);
    connected.stop();
    eventually("the bridge is not ready", || get(&bridge, "/ready").status == 503);
    let why = "not ready: no endpoint of the decision service is connected, and `ready.require_upstream` is true";
    says(&get(&bridge, "/ready"), 503, why);
    let _again = kit::app_at(address);
    becomes_ready(&bridge);
}

#[test]
fn draining_makes_it_not_ready_at_once_and_every_answer_announces_it() {
    let app = app();
    let bridge = bridge().admin().asking(&app).start();
    becomes_ready(&bridge);
    assert!(!bridge.ask("pal").announces_close());
    for _ in 0..2 {
        let reply = bridge.operator("POST", "/drain", "");
        says(&reply, 200, "draining: not ready, and every response closes its connection; SIGTERM stops the bridge");
        says(&get(&bridge, "/ready"), 503, "not ready: draining");
        let reply = bridge.ask("pal");
        reply.goes_on_with("pal");
        assert!(reply.announces_close());
    }
    says(&get(&bridge, "/live"), 200, "live");
}

#[test]
fn operators_are_served_until_the_drain_has_ended() {
    let app = app();
    let mut bridge = bridge().admin().asking(&app).timeout(ms(14_000)).start();
    let mut hung = bridge.connect();
    hung.write(&Request::new().remark("mock:hang").bytes());
    app.next_call();
    let admin = bridge.server.admin_address().expect("an admin listener");
    let webhook = bridge.address();
    let draining = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(bridge.server.drain(Duration::ZERO, PATIENCE));
        bridge
    });
    eventually("the webhook listener is closed", || std::net::TcpStream::connect(webhook).is_err());
    let ask = |target: &str| {
        let mut client = Client::connect(admin);
        client.write(&Request::new().method("GET").target(target).body("").bytes());
        client.reply()
    };
    says(&ask("/ready"), 503, "not ready: draining");
    app.stop();
    hung.reply().goes_on_with("mock:hang");
    let bridge = draining.join().expect("the drain ends");
    says(&ask("/ready"), 503, "not ready: draining");
    drop(bridge);
    eventually("the admin listener is closed", || std::net::TcpStream::connect(admin).is_err());
}

#[test]
fn the_log_s_level_is_one_of_five_words() {
    let bridge = bridge().admin().start();
    let reply = bridge.operator("PUT", "/log-level", "Debug\n");
    says(&reply, 200, "the log's level is debug, until it is changed or the process exits");
    let long = "debug".repeat(1000);
    for wrong in ["", "loud", "debug info", "{\"level\":\"debug\"}", "\u{fffd}", &long] {
        let reply = bridge.operator("PUT", "/log-level", wrong);
        says(&reply, 400, "the body must be one of: error, warn, info, debug, trace");
    }
}

#[test]
fn changes_come_from_loopback_addresses_and_no_web_page() {
    // An address of this machine that is none of the loopback ones, where it has one.
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a port");
    let elsewhere = socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()).ok();
    let all = Some(SocketAddr::from(([0, 0, 0, 0], 0)));
    for write in [false, true] {
        let bridge =
            bridge().with(|settings| settings.admin.listen = all).with(|settings| settings.admin.write = write);
        let bridge = bridge.start();
        let admin = bridge.server.admin_address().expect("an admin listener");
        let level = Request::new().method("PUT").target("/log-level").body("info");
        let send = |host: std::net::IpAddr, request: &Request| {
            let mut client = Client::connect(SocketAddr::new(host, admin.port()));
            client.write(&request.bytes());
            client.reply()
        };
        assert_eq!(send([127, 0, 0, 1].into(), &level).status, 200);
        let from_page = level.clone().header("Origin", "http://evil.test");
        says(&send([127, 0, 0, 1].into(), &from_page), 403, "not allowed from a web page");
        if let Some(elsewhere) = elsewhere.filter(|elsewhere| !elsewhere.ip().is_loopback()) {
            let reply = send(elsewhere.ip(), &level);
            let get = Request::new().method("GET").target("/live").body("");
            assert_eq!(send(elsewhere.ip(), &get).status, 200);
            if write {
                assert_eq!(reply.status, 200);
            } else {
                let why = "allowed only from a loopback address: run it in the pod, use port-forward, or set admin.write to true";
                says(&reply, 403, why);
            }
        }
    }
}

#[test]
fn the_configuration_is_shown_with_where_it_came_from_and_without_secrets() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    std::fs::write(&users, "openim:s3cret\n").expect("written");
    let file = folder.path().join("bridge.yaml");
    let text = format!("listen: 127.0.0.1:0\naccess: {{basic_auth_file: {}}}\n", users.display());
    std::fs::write(&file, text).expect("written");
    let flags = vec![("admin.listen", vec!["127.0.0.1:0".to_owned()])];
    let loaded = Sources { file: Some(file.clone()), flags, ..Sources::default() }.load().expect("a configuration");
    let effective = loaded.effective();
    let bridge = Bridge { server: Server::start(loaded.settings, Callbacks::all()).expect("the bridge starts") };
    bridge.server.show_configuration(effective);

    let shown = get(&bridge, "/config");
    assert_eq!(shown.header("content-type"), Some("application/json"));
    assert!(!shown.body.contains("s3cret"), "{}", shown.body);
    let json = shown.json();
    assert_eq!(json["file"], file.to_str().expect("UTF-8"));
    let setting = |key: &str| {
        let settings = json["settings"].as_array().expect("settings");
        settings.iter().find(|setting| setting["key"] == key).expect("the setting").clone()
    };
    assert_eq!(setting("access.basic_auth_file")["value"], users.to_str().expect("UTF-8"));
    assert_eq!(setting("access.basic_auth_file")["source"]["line"], 2);
    assert_eq!(setting("admin.listen")["source"]["name"], "--admin-listen");
    assert_eq!(setting("workers")["source"]["kind"], "default");
}

#[test]
fn an_address_that_is_taken_fails_the_start_by_the_setting_s_name() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let mut settings = Settings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Settings::default() };
    settings.admin.listen = Some(address);
    let error = Server::start(settings, Callbacks::all()).expect_err("taken");
    assert!(matches!(error, StartError::Admin { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("cannot listen on {address} for operators (`admin.listen`)"));
}

#[test]
fn a_crowd_of_idle_connections_keeps_no_probe_out() {
    let bridge = bridge().admin().start();
    let admin = bridge.server.admin_address().expect("an admin listener");
    let mut crowd: Vec<Client> = (0..200).map(|_| Client::connect(admin)).collect();
    says(&get(&bridge, "/live"), 200, "live");
    assert!(crowd[0].is_closed(), "the oldest has gone");
    let newest = crowd.last_mut().expect("200");
    newest.write(&Request::new().method("GET").target("/live").body("").bytes());
    says(&newest.reply(), 200, "live");
}

static BUSY: (Mutex<Option<bool>>, Condvar) = (Mutex::new(None), Condvar::new());

fn wait_until(is_busy: bool) {
    let busy = BUSY.0.lock().expect("whether it is busy");
    let waited = BUSY.1.wait_timeout_while(busy, PATIENCE, |busy| *busy != Some(is_busy)).expect("whether it is busy");
    assert!(!waited.1.timed_out(), "stays as it is");
}

fn be(busy: bool) {
    *BUSY.0.lock().expect("whether it is busy") = Some(busy);
    BUSY.1.notify_all();
}

fn works(callback: &'static Callback, body: Bytes, id: &OperationId) -> Result<Question, BodyError> {
    be(true);
    wait_until(false);
    (Codec::TABLES.decode)(callback, body, id)
}

/// Keeps its worker busy until the test says otherwise.
const WORKING: Codec = Codec { decode: works, ..Codec::TABLES };

#[test]
fn a_busy_worker_delays_no_probe() {
    let app = app();
    let bridge = bridge().admin().asking(&app).coded_by(WORKING).start();
    becomes_ready(&bridge);
    let mut client = bridge.connect();
    client.write(&Request::new().bytes());
    wait_until(true);
    says(&get(&bridge, "/live"), 200, "live");
    says(&get(&bridge, "/ready"), 200, "ready");
    be(false);
    client.reply().goes_on_with("pal");
}

#[test]
fn a_host_name_that_nobody_has_configured_is_not_answered() {
    let configured =
        bridge().admin().with(|settings| settings.admin.hosts = vec!["bridge.chat.svc".to_owned()]).start();
    let ask = |bridge: &Bridge, target: &str, host: Option<&str>| {
        let mut client = Client::connect(bridge.server.admin_address().expect("an admin listener"));
        let head = host.map(|host| format!("Host: {host}\r\n")).unwrap_or_default();
        let version = if host.is_some() { "1.1" } else { "1.0" };
        client.write(format!("GET {target} HTTP/{version}\r\n{head}\r\n").as_bytes());
        client.reply().status
    };
    for host in ["127.0.0.1", "10.1.2.3:10007", "[::1]:10007", "[fd00::1]", "localhost", "LocalHost:9", "localhost."] {
        assert_eq!(ask(&configured, "/live", Some(host)), 200, "{host}");
    }
    for host in ["bridge.chat.svc", "Bridge.Chat.svc.:10007"] {
        assert_eq!(ask(&configured, "/live", Some(host)), 200, "{host}");
        assert_eq!(ask(&bridge().admin().start(), "/live", Some(host)), 421, "{host}");
    }
    for host in ["rebound.example", "127.0.0.1.example:10007", "localhost.example", "bridge", "user@", "", "a b"] {
        for target in ["/live", "/", "/config", "/metrics", "/nothing"] {
            assert_eq!(ask(&configured, target, Some(host)), 421, "{host}");
        }
    }
    // A browser always names one.
    assert_eq!(ask(&configured, "/live", None), 200);
    assert_eq!(ask(&configured, "http://rebound.example/live", Some("127.0.0.1")), 421);
}

#[test]
fn a_head_is_bounded() {
    let bridge = bridge().admin().start();
    let mut client = Client::connect(bridge.server.admin_address().expect("an admin listener"));
    let head = format!("GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "x".repeat(40_000));
    // It may be refused before all of it is sent.
    let _refused = std::io::Write::write_all(&mut client.stream, head.as_bytes());
    assert!(client.all().starts_with("HTTP/1.1 431 "));
}

#[test]
fn what_is_being_answered_is_not_cut_off_by_however_many_connections() {
    let bridge = bridge().admin().start();
    let address = bridge.server.admin_address().expect("an admin listener");
    let mut slow = Client::connect(address);
    slow.write(b"PUT /log-level HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nin");
    let mut silent: Vec<_> = (0..200).map(|_| Client::connect(address)).collect();
    assert!(silent[0].is_closed(), "it has made room");
    slow.write(b"fo");
    assert_eq!(slow.reply().status, 200);
    says(&get(&bridge, "/live"), 200, "live");
}
