//! Whether every outcome that can be made has its counter from the start. A test alone.

use std::time::Duration;

use super::{BridgeState, Metrics};
use crate::callback::{Decision, REGISTRY};
use crate::openim::{BadRequest, RefusalDefaults};
use crate::outcome::{Outcome, Reason};
use crate::policy::{Action, FallbackPolicy};
use crate::proto::Refuse;
use crate::upstream::ErrorClass;

/// Every outcome, in effect and in the shadow, for each command and for none.
fn all() -> Vec<Outcome> {
    let refuse = |code| Decision::Refuse(Refuse { code, message: String::new(), detail: String::new() });
    let policies = [Action::Allow, Action::Refuse].map(|action| FallbackPolicy { action, ..FallbackPolicy::default() });
    let in_effect = || {
        let decisions = [Decision::Allow, Decision::Replace(vec![]), refuse(5001), refuse(7)];
        let decided = decisions
            .into_iter()
            .map(|decision| Outcome::decided(decision, vec![], &RefusalDefaults::default()).serving(&REGISTRY[0]));
        let fallbacks = policies.iter().flat_map(|policy| {
            ErrorClass::ALL.map(|class| Outcome::fallback(policy, class, vec![], None).serving(&REGISTRY[0]))
        });
        // Of a request that was never read.
        let early = policies.iter().flat_map(|policy| {
            [ErrorClass::Overloaded, ErrorClass::Internal].map(|class| Outcome::fallback(policy, class, vec![], None))
        });
        decided.chain(fallbacks).chain(early)
    };
    let bad = BadRequest::ALL.map(Outcome::bad_request);
    let bad_of_served = BadRequest::ALL
        .into_iter()
        .filter(|bad| {
            use BadRequest::{CommandMissing, CommandSwallowed, CommandUnserved};
            !matches!(bad, CommandMissing | CommandSwallowed | CommandUnserved)
        })
        .map(|bad| Outcome::bad_request(bad).serving(&REGISTRY[0]));
    let in_shadow = in_effect().map(Outcome::in_shadow);
    in_effect().chain(in_shadow).chain(bad).chain(bad_of_served).chain([Outcome::unserved()]).collect()
}

fn series(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("openim_bridge_callbacks_total{")).collect()
}

#[test]
fn each_outcome_is_counted_once_by_a_counter_that_was_there_before() {
    let metrics = Metrics::new(&REGISTRY).expect("metrics");
    let before = metrics.encode(&BridgeState::none()).expect("text");
    assert!(series(&before).iter().all(|line| line.ends_with(" 0")), "{before}");
    let outcomes = all();
    for outcome in &outcomes {
        metrics.record(outcome, Duration::from_millis(3));
    }
    let after = metrics.encode(&BridgeState::none()).expect("text");
    // A refusal by an invalid reply in the shadow may be the App's or the fallback's.
    let shared = series(&after).into_iter().filter(|line| line.ends_with(" 2")).collect::<Vec<_>>();
    let expected = r#"openim_bridge_callbacks_total{command="callbackBeforeSetFriendRemarkCommand",outcome="refuse",reason="invalid_reply",source="shadow"} 2"#;
    assert_eq!(shared, [expected]);
    let alone = series(&after).into_iter().filter(|line| line.ends_with(" 1")).count();
    assert_eq!(alone + 1, series(&after).len(), "a counter that nothing raises: {after}");
    assert_eq!(alone + 2, outcomes.len(), "{after}");
    assert_eq!(series(&before).len(), series(&after).len(), "one was not there before: {after}");
}

#[test]
fn labels_are_those_of_the_log() {
    let metrics = Metrics::new(&REGISTRY).expect("metrics");
    for outcome in all() {
        metrics.record(&outcome, Duration::ZERO);
        let command = outcome.command.unwrap_or("other");
        let labels = format!(
            r#"{{command="{command}",outcome="{}",reason="{}",source="{}"}} "#,
            outcome.kind().name(),
            outcome.reason().map_or("none", Reason::name),
            outcome.source().name()
        );
        let text = metrics.encode(&BridgeState::none()).expect("text");
        let counted = series(&text).into_iter().find_map(|line| line.split_once(&labels)).map(|(_, count)| count);
        assert!(matches!(counted, Some("1" | "2")), "{labels} {text}");
    }
}

/// A hint, and no more, on a machine that does something else too: `cargo test --release --lib cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_a_callback() {
    const CALLBACKS: u32 = 4_000_000;
    let metrics = Metrics::new(&REGISTRY).expect("metrics");
    let mut outcome = Outcome::decided(Decision::Allow, vec![], &RefusalDefaults::default()).serving(&REGISTRY[0]);
    outcome.endpoint = Some(crate::upstream::Target::Unix(std::path::Path::new("/run/a.sock").into()));
    for threads in [1, 2, 4] {
        let began = std::time::Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for number in 0..CALLBACKS {
                        let elapsed = Duration::from_micros(u64::from(number % 4_000_000));
                        metrics.record(std::hint::black_box(&outcome), elapsed);
                    }
                });
            }
        });
        let each = began.elapsed().as_nanos() / u128::from(CALLBACKS);
        println!("{threads} threads at once: {each} ns a callback");
    }
}
