//! `send --count`: many callbacks, as OpenIM's client makes them, and what is told of them.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    collections::HashSet,
    future::{Future, pending},
    io::{Read as _, Write as _},
    net::SocketAddr,
    num::NonZeroUsize,
    process::{Command, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

use clap::Parser;
use kit::{Bridge, app, app_ruled_by, bridge, ms, nowhere, peer};
use openim_bridge::cli::send::{LoadReport, SendArgs, load};
use serde_json::{Value, json};

/// What `send` tells of a load with these flags besides.
fn loaded(address: SocketAddr, flags: &[&str]) -> LoadReport {
    loaded_until(address, flags, pending())
}

fn loaded_until(address: SocketAddr, flags: &[&str], interrupted: impl Future<Output = ()>) -> LoadReport {
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: SendArgs,
    }
    let url = format!("http://{address}/callbackExample");
    let args = Cli::try_parse_from(["send", "--url", &url].iter().chain(flags)).expect("arguments").args;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(load(&args, args.count.expect("a count"), interrupted)).expect("a report")
}

fn to(bridge: &Bridge, flags: &[&str]) -> LoadReport {
    loaded(bridge.address(), flags)
}

#[test]
fn answers_are_counted_by_what_openim_makes_of_them() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let replaced = to(&bridge, &["--remark", "mock:replace=x", "--count", "300", "--concurrency", "20"]);
    assert_eq!((replaced.tally.callbacks(), replaced.tally.gone_on(true), replaced.exit_code()), (300, 300, 0));
    assert_eq!(app.calls(), 300);

    let kept = to(&bridge, &["--remark", "pal", "--count", "20"]);
    assert_eq!((kept.tally.callbacks(), kept.tally.gone_on(false), kept.exit_code()), (20, 20, 0));

    let refused = to(&bridge, &["--remark", "mock:refuse=5001,no", "--count", "20"]);
    assert_eq!((refused.tally.callbacks(), refused.tally.refused(5001), refused.exit_code()), (20, 20, 0));
    assert!(!refused.is_interrupted());
}

#[test]
fn what_is_shed_is_told_from_what_is_decided() {
    let app = app_ruled_by("rules: [{then: allow, delay: 20ms}]");
    let one = |settings: &mut openim_bridge::server::Settings| settings.bridge.limits.in_flight = NonZeroUsize::MIN;
    let bridge = bridge().asking(&app).refusing().with(one).start();
    let report = to(&bridge, &["--remark", "pal", "--count", "40", "--concurrency", "8"]);
    let (allowed, shed) = (report.tally.gone_on(false), report.tally.refused(9922));
    assert!(allowed > 0 && shed > 0 && allowed + shed == 40, "{report}");
    assert_eq!(report.exit_code(), 0);
    assert!(report.to_string().contains("the bridge's own, not your decision service's"), "{report}");
}

#[test]
fn failures_are_counted_by_kind() {
    let unreachable = loaded(nowhere(), &["--remark", "pal", "--count", "3"]);
    assert_eq!((unreachable.tally.failed(), unreachable.exit_code()), (3, 1));
    let bodies = ["", "{", "{\"nextCode\":\"0\"}", "{\"errCode\":5000000000}", "[]", "{}"].map(str::to_owned);
    let bodies = Arc::new(Mutex::new(Vec::from(bodies)));
    let odd = peer(move |mut stream| {
        let _request = stream.read(&mut [0; 4096]);
        let body = bodies.lock().expect("bodies").pop().expect("a body");
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        let _gone = stream.write_all(format!("{head}{body}").as_bytes());
    });
    let report = loaded(odd, &["--remark", "pal", "--count", "6", "--concurrency", "1"]);
    assert_eq!((report.tally.callbacks(), report.tally.failed(), report.exit_code()), (6, 5, 1));
    let causes = |report: &LoadReport| {
        let json = report.json();
        let verdicts = json["verdicts"].as_array().expect("verdicts").clone();
        let causes = verdicts.into_iter().filter(|verdict| verdict["kind"] == "fails");
        causes.map(|verdict| format!("{} {}", verdict["count"], verdict["cause"])).collect::<HashSet<_>>()
    };
    assert_eq!(causes(&unreachable), HashSet::from(["3 \"connect\"".to_owned()]));
    let expected = ["empty", "syntax", "wrong_type", "not_int32", "not_an_object"];
    assert_eq!(causes(&report), expected.map(|cause| format!("1 {cause:?}")).into());
}

#[test]
fn at_a_rate_latency_counts_from_when_a_callback_was_due() {
    let app = app_ruled_by("rules: [{then: allow, delay: 50ms}]");
    let bridge = bridge().asking(&app).start();
    let flags = ["--remark", "pal", "--count", "10", "--concurrency", "1"];
    // Due within 90 ms, and done after 500 ms at the soonest, one after another.
    let due = to(&bridge, &[&flags[..], &["--rate", "100"]].concat());
    assert!(due.tally.latency_at(1.0) >= ms(400), "{due}");
    assert!(due.tally.latency_at(0.5) >= ms(150), "{due}");
    assert_eq!(due.json()["latencyFrom"], "due");
    assert_eq!(to(&bridge, &flags).json()["latencyFrom"], "sent");
}

#[test]
fn a_rate_is_not_exceeded() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let report = to(&bridge, &["--remark", "pal", "--count", "31", "--rate", "100"]);
    assert_eq!(report.tally.callbacks(), 31);
    assert!(report.elapsed >= ms(300), "{report}");
}

#[test]
fn each_callback_has_an_operation_id_of_its_own_unless_one_is_given() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    to(&bridge, &["--remark", "pal", "--count", "5"]);
    let ids: HashSet<_> = (0..5).map(|_| app.next_call().operation_id).collect();
    assert_eq!(ids.len(), 5, "{ids:?}");
    to(&bridge, &["--remark", "pal", "--count", "2", "--operation-id", "op-7"]);
    assert_eq!([app.next_call().operation_id, app.next_call().operation_id], ["op-7", "op-7"]);
}

/// Callbacks that have come in, and those that have been answered.
#[derive(Default)]
struct Held {
    came: usize,
    answered: usize,
    most: usize,
}

#[test]
fn over_http_100_are_under_way_at_one_time_and_no_more() {
    // Nothing is answered before 100 have come in, or all that are left.
    let (count, at_once) = (250, 100);
    let held = Arc::new((Mutex::new(Held::default()), Condvar::new()));
    let seen = Arc::clone(&held);
    let server = peer(move |mut stream| {
        let (held, changed) = &*seen;
        while stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
            let mut now: MutexGuard<'_, Held> = held.lock().expect("a lock");
            now.came += 1;
            now.most = now.most.max(now.came - now.answered);
            let round = (now.came - 1) / at_once;
            changed.notify_all();
            let needed = count.min((round + 1) * at_once);
            let mut now = changed.wait_while(now, |now| now.came < needed).expect("a lock");
            now.answered += 1;
            drop(now);
            let _gone = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    let report = loaded(server, &["--remark", "pal", "--count", "250", "--concurrency", "200", "--timeout", "15s"]);
    assert_eq!((report.tally.callbacks(), report.exit_code()), (250, 0), "{report}");
    assert_eq!(held.0.lock().expect("a lock").most, 100);
}

#[test]
fn an_interruption_tells_what_was_measured() {
    let app = app();
    let bridge = bridge().asking(&app).timeout(ms(14_000)).start();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let hung = std::thread::scope(|scope| {
        scope.spawn(|| {
            app.next_call();
            app.next_call();
            drop(stop);
        });
        let flags = ["--remark", "mock:hang", "--count", "9", "--concurrency", "2", "--timeout", "15s"];
        loaded_until(bridge.address(), &flags, async { drop(stopped.await) })
    });
    assert_eq!((hung.tally.callbacks(), hung.given_up, hung.exit_code()), (0, 2, 1));
    assert!(hung.to_string().contains("interrupted: 2 more were in flight, and 7 not sent"), "{hung}");
    assert_eq!(hung.json()["latencyMicros"], Value::Null);
}

#[test]
fn ctrl_c_ends_the_program_with_its_report() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let url = format!("http://{}/cb", bridge.address());
    let mut sending = Command::new(env!("CARGO_BIN_EXE_openim-bridge"))
        .args([
            "send",
            "--url",
            &url,
            "--remark",
            "pal",
            "--count",
            "1000000",
            "--concurrency",
            "1",
            "--output",
            "json",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    for _ in 0..20 {
        app.next_call();
    }
    let interrupted = Command::new("sh").arg("-c").arg(format!("kill -INT {}", sending.id())).status();
    assert!(interrupted.expect("a shell").success());
    let ended = sending.wait().expect("it ends");
    let (mut told, mut errors) = (String::new(), String::new());
    sending.stdout.take().expect("its output").read_to_string(&mut told).expect("UTF-8");
    sending.stderr.take().expect("its errors").read_to_string(&mut errors).expect("UTF-8");
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((ended.code(), &*errors), (Some(0), ""), "no progress line where there is no terminal");
    assert_eq!(told["interrupted"], true);
    assert!(told["callbacks"].as_u64().is_some_and(|callbacks| callbacks >= 19), "{told}");
}

#[test]
fn tells_people_in_words() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let mut report = to(&bridge, &["--remark", "mock:refuse=5001,no \u{1b}[2J", "--count", "4", "--rate", "50"]);
    report.elapsed = Duration::from_millis(2_500);
    let told = report.to_string().replace(&bridge.address().to_string(), "127.0.0.1:10006");
    let (told, _latencies) = told.split_once("\n  p50").expect("percentiles");
    insta::assert_snapshot!(told, @r#"
    POST http://127.0.0.1:10006/callbackExample/callbackBeforeSetFriendRemarkCommand
    4 callbacks in 2s 500ms: 1 a second, where 50 were due; up to 100 in flight

    what OpenIM would have made of the answers
              4  refuses with errCode 5001 "no \u{1b}[2J"

    who decided
              4  the decision service

    latency, from when each callback was due to the end of its answer, or to giving up
    "#);
}

#[test]
fn a_mix_is_sent_by_its_weights_and_told_by_callback() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    let mix = ["--mix", "beforeSendSingleMsg=10,afterSendSingleMsg=10,beforeSetFriendRemark=1", "--count", "42"];
    let report = to(&bridge, &mix);
    let json = report.json();
    let sent: Vec<_> =
        json["byCallback"].as_array().expect("a list").iter().map(|of| (&of["callback"], &of["callbacks"])).collect();
    let expected = [("beforeSendSingleMsg", 20), ("afterSendSingleMsg", 20), ("beforeSetFriendRemark", 2)];
    assert_eq!(json!(sent), json!(expected));
    assert_eq!((report.tally.callbacks(), report.exit_code()), (42, 0), "{report}");
    let told = report.to_string();
    for line in
        ["\nafterSendSingleMsg: 20 callbacks, p50 ", "\n         20  goes on, and reads nothing of the answer\n"]
    {
        assert!(told.contains(line), "{told}");
    }
    assert_eq!(to(&bridge, &["--remark", "pal", "--count", "1"]).json()["byCallback"], json!([]));
}
