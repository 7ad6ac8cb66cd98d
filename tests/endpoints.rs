//! A decision service of several endpoints that come and go: no callback may fail, and few may fall back.

#![allow(clippy::expect_used)]

mod kit;

use std::{net::SocketAddr, num::NonZeroUsize};

use kit::{App, BridgeBuilder, Client, Request, app, app_at, app_ruled_by, bridge, eventually, ms, nowhere, peer};
use openim_bridge::config::Settings;

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

/// `count` callbacks on one connection, all decided by the App.
#[track_caller]
fn all_decided(client: &mut Client, count: usize) {
    for _ in 0..count {
        client.write(&Request::new().bytes());
        client.reply().goes_on_with("pal");
    }
}

#[test]
fn every_endpoint_gets_its_share() {
    let apps = [app(), app(), app()];
    let bridge = asking_all(&apps.each_ref().map(|app| app.address)).start();
    let mut client = bridge.connect();
    all_decided(&mut client, 300);
    for app in &apps {
        // A fair share is 100.
        assert!(app.calls() > 30);
    }
}

#[test]
fn an_endpoint_that_ends_is_missed_by_nobody_and_gets_calls_again_when_it_is_back() {
    let apps = [app(), app()];
    let third = app();
    let address = third.address;
    let bridge = asking_all(&[apps[0].address, apps[1].address, address]).start();
    let mut client = bridge.connect();
    all_decided(&mut client, 50);
    third.stop();
    all_decided(&mut client, 200);

    let third = app_at(address);
    eventually("the third is asked again", || {
        all_decided(&mut client, 20);
        third.calls() > 0
    });
}

#[test]
fn an_endpoint_that_always_says_unavailable_costs_no_fallback() {
    let good = app();
    let bad = app_ruled_by("rules: [{ then: { status: UNAVAILABLE } }]");
    let bridge = asking_all(&[good.address, bad.address]).start();
    let mut client = bridge.connect();
    all_decided(&mut client, 100);
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
    all_decided(&mut client, 100);
    assert!(held.try_recv().is_ok(), "it was connected to");
}

#[test]
fn without_any_endpoint_the_fallback_comes_at_once_and_the_first_that_is_back_is_asked() {
    let gone = app();
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
    all_decided(&mut bridge.connect(), 20);
}

#[test]
fn all_workers_share_what_they_know_of_an_endpoint() {
    let good = app();
    let bridge = asking_all(&[good.address, nowhere()])
        .with(|settings| settings.workers = NonZeroUsize::new(3).and_then(|n| n.try_into().ok()).expect("3"))
        .start();
    for _ in 0..30 {
        all_decided(&mut bridge.connect(), 3);
    }
    assert_eq!(good.calls(), 90);
}
