//! After callbacks on their way to the service: in order, again where it was not there, and never in anybody's way.

#![allow(clippy::expect_used, clippy::float_cmp, clippy::disallowed_methods)]

mod kit;

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use kit::rpc::{AnyService, Asked, HANGS, any_service, any_service_at};
use kit::{Bridge, BridgeBuilder, PATIENCE, Request, bridge, eventually, ms, nowhere};
use openim_bridge::bridge::DeliverySettings;
use openim_bridge::proto::AfterSetFriendRemarkRequest;
use prost::Message as _;

const RESOURCE_EXHAUSTED: i32 = 8;
const NOT_FOUND: i32 = 5;
const UNAVAILABLE: i32 = 14;

/// An event of this owner, whose order is kept.
fn event(owner: &str, remark: &str) -> Request {
    let command = "callbackAfterSetFriendRemarkCommand";
    Request::new().target(&format!("/cb/{command}")).callback(command, owner, "u2", remark)
}

#[track_caller]
fn send(bridge: &Bridge, event: &Request) {
    let reply = bridge.send(event);
    reply.goes_on();
    assert_eq!(reply.origin(), "queued");
}

fn remark(asked: &Asked) -> (String, String) {
    let request = AfterSetFriendRemarkRequest::decode(asked.message.clone()).expect("protobuf");
    (request.owner_user_id, request.remark)
}

fn with(settings: impl FnOnce(&mut DeliverySettings)) -> BridgeBuilder {
    bridge().admin().with(|all| settings(&mut all.bridge.delivery))
}

fn results(bridge: &Bridge, result: &str) -> f64 {
    let is_of = |name: &String| {
        name.starts_with("openim_bridge_deliveries_total{") && name.contains(&format!("result=\"{result}\""))
    };
    bridge.scrape().iter().filter(|(name, _)| is_of(name)).map(|(_, count)| count).sum()
}

fn asks(builder: BridgeBuilder, service: &AnyService) -> Bridge {
    builder.asking_at(service.address).start()
}

#[test]
fn events_of_one_key_arrive_in_order_and_a_retry_holds_up_no_other_key() {
    let failures = AtomicUsize::new(0);
    let service = any_service_at(([127, 0, 0, 1], 0).into(), move |asked| match remark(asked) {
        (owner, first) if owner == "u1" && first == "0" && failures.fetch_add(1, Relaxed) < 2 => {
            Err(RESOURCE_EXHAUSTED)
        }
        _ => Ok(vec![]),
    });
    let bridge = asks(with(|_| {}), &service);
    for number in 0..5 {
        send(&bridge, &event("u1", &number.to_string()));
    }
    send(&bridge, &event("u9", "other"));
    let asked: Vec<_> = (0..8).map(|_| service.next()).collect();
    let of = |owner: &str| -> Vec<String> {
        asked.iter().map(remark).filter(|(of, _)| of == owner).map(|(_, remark)| remark).collect()
    };
    assert_eq!(of("u1"), ["0", "0", "0", "1", "2", "3", "4"]);
    let place =
        |owner: &str, nth: usize| asked.iter().map(remark).enumerate().filter(|(_, (of, _))| of == owner).nth(nth);
    assert!(place("u9", 0).expect("asked").0 < place("u1", 2).expect("asked").0, "it waited");
    // The same event is known by the same ID, and each attempt by its number.
    let first: Vec<_> = asked.iter().filter(|asked| remark(asked) == ("u1".to_owned(), "0".to_owned())).collect();
    let ids: Vec<_> = first.iter().map(|asked| asked.metadata("callback-id")).collect();
    assert!(ids[0].len() == 36 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(ids[0].as_bytes()[14], b'7', "the version: {}", ids[0]);
    assert_eq!(first.iter().map(|asked| asked.metadata("attempt")).collect::<Vec<_>>(), ["1", "2", "3"]);
    eventually("all are done", || bridge.server.load().queued == 0);
    assert_eq!(results(&bridge, "delivered"), 6.0);
    assert_eq!(bridge.scrape()["openim_bridge_delivery_retries_total"], 2.0);
}

#[test]
fn what_the_service_does_not_want_is_told_once_and_what_it_fails_at_a_few_times() {
    for (status, attempts) in [(NOT_FOUND, 1), (RESOURCE_EXHAUSTED, 3)] {
        let service = any_service(move |_| Err(status));
        let bridge = asks(with(|delivery| delivery.max_attempts = 3.try_into().expect("3")), &service);
        send(&bridge, &event("u1", "x"));
        eventually("it is given up", || bridge.server.load().queued == 0);
        assert_eq!(service.all().len(), attempts, "{status}");
        assert_eq!(results(&bridge, "rejected"), 1.0);
    }
}

#[test]
fn an_event_that_always_fails_holds_up_its_key_for_seconds() {
    let service = any_service_at(([127, 0, 0, 1], 0).into(), |asked| match &*remark(asked).1 {
        "poison" => Err(RESOURCE_EXHAUSTED),
        _ => Ok(vec![]),
    });
    let bridge = asks(with(|_| {}), &service);
    let sent = Instant::now();
    for of_key in ["poison", "next"] {
        send(&bridge, &event("u1", of_key));
    }
    let asked: Vec<_> = (0..6).map(|_| remark(&service.next()).1).collect();
    assert_eq!(asked, ["poison", "poison", "poison", "poison", "poison", "next"]);
    // The pauses are 2.25 s at most; the bound is far from a minute.
    assert!(sent.elapsed() < Duration::from_secs(20), "{:?}", sent.elapsed());
    eventually("both are done", || bridge.server.load().queued == 0);
    assert_eq!((results(&bridge, "rejected"), results(&bridge, "delivered")), (1.0, 1.0));
}

#[test]
fn an_event_is_kept_for_a_service_that_comes_later() {
    let is_there = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_there);
    let service = any_service(move |_| if seen.load(Relaxed) { Ok(vec![]) } else { Err(UNAVAILABLE) });
    let bridge = asks(with(|_| {}), &service);
    for number in 0..20 {
        send(&bridge, &event(&format!("u{number}"), "x"));
    }
    std::thread::sleep(ms(500));
    assert_eq!(bridge.server.load().queued, 20, "none is given up");
    assert!(bridge.scrape()["openim_bridge_delivery_queue_oldest_seconds"] > 0.4);
    is_there.store(true, Relaxed);
    eventually("all are told", || bridge.server.load().queued == 0);
    assert_eq!(results(&bridge, "delivered"), 20.0);
}

#[test]
fn an_attempt_is_one_call_and_leaves_the_retries_to_decisions() {
    let service = any_service(|_| Err(UNAVAILABLE));
    // So that the endpoint stays, and each attempt is made.
    let bridge = asks(with(|_| {}).with(|all| all.upstream.eject.failures = NonZeroUsize::MAX), &service);
    send(&bridge, &event("u1", "x"));
    let asked: Vec<_> = (0..3).map(|_| service.next()).collect();
    assert_eq!(asked.iter().map(|asked| asked.metadata("attempt")).collect::<Vec<_>>(), ["1", "2", "3"]);
}

#[test]
fn an_event_that_is_too_old_is_given_up() {
    let bridge = with(|delivery| delivery.max_age = ms(300)).asking_at(nowhere()).start();
    send(&bridge, &event("u1", "x"));
    eventually("it is given up", || bridge.server.load().queued == 0);
    assert_eq!(results(&bridge, "expired"), 1.0);
}

#[test]
fn beyond_the_bound_the_newest_is_dropped_and_every_one_is_counted() {
    let bridge =
        with(|delivery| delivery.queue_bytes = 100_000.try_into().expect("a number")).asking_at(nowhere()).start();
    // One key has a quarter.
    for number in 0..100 {
        send(&bridge, &event("u1", &number.to_string()));
    }
    eventually("a part is dropped", || results(&bridge, "dropped") > 0.0 && bridge.server.load().queued < 40);
    let of_one = bridge.server.load().queued;
    let sum = || results(&bridge, "dropped") + f64::from(u32::try_from(bridge.server.load().queued).expect("few"));
    eventually("each is counted", || (sum() - 100.0).abs() < 0.1);
    // The others have the rest.
    for number in 0..100 {
        send(&bridge, &event(&format!("v{}", number % 10), "x"));
    }
    eventually("each is counted", || (sum() - 200.0).abs() < 0.1);
    assert!(bridge.server.load().queued > 2 * of_one, "{} of {of_one}", bridge.server.load().queued);
    assert!(bridge.scrape()["openim_bridge_delivery_queue_bytes"] <= 100_000.0);
}

#[test]
fn events_that_hang_hold_up_no_other_callback() {
    let service = any_service(|path| match path {
        path if path.ends_with("/AfterSetFriendRemark") => Err(HANGS),
        path if path.contains("/After") => Ok(vec![]),
        _ => Ok(vec![0x0a, 0x00]),
    });
    let bridge = asks(with(|delivery| delivery.concurrency = 4.try_into().expect("4")), &service);
    for number in 0..50 {
        send(&bridge, &event(&format!("u{number}"), "x"));
    }
    let command = "callbackAfterDeleteFriendCommand";
    let body = format!(r#"{{"callbackCommand":"{command}","ownerUserID":"another","friendUserID":"u2"}}"#);
    send(&bridge, &Request::new().target(&format!("/cb/{command}")).body(body));
    let end = Instant::now() + Duration::from_secs(4);
    while !service.all().iter().any(|asked| asked.path.ends_with("/AfterDeleteFriend")) {
        assert!(Instant::now() < end, "it waits for those that hang");
        std::thread::sleep(ms(5));
    }
    let reply = bridge.ask("pal");
    reply.goes_on_with("pal");
    assert_eq!(reply.origin(), "decision");
}

#[test]
fn what_is_queued_is_told_before_the_bridge_ends() {
    let service = any_service(|_| Ok(vec![]));
    let mut bridge = asks(with(|_| {}).with(|all| all.workers = 2.try_into().expect("2")), &service);
    for number in 0..200 {
        send(&bridge, &event(&format!("u{}", number % 7), &number.to_string()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    assert!(runtime.block_on(bridge.server.drain(Duration::ZERO, PATIENCE)), "not done in time");
    let told: Vec<_> = service.all().iter().map(remark).collect();
    assert_eq!(told.len(), 200);
    for owner in (0..7).map(|number| format!("u{number}")) {
        let remarks: Vec<u32> =
            told.iter().filter(|(of, _)| *of == owner).map(|(_, remark)| remark.parse().expect("a number")).collect();
        assert!(remarks.is_sorted(), "{owner}: {remarks:?}");
    }
}

#[test]
fn a_drain_by_hand_shortens_the_pauses() {
    let attempts = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&attempts);
    // The pause after five failures is 1.6 s at least.
    let service =
        any_service(move |_| if seen.fetch_add(1, Relaxed) < 5 { Err(RESOURCE_EXHAUSTED) } else { Ok(vec![]) });
    let bridge = asks(with(|delivery| delivery.max_attempts = 9.try_into().expect("9")), &service);
    send(&bridge, &event("u1", "x"));
    eventually("it has failed five times", || attempts.load(Relaxed) >= 5);
    assert_eq!(bridge.operator("POST", "/drain", "").status, 200);
    let drained = Instant::now();
    eventually("it is told", || bridge.server.load().queued == 0);
    assert!(drained.elapsed() < ms(1_000), "{:?}", drained.elapsed());
    assert_eq!(results(&bridge, "delivered"), 1.0);
}

#[test]
fn a_bridge_without_a_service_does_not_wait_for_one_at_the_end() {
    let mut bridge = with(|_| {}).asking_at(nowhere()).start();
    send(&bridge, &event("u1", "x"));
    eventually("its endpoint is ejected", || bridge.scrape()["openim_bridge_breaker_open"] == 1.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let started = Instant::now();
    assert!(runtime.block_on(bridge.server.drain(Duration::ZERO, PATIENCE)), "not done in time");
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(bridge.server.load().queued, 0, "what is left is counted as lost");
}
