//! A decision service of several endpoints that come and go: no callback may fail, and few may fall back.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    io::Read as _,
    net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    num::NonZeroUsize,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use kit::{
    App, BridgeBuilder, Client, Request, app, app_at, app_ruled_by, app_to_stop, bridge,
    dns::name_server,
    eventually,
    frames::{Answer, MAX_CONCURRENT_STREAMS, REFUSED_STREAM, allow, answer, grpc, plays, terms},
    log, ms, nowhere, peer,
    service::{serving, serving_together},
};
use openim_bridge::server::Settings;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;

/// Longer than any test: for what must not happen by itself.
const NEVER: Duration = Duration::from_hours(1);

/// Fallbacks are refusals, so that each shows.
fn asking_all(addresses: &[SocketAddr]) -> BridgeBuilder {
    let addresses: Vec<_> =
        addresses.iter().map(|address| format!("http://{address}").parse().expect("an address")).collect();
    bridge().refusing().with(|settings: &mut Settings| {
        settings.upstream.addresses = addresses;
        settings.upstream.eject.probe_min = ms(20);
        settings.upstream.eject.probe_max = ms(50);
    })
}

fn is_allowed(client: &mut Client) -> bool {
    client.write(&Request::new().bytes());
    client.reply().json()["nextCode"] == 0
}

#[test]
fn every_endpoint_gets_its_share() {
    let apps = [app(), app(), app()];
    let bridge = asking_all(&apps.each_ref().map(|app| app.address)).start();
    let mut client = bridge.connect();
    client.all_decided(300);
    for app in &apps {
        // A fair share is 100.
        assert!(app.calls() > 30);
    }
}

#[test]
fn an_endpoint_that_ends_is_missed_by_nobody_and_gets_calls_again_when_it_is_back() {
    let apps = [app(), app()];
    let third = app_to_stop();
    let address = third.address;
    let bridge = asking_all(&[apps[0].address, apps[1].address, address]).start();
    let mut client = bridge.connect();
    client.all_decided(50);
    third.stop();
    client.all_decided(200);

    let third = app_at(address);
    eventually("the third is asked again", || {
        client.all_decided(20);
        third.calls() > 0
    });
}

#[test]
fn an_endpoint_that_always_says_unavailable_costs_no_fallback() {
    let good = app();
    let bad = app_ruled_by("rules: [{ then: { status: UNAVAILABLE } }]");
    let bridge = asking_all(&[good.address, bad.address]).start();
    let mut client = bridge.connect();
    client.all_decided(100);
}

#[test]
fn an_endpoint_that_accepts_and_hangs_is_taken_out_and_its_calls_go_elsewhere() {
    let good = app();
    let (sender, held) = std::sync::mpsc::channel();
    let mute = peer(move |stream| drop(sender.send(stream)));
    let bridge = asking_all(&[good.address, mute])
        .timeout(ms(10_000))
        .with(|settings| {
            settings.upstream.health.interval = ms(200);
            settings.upstream.health.timeout = ms(200);
        })
        .start();
    let mut client = bridge.connect();
    // Some of these begin on the mute endpoint, and are made again on the other when it is taken out.
    client.all_decided(100);
    assert!(held.try_recv().is_ok(), "it was connected to");
}

#[test]
fn without_any_endpoint_the_fallback_comes_at_once_and_the_first_that_is_back_is_asked() {
    let gone = app_to_stop();
    let address = gone.address;
    gone.stop();
    let bridge = asking_all(&[address]).timeout(ms(14_000)).start();
    let mut client = bridge.connect();
    for _ in 0..20 {
        assert!(!is_allowed(&mut client));
    }
    let _back: App = app_at(address);
    eventually("it is asked again", || is_allowed(&mut client));
}

/// With probes that never come but where they are urgent.
fn asking_without_patience(addresses: &[SocketAddr]) -> BridgeBuilder {
    asking_all(addresses).with(|settings| {
        settings.upstream.eject.probe_min = NEVER;
        settings.upstream.eject.probe_max = NEVER;
    })
}

#[track_caller]
fn is_ejected(endpoint: SocketAddr) {
    eventually("it is ejected", || was_ejected(endpoint));
}

fn was_ejected(endpoint: SocketAddr) -> bool {
    !log::of_endpoint(endpoint, "an endpoint is ejected, and probed until it answers").is_empty()
}

#[test]
fn an_endpoint_that_has_never_been_there_is_found_at_once_also_beside_others() {
    log::keep();
    for others in [vec![], vec![app()]] {
        let late = app_to_stop();
        let address = late.address;
        late.stop();
        let addresses: Vec<_> = others.iter().map(|other| other.address).chain([address]).collect();
        let bridge = asking_without_patience(&addresses).start();
        is_ejected(address);
        let late = app_at(address);
        eventually("it is asked", || {
            bridge.ask("pal");
            late.calls() > 0
        });
    }
}

#[test]
fn one_that_was_ejected_beside_a_healthy_one_is_found_at_once_when_none_is_left() {
    log::keep();
    let [first, second] = [app_to_stop(), app_to_stop()];
    let address = first.address;
    let bridge = asking_without_patience(&[address, second.address]).start();
    let mut client = bridge.connect();
    eventually("both are asked", || {
        client.all_decided(5);
        first.calls() > 0 && second.calls() > 0
    });
    first.stop();
    eventually("it is ejected", || is_allowed(&mut client) && was_ejected(address));
    let other = second.address;
    second.stop();
    eventually("it is ejected", || !is_allowed(&mut client) && was_ejected(other));
    let _back = app_at(address);
    eventually("it is asked again", || is_allowed(&mut client));
}

#[test]
fn where_no_endpoint_is_left_the_first_that_is_back_is_found_at_once() {
    log::keep();
    let apps = [app_to_stop(), app_to_stop()];
    let addresses = apps.each_ref().map(|app| app.address);
    let bridge = asking_without_patience(&addresses).start();
    let mut client = bridge.connect();
    eventually("both are asked", || {
        client.all_decided(5);
        apps.iter().all(|app| app.calls() > 0)
    });
    apps.into_iter().for_each(App::stop);
    for address in addresses {
        eventually("it is ejected", || !is_allowed(&mut client) && was_ejected(address));
    }
    let _back = app_at(addresses[1]);
    eventually("it is asked again", || is_allowed(&mut client));
}

#[test]
fn where_no_endpoint_is_left_one_that_hangs_is_asked_by_one_probe_at_a_time() {
    let [connections, open, most] = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let seen = [&connections, &open, &most].map(Arc::clone);
    let mute = peer(move |mut stream| {
        let [connections, open, most] = &seen;
        connections.fetch_add(1, Relaxed);
        most.fetch_max(open.fetch_add(1, Relaxed) + 1, Relaxed);
        let _ended = std::io::copy(&mut stream, &mut std::io::sink());
        open.fetch_sub(1, Relaxed);
    });
    let _bridge = asking_without_patience(&[mute]).with(|settings| settings.upstream.health.timeout = ms(100)).start();
    let started = Instant::now();
    eventually("it is probed", || connections.load(Relaxed) > 5);
    // The worker's connection, and a probe for each answer that did not come.
    assert!(started.elapsed() >= ms(4 * 100), "{:?}", started.elapsed());
    assert!(most.load(Relaxed) <= 2, "{most:?} at one time");
}

#[test]
fn a_service_that_does_not_serve_is_asked_often_where_it_is_the_only_one() {
    let service = serving(ms(0), |server| server);
    let bridge = asking_all(&[service.address]).with(|settings| settings.upstream.health.interval = NEVER).start();
    service.says(Ok(ServingStatus::NotServing));
    eventually("it is out", || bridge.ask("pal").json()["nextCode"] != 0);
    service.says(Ok(ServingStatus::Serving));
    eventually("it is in", || bridge.ask("pal").json()["nextCode"] == 0);
}

#[test]
fn a_name_is_resolved_and_all_of_its_addresses_are_asked() {
    let app = app();
    let bridge = bridge()
        .refusing()
        .with(|settings| {
            let url = format!("http://localhost:{}", app.address.port());
            settings.upstream.addresses = vec![url.parse().expect("an address")];
        })
        .start();
    // Another address of that name may refuse connections.
    bridge.connect().all_decided(20);
}

#[test]
fn all_workers_share_what_they_know_of_an_endpoint() {
    let good = app();
    let bridge = asking_all(&[good.address, nowhere()])
        .with(|settings| settings.workers = NonZeroUsize::new(3).and_then(|n| n.try_into().ok()).expect("3"))
        .start();
    for _ in 0..30 {
        bridge.connect().all_decided(3);
    }
    assert_eq!(good.calls(), 90);
}

#[test]
fn a_name_s_new_address_gets_the_calls_and_a_gone_one_s_connection_is_closed() {
    let [first, second] = [[127, 0, 0, 1], [127, 0, 0, 2]].map(|ip| IpAddr::from(Ipv4Addr::from(ip)));
    let old = plays([allow()]);
    let new = app_at(SocketAddr::new(second, old.address.port()));
    let names = name_server(first);
    let bridge = bridge()
        .refusing()
        .with(|settings| {
            let url = format!("http://pods.test:{}", old.address.port());
            settings.upstream.addresses = vec![url.parse().expect("an address")];
            settings.upstream.name_server = Some(names.address);
            settings.upstream.resolve.min = ms(100);
            // What the old one is asked is counted.
            settings.upstream.health.interval = NEVER;
        })
        .start();
    let mut client = bridge.connect();
    client.all_decided(50);
    assert_eq!(old.requests().len(), 50);

    names.says(second);
    let mut asked = 0;
    eventually("the new address is asked", || {
        client.all_decided(10);
        asked += new.calls();
        asked > 0
    });
    let was_asked = old.requests().len();
    client.all_decided(50);
    assert_eq!((old.requests().len(), new.calls()), (was_asked, 50));
    eventually("nothing is left of the old one", || old.open_connections() == 0);
}

/// `count` callbacks at one time, each on its own connection, all decided by the App.
#[track_caller]
fn all_decided_at_once(bridge: &kit::Bridge, count: usize) {
    let mut clients: Vec<_> = (0..count).map(|_| bridge.connect()).collect();
    for client in &mut clients {
        client.write(&Request::new().bytes());
    }
    for client in &mut clients {
        client.reply().goes_on_with("pal");
    }
}

#[test]
fn beyond_the_peer_s_stream_limit_more_connections_are_made_at_most_four() {
    // Answers only when all are there at one time: each connection must be used to the full.
    let service = serving_together(40, ms(0), |server| server.max_concurrent_streams(10));
    let bridge = checking_health_often(service.address).start();
    eventually("it has said what it allows", || service.seen.checks.load(Relaxed) > 1);

    all_decided_at_once(&bridge, 40);

    assert_eq!(service.seen.calls.load(Relaxed), 40);
    assert_eq!(service.seen.connections.load(Relaxed), 4);
}

#[test]
fn the_four_are_those_of_all_workers() {
    let service = serving(ms(20), |server| server.max_concurrent_streams(10));
    let bridge = checking_health_often(service.address)
        .with(|settings| settings.workers = NonZeroUsize::new(2).and_then(|n| n.try_into().ok()).expect("2"))
        .start();
    eventually("it has said what it allows", || service.seen.checks.load(Relaxed) > 1);

    for _ in 0..5 {
        all_decided_at_once(&bridge, 120);
    }

    let connections = service.seen.connections.load(Relaxed);
    assert!((3..=4).contains(&connections), "{connections} connections");
}

#[test]
fn what_has_no_stream_on_any_connection_waits_and_is_decided() {
    let service = serving(ms(50), |server| server.max_concurrent_streams(10));
    let bridge = asking_all(&[service.address]).timeout(ms(14_000)).start();

    all_decided_at_once(&bridge, 60);
    all_decided_at_once(&bridge, 60);

    assert_eq!(service.seen.calls.load(Relaxed), 120);
    let [connections, most] = [&service.seen.connections, &service.seen.most].map(|seen| seen.load(Relaxed));
    assert!(connections <= 4 && most <= 40, "{connections} connections, {most} calls at one time");
}

#[test]
fn the_time_that_a_callback_waits_for_a_stream_is_logged_as_waiting_and_not_as_calling() {
    log::keep();
    let service = serving(ms(0), |server| server.max_concurrent_streams(10));
    let bridge = checking_health_often(service.address).start();
    eventually("it has said what it allows", || service.seen.checks.load(Relaxed) > 1);

    service.holds(true);
    let request = Request::new().header("operationID", "waits");
    let mut clients: Vec<_> = (0..80).map(|_| bridge.connect()).collect();
    for client in &mut clients {
        client.write(&request.bytes());
    }
    eventually("all are there, and half of them wait", || {
        service.seen.now.load(Relaxed) == 40 && bridge.server.load().in_flight == 80
    });
    let since = Instant::now();
    thread::sleep(ms(100));
    let held = since.elapsed();
    service.holds(false);
    for client in &mut clients {
        client.reply().goes_on_with("pal");
    }
    assert_eq!(service.seen.connections.load(Relaxed), 4);

    eventually("all are logged", || log::of("waits").len() == 80);
    let lines = log::of("waits");
    let ms_of = |line: &serde_json::Value, field: &str| line[field].as_f64().expect("milliseconds");
    let held = held.as_secs_f64() * 1e3;
    let longer = |field| lines.iter().filter(|line| ms_of(line, field) >= held).count();
    // More, where they have waited for the further connections, or the service is slow itself.
    assert!(longer("waiting_ms") >= 40 && longer("calling_ms") >= 40, "{held} {}", longer("waiting_ms"));
    for line in &lines {
        let parts: f64 = ["connecting_ms", "waiting_ms", "calling_ms"].map(|part| ms_of(line, part)).iter().sum();
        assert!(parts <= ms_of(line, "total_ms"), "{line}");
    }
}

#[test]
fn a_connection_that_has_no_room_left_does_not_keep_calls_from_another() {
    // From now on none on this connection, which has the fewest calls.
    let player = plays([answer().permits(0).reaches_the_bridge().then(allow()), allow()]);
    let bridge = asking_all(&[player.address]).start();
    for _ in 0..3 {
        bridge.ask("pal").goes_on_with("pal");
    }
    assert_eq!(player.requests(), [0, 1, 1]);
}

#[test]
fn an_endpoint_that_has_no_room_left_gets_no_calls() {
    let full = terms().set(MAX_CONCURRENT_STREAMS, 0).plays([answer()]);
    let service = serving(ms(0), |server| server);
    // Which a health check would end too, in time.
    let bridge = asking_all(&[full.address, service.address])
        .with(|settings| settings.upstream.health.interval = NEVER)
        .admin()
        .start();
    let connected = "\nopenim_bridge_upstream_connections 2\n";
    eventually("both are connected", || bridge.operator("GET", "/metrics", "").body.contains(connected));
    eventually("it has said what it allows", || full.heard() > 0);
    for _ in 0..20 {
        bridge.ask("pal").goes_on_with("pal");
    }
    assert_eq!(service.seen.calls.load(Relaxed), 20);
}

#[test]
fn calls_that_wait_for_a_place_are_made_once_the_peer_allows_more() {
    let waits = Arc::default();
    let hangs = answer().waits_until(&waits).permits(2);
    let player = plays([answer().permits(1).reaches_the_bridge().then(allow()), hangs, allow()]);
    let bridge = asking_all(&[player.address])
        .timeout(ms(14_000))
        .with(|settings| {
            settings.upstream.connections = NonZeroUsize::MIN;
            settings.upstream.health.interval = NEVER;
        })
        .start();
    bridge.ask("pal").goes_on_with("pal");
    let mut clients = [bridge.connect(), bridge.connect()];
    clients[0].write(&Request::new().bytes());
    eventually("one is there", || player.requests().len() == 2);
    clients[1].write(&Request::new().bytes());
    eventually("one waits", || bridge.server.load().in_flight == 2);
    waits.store(true, Relaxed);
    clients[1].reply().goes_on_with("pal");
    assert_eq!(player.requests(), [0, 0, 0]);
}

/// With one connection, on which no health is asked for after the first time.
fn asking_by_one_connection(address: SocketAddr, timeout: Duration) -> BridgeBuilder {
    log::keep();
    asking_all(&[address]).timeout(timeout).with(|settings| {
        settings.upstream.health.interval = NEVER;
        settings.upstream.connections = NonZeroUsize::MIN;
    })
}

#[test]
fn calls_that_were_never_sent_do_not_take_an_endpoint_out() {
    let service = serving(ms(0), |server| server.max_concurrent_streams(1));
    let bridge = asking_by_one_connection(service.address, ms(300)).start();
    let is_decided = || bridge.ask("pal").json()["nextCode"] == 0;
    eventually("one is decided", is_decided);
    service.holds(true);
    let mut clients: Vec<_> = (0..20).map(|_| bridge.connect()).collect();
    for client in &mut clients {
        client.write(&Request::new().bytes());
    }
    for client in &mut clients {
        client.reply().refuses(200, 9920);
    }
    service.holds(false);
    eventually("one is decided", is_decided);
    assert!(!was_ejected(service.address));
}

#[test]
fn a_client_that_uses_up_the_time_does_not_take_an_endpoint_out() {
    let app = app();
    let bridge = asking_by_one_connection(app.address, ms(600)).start();
    let request = Request::new().remark("mock:delay=400ms");
    let mut clients: Vec<_> = (0..20).map(|_| bridge.connect()).collect();
    for client in &mut clients {
        client.write(&request.head());
    }
    thread::sleep(ms(400));
    for client in &mut clients {
        client.write(&request.body);
    }
    for client in &mut clients {
        assert!(client.reply().is_complete());
    }
    eventually("one is decided", || bridge.ask("pal").json()["nextCode"] == 0);
    assert!(!was_ejected(app.address));
}

#[test]
fn a_service_that_is_slow_in_all_of_its_streams_is_alive() {
    let service = serving(ms(0), |server| server.max_concurrent_streams(2));
    let bridge = checking_health_often(service.address)
        .with(|settings| {
            settings.upstream.health.timeout = ms(200);
            settings.upstream.connections = NonZeroUsize::MIN;
        })
        .start();
    let is_decided = |client: &mut Client| client.reply().json()["nextCode"] == 0;
    let two_are_decided = || {
        service.holds(true);
        let mut clients = [bridge.connect(), bridge.connect()];
        for client in &mut clients {
            client.write(&Request::new().bytes());
        }
        let now = || service.seen.now.load(Relaxed);
        eventually("they are there, or it is out", || now() == 2 || bridge.server.load().in_flight == 0);
        let checks = || service.seen.checks.load(Relaxed);
        let before = checks();
        eventually("it is asked for its health", || checks() >= before + 2);
        service.holds(false);
        clients.iter_mut().all(is_decided)
    };
    // The first time, unless this machine has left it no time to say so.
    eventually("it is taken for alive", two_are_decided);
}

/// So many calls at one time are given up, and answered with this by then: their connection stays.
#[track_caller]
fn outlives_late_replies(calls: usize, late: &Answer) {
    rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    let is_slow = Arc::<AtomicBool>::default();
    let (slow, late) = (Arc::clone(&is_slow), answer().given_up(late.clone()));
    let player = terms().plays_by(move |_| if slow.load(Relaxed) { late.clone() } else { allow() });
    let bridge = asking_all(&[player.address])
        .timeout(ms(200))
        .with(|settings| {
            settings.upstream.health.interval = NEVER;
            settings.upstream.eject.failures = NonZeroUsize::MAX;
            settings.upstream.connections = NonZeroUsize::MIN;
        })
        .start();
    eventually("it has said what it allows", || player.heard() > 0);
    let is_decided = || bridge.ask("pal").json()["nextCode"] == 0;
    eventually("one is decided", is_decided);

    is_slow.store(true, Relaxed);
    let mut clients: Vec<_> = (0..calls).map(|_| bridge.connect()).collect();
    for client in &mut clients {
        client.write(&Request::new().bytes());
    }
    for client in &mut clients {
        client.reply().refuses(200, 9920);
    }
    is_slow.store(false, Relaxed);

    // Its reply comes behind all of theirs.
    eventually("one is decided", is_decided);
    assert!(player.requests().iter().all(|connection| *connection == 0), "the connection has ended");
}

#[test]
fn replies_that_come_too_late_do_not_end_the_connection() {
    // Each frame comes late for itself.
    let [head, message, end] = [grpc(), answer().message(&[0x0a, 0]), answer().trailers("0")];
    outlives_late_replies(500, &head.given_up(message.given_up(end)));
    // What comes at once is passed over, for a moment. As much as many replies would be.
    outlives_late_replies(20, &(0..600).fold(grpc(), |late, _| late.data(&[0], false)));
}

/// Takes one connection, which leads to `service`, and refuses all others.
fn door_of_one_connection(service: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (bridge, _) = listener.accept().expect("a connection");
        drop(listener);
        let service = TcpStream::connect(service).expect("the service");
        let streams = |one: &TcpStream, other: &TcpStream| [one, other].map(|stream| stream.try_clone().expect("it"));
        for [mut from, mut to] in [streams(&bridge, &service), streams(&service, &bridge)] {
            // Either side may go.
            thread::spawn(move || std::io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Both)));
        }
    });
    address
}

#[test]
fn a_further_connection_that_cannot_be_made_costs_no_callback() {
    let service = serving(ms(0), |server| server.max_concurrent_streams(10));
    let bridge = checking_health_often(door_of_one_connection(service.address)).start();
    eventually("it has said what it allows", || service.seen.checks.load(Relaxed) > 1);
    for _ in 0..3 {
        all_decided_at_once(&bridge, 50);
    }
    assert_eq!(service.seen.connections.load(Relaxed), 1);
}

#[test]
fn a_refused_call_is_made_again_on_the_same_connection_where_there_can_be_no_other() {
    let player = plays([answer().reset(REFUSED_STREAM), allow()]);
    let bridge = asking_by_one_connection(door_of_one_connection(player.address), ms(14_000)).start();
    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(player.requests(), [0, 0]);
}

fn checking_health_often(address: SocketAddr) -> BridgeBuilder {
    asking_all(&[address]).timeout(ms(14_000)).with(|settings| {
        settings.upstream.health.interval = ms(10);
        // Only what is said counts, however busy the machine is.
        settings.upstream.health.timeout = ms(14_000);
    })
}

#[test]
fn an_endpoint_that_says_it_does_not_serve_is_out_until_it_says_it_does() {
    let service = serving(ms(0), |server| server);
    let bridge = checking_health_often(service.address).start();
    let mut client = bridge.connect();
    client.all_decided(10);

    service.says(Ok(ServingStatus::NotServing));
    eventually("it is out", || !is_allowed(&mut client));
    let calls = service.seen.calls.load(Relaxed);
    for _ in 0..20 {
        assert!(!is_allowed(&mut client));
    }
    assert_eq!(service.seen.calls.load(Relaxed), calls);

    service.says(Ok(ServingStatus::Serving));
    eventually("it is in", || is_allowed(&mut client));
    client.all_decided(10);
}

#[test]
fn an_endpoint_without_a_health_service_stays_in() {
    for code in [Code::Unimplemented, Code::NotFound] {
        let service = serving(ms(0), |server| server);
        service.says(Err(code));
        let bridge = checking_health_often(service.address).start();
        let mut client = bridge.connect();
        eventually("it is checked often", || {
            client.all_decided(10);
            service.seen.checks.load(Relaxed) > 10
        });
    }
}

#[test]
fn connections_that_the_service_ends_when_they_are_old_cost_no_fallback() {
    let service = serving(ms(2), |server| server.max_connection_age(ms(20)));
    let bridge = asking_all(&[service.address]).start();
    let mut client = bridge.connect();
    let mut callbacks = 0;
    eventually("many connections were ended", || {
        client.all_decided(20);
        all_decided_at_once(&bridge, 5);
        callbacks += 25;
        callbacks >= 300 && service.seen.connections.load(Relaxed) > 10
    });
    assert_eq!(service.seen.calls.load(Relaxed), callbacks);
}

#[test]
fn connections_that_end_together_cost_no_fallback() {
    // All begin at the same time, so that a call that finds one closing often finds the next one closing too.
    let services = [(); 3].map(|()| serving(ms(0), |server| server.max_connection_age(ms(15))));
    let bridge = asking_all(&services.each_ref().map(|service| service.address)).start();
    let mut callbacks = 0;
    eventually("many connections were ended", || {
        all_decided_at_once(&bridge, 20);
        callbacks += 20;
        callbacks >= 2000 && services.iter().all(|service| service.seen.connections.load(Relaxed) > 50)
    });
}

#[test]
fn retries_are_one_a_call_and_within_the_budget() {
    let service = plays([answer().closes()]);
    let bridge = asking_all(&[service.address])
        .with(|settings| {
            settings.upstream.health.interval = NEVER;
            settings.upstream.eject.failures = NonZeroUsize::MAX;
        })
        .start();
    let started = Instant::now();
    let mut client = bridge.connect();
    for calls in 1..=20 {
        assert!(!is_allowed(&mut client));
        assert!(service.requests().len() <= 2 * calls);
    }
    for _ in 20..300 {
        assert!(!is_allowed(&mut client));
    }
    let requests = service.requests().len();
    // 20 % of the calls, and what 10 s give at 10 a second; as much again for each further 10 s.
    let budget = 60 + 100 * (1 + started.elapsed().as_secs() / 10);
    assert!(requests > 300, "there were retries");
    assert!(requests as u64 <= 300 + budget, "{requests} requests for 300 calls");
}

#[test]
fn no_callback_is_sent_to_a_peer_that_never_speaks_once_it_is_out() {
    // Bytes of each connection.
    let seen = Arc::<Mutex<Vec<usize>>>::default();
    let ended = Arc::<AtomicUsize>::default();
    let (bytes, end) = (Arc::clone(&seen), Arc::clone(&ended));
    let mute = peer(move |mut stream| {
        let number = {
            let mut bytes = bytes.lock().expect("bytes");
            bytes.push(0);
            bytes.len() - 1
        };
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            bytes.lock().expect("bytes")[number] += length;
        }
        end.fetch_add(1, Relaxed);
    });
    let app = app();
    let bridge = asking_all(&[mute, app.address])
        .timeout(ms(14_000))
        .with(|settings| settings.upstream.health.timeout = ms(200))
        .start();
    let mut client = bridge.connect();
    client.all_decided(20);
    eventually("it is let go", || ended.load(Relaxed) > 0);
    client.all_decided(500);
    eventually("it is probed again", || ended.load(Relaxed) > 1);
    let seen = seen.lock().expect("bytes").clone();
    assert!(seen[0] < 4096 && seen[1..].iter().all(|bytes| *bytes <= seen[1]), "{seen:?}");
}

/// A peer that closes every connection at once, and how many there were.
fn closing() -> (SocketAddr, Arc<AtomicUsize>) {
    let connections = Arc::<AtomicUsize>::default();
    let seen = Arc::clone(&connections);
    let address = peer(move |stream| {
        seen.fetch_add(1, Relaxed);
        drop(stream);
    });
    (address, connections)
}

#[test]
fn a_peer_that_closes_every_connection_is_connected_to_with_pauses() {
    let (address, connections) = closing();
    let started = Instant::now();
    let _bridge = asking_all(&[address]).start();
    eventually("eight attempts", || connections.load(Relaxed) >= 8);
    assert!(started.elapsed() >= ms(7 * 50), "{:?}", started.elapsed());
}

#[test]
fn callbacks_to_a_peer_that_closes_every_connection_fall_back_before_their_deadline() {
    let (address, connections) = closing();
    let bridge = asking_all(&[address])
        .timeout(ms(14_000))
        .with(|settings| {
            settings.upstream.eject.probe_min = NEVER;
            settings.upstream.eject.probe_max = NEVER;
        })
        .start();
    let started = Instant::now();
    let mut client = bridge.connect();
    for _ in 0..20 {
        assert!(!is_allowed(&mut client));
    }
    assert!(started.elapsed() < ms(14_000));
    let connections = connections.load(Relaxed);
    assert!(connections <= 50, "{connections} connections for 20 callbacks");
}

#[test]
fn an_endpoint_that_breaks_every_connection_is_taken_out() {
    let service = plays([answer().closes()]);
    let bridge = asking_all(&[service.address])
        .with(|settings| {
            settings.upstream.health.interval = NEVER;
            settings.upstream.eject.probe_min = NEVER;
            settings.upstream.eject.probe_max = NEVER;
        })
        .start();
    let mut client = bridge.connect();
    for _ in 0..100 {
        assert!(!is_allowed(&mut client));
    }
    // Five failures in a row; a call may be under way while the last is noticed.
    assert!(service.requests().len() < 12, "{} requests", service.requests().len());
}

#[test]
fn why_an_endpoint_stays_out_is_logged_when_it_changes() {
    log::keep();
    let app = app_to_stop();
    let address = app.address;
    let bridge = asking_all(&[address]).with(|settings| settings.upstream.health.timeout = ms(200)).start();
    app.stop();
    let why = || -> Vec<String> {
        let lines = log::of_endpoint(address, "an endpoint is still ejected: a probe failed");
        lines.iter().map(|line| line["error"].to_string()).collect()
    };
    let mut client = bridge.connect();
    eventually("it is out, and was probed", || !is_allowed(&mut client) && !why().is_empty());

    let mute = TcpListener::bind(address).expect("the address");
    let _held: Vec<_> = mute.incoming().take(4).collect();
    let why = why();
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(why[0].contains("refused") && why[1].contains("does not answer a health check in time"), "{why:?}");
}
