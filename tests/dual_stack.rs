//! A decision service whose name has addresses that cannot be reached, such as those of a family without a route.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::{Duration, Instant},
};

use kit::{
    BridgeBuilder, app, bridge,
    dns::name_server,
    frames::{allow, grpc, plays},
    ms,
};
use socket2::{Domain, Socket, Type};

const LIVE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// RFC 3849: nobody's. Without a route connecting fails at once, with one nobody answers.
const NOBODY: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
/// Connecting to what does not answer takes this long.
const CONNECT_TIMEOUT: Duration = ms(10_000);

/// An address that drops every packet: a listener whose queue is full. Of IPv6 where there is that.
struct BlackHole {
    ip: IpAddr,
    _queue: Vec<Socket>,
}

impl BlackHole {
    fn at(port: u16) -> Self {
        let listening = |ip: IpAddr| {
            let socket = Socket::new(Domain::for_address(SocketAddr::new(ip, port)), Type::STREAM, None).ok()?;
            socket.bind(&SocketAddr::new(ip, port).into()).ok()?;
            socket.listen(0).ok()?;
            Some((ip, socket))
        };
        let (ip, listener) = listening(Ipv6Addr::LOCALHOST.into())
            .or_else(|| listening(Ipv4Addr::new(127, 0, 0, 2).into()))
            .expect("an address of this host");
        let mut queue = vec![listener];
        let address = SocketAddr::new(ip, port);
        loop {
            let filler = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
            let taken = filler.connect_timeout(&address.into(), ms(200)).is_ok();
            queue.push(filler);
            if !taken {
                return Self { ip, _queue: queue };
            }
        }
    }
}

/// Its fallback refuses.
fn asking_all(addresses: &[IpAddr], port: u16) -> BridgeBuilder {
    let names = name_server(LIVE);
    names.says_all(addresses);
    bridge().refusing().timeout(ms(14_000)).with(|settings| {
        let url = format!("http://decisions.test:{port}");
        settings.upstream.addresses = vec![url.parse().expect("an address")];
        settings.upstream.name_server = Some(names.address);
        settings.upstream.connect_timeout = CONNECT_TIMEOUT;
        // The service plays an answer to each request.
        settings.upstream.health.interval = Duration::from_hours(1);
    })
}

#[test]
fn an_address_that_answers_nothing_delays_no_callback_not_even_the_first() {
    // The first callback of each meets a bridge without a connection: which address it would take is chance.
    for _ in 0..5 {
        let app = app();
        let hole = BlackHole::at(app.address.port());
        let started = Instant::now();
        let bridge = asking_all(&[hole.ip, NOBODY, LIVE], app.address.port()).start();
        bridge.connect().all_decided(20);
        assert!(started.elapsed() < CONNECT_TIMEOUT, "{:?}", started.elapsed());
    }
}

#[test]
fn a_retry_does_not_wait_for_an_address_that_answers_nothing() {
    let unavailable = || grpc().trailers("14");
    let service = plays([unavailable(), allow(), unavailable(), allow(), unavailable(), allow()]);
    let hole = BlackHole::at(service.address.port());
    let started = Instant::now();
    let bridge = asking_all(&[hole.ip, LIVE], service.address.port()).start();
    bridge.connect().all_decided(3);
    assert!(service.requests().len() >= 6, "each was sent again");
    assert!(started.elapsed() < CONNECT_TIMEOUT, "{:?}", started.elapsed());
}
