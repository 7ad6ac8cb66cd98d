//! How many callbacks had which outcome. A series is made when it first occurs: of the combinations of all callbacks most
//! never do. From then on a callback looks nothing up.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use super::counts::{Labels, OutcomeCount};
use crate::callback::Callbacks;
use crate::openim::Rejection;
use crate::outcome::{Outcome, OutcomeKind, Reason, Source};
use crate::upstream::ErrorClass;

/// The label of a request whose URL names no callback that is served. Whoever sends it cannot choose the label.
pub(super) const UNKNOWN: &str = "unknown";
/// The reason of a callback that needs none.
const NO_REASON: &str = "none";

const KINDS: usize = OutcomeKind::Change as usize + 1;
const SOURCES: usize = Source::Rejected as usize + 1;
const REASONS: usize = 3 + ErrorClass::ALL.len() + Rejection::ALL.len();

/// The counters of one callback, by [`index`].
type OfCallback = Box<[OnceLock<IntCounter>]>;

#[derive(Debug)]
pub(super) struct OutcomeCounters {
    callbacks: Arc<Callbacks>,
    series: IntCounterVec,
    /// By the callback's place in the registry, and at the end those of none.
    counters: Box<[OnceLock<OfCallback>]>,
    /// Those that were made, in this order. Callbacks do not look at it.
    made: Mutex<Vec<(Labels, IntCounter)>>,
}

impl OutcomeCounters {
    pub(super) fn new(callbacks: Arc<Callbacks>, registry: &Registry) -> prometheus::Result<Self> {
        let help = "Callbacks, by outcome. A series appears with its first callback.";
        let labels = ["callback", "outcome", "source", "reason"];
        let series = IntCounterVec::new(Opts::new("openim_bridge_callbacks_total", help), &labels)?;
        registry.register(Box::new(series.clone()))?;
        let counters = (0..=callbacks.rows.len()).map(|_| OnceLock::new()).collect();
        Ok(Self { callbacks, series, counters, made: Mutex::default() })
    }

    pub(super) fn count(&self, outcome: &Outcome) {
        let place = outcome.callback.and_then(|callback| self.callbacks.index(callback));
        let place = place.unwrap_or(self.callbacks.rows.len());
        let counters = self.counters.get(place);
        let counters = counters.map(|counters| counters.get_or_init(none_yet));
        let Some(slot) = counters.and_then(|counters| counters.get(index(outcome))) else { return };
        if let Some(counter) = slot.get() {
            counter.inc();
        } else if let Ok(counter) = self.made(outcome) {
            counter.inc();
            // Two workers that come here at once are given the same counter.
            if slot.set(counter.clone()).is_ok() {
                let (callback, reason) = (outcome.callback, outcome.reason());
                let labels = Labels { callback, kind: outcome.kind(), source: outcome.source(), reason };
                self.made.lock().unwrap_or_else(PoisonError::into_inner).push((labels, counter));
            }
        }
    }

    /// One for each series, in the order in which they were made.
    pub(super) fn counts(&self) -> Vec<OutcomeCount> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().map(|(of, counter)| OutcomeCount { of: *of, count: counter.get() }).collect()
    }

    fn made(&self, outcome: &Outcome) -> prometheus::Result<IntCounter> {
        let callback = outcome.callback.map_or(UNKNOWN, |callback| callback.name);
        let reason = outcome.reason().map_or(NO_REASON, Reason::name);
        let labels = [callback, outcome.kind().into_str(), outcome.source().into_str(), reason];
        self.series.get_metric_with_label_values(&labels)
    }
}

fn none_yet() -> OfCallback {
    (0..KINDS * SOURCES * REASONS).map(|_| OnceLock::new()).collect()
}

/// Where the outcome's counter is among those of its callback.
const fn index(outcome: &Outcome) -> usize {
    let reason = match outcome.reason() {
        None => 0,
        Some(Reason::Unserved) => 1,
        Some(Reason::Undecodable) => 2,
        Some(Reason::Error(class)) => 3 + class as usize,
        Some(Reason::Rejected(rejection)) => 3 + ErrorClass::ALL.len() + rejection as usize,
    };
    (outcome.kind() as usize * SOURCES + outcome.source() as usize) * REASONS + reason
}

#[cfg(test)]
mod tests {
    use prometheus::{TextEncoder, core::Collector as _};

    use super::*;
    use std::rc::Rc;

    use crate::callback::{Body, CALLBACKS, Codec, Decision};
    use crate::openim::client::Reading;
    use crate::openim::{Fields, OperationId, RefusalDefaults};
    use crate::policy::{Action, FallbackActions, FallbackPolicy};
    use crate::proto::Refuse;

    fn body() -> Rc<Body> {
        let json = concat!(
            r#"{"callbackCommand":"callbackBeforeSetFriendRemarkCommand","#,
            r#""ownerUserID":"u1","friendUserID":"u2","remark":"pal"}"#
        );
        (Codec::TABLES.decode)(&CALLBACKS[0], json.into(), &OperationId::generate()).expect("a callback").body
    }

    /// Every outcome, in effect and in the shadow, for a callback and for none.
    fn all() -> Vec<Outcome> {
        let refuse = |code| Decision::Refuse(Refuse { code, message: String::new(), detail: String::new() });
        let policies = [Action::Allow, Action::Refuse]
            .map(|action| FallbackPolicy { class: [Some(action); _], ..FallbackPolicy::default() });
        let own = FallbackActions::default();
        let in_effect = || {
            let decisions = [Decision::Allow, Decision::Change(Fields::default()), refuse(5001), refuse(7)];
            let decided =
                decisions.map(|decision| Outcome::decided(decision, body(), &[], &RefusalDefaults::default()));
            let fallbacks = policies
                .iter()
                .flat_map(|policy| ErrorClass::ALL.map(|class| Outcome::fallback(policy, own, class, body(), None)));
            decided.into_iter().chain(fallbacks)
        };
        let rejected = |callback| Rejection::ALL.map(|rejection| Outcome::rejected(rejection, callback));
        let routed = [true, false].map(|is_refused| Outcome::routed(body(), is_refused, &RefusalDefaults::default()));
        let forwarded = ["{}", r#"{"nextCode":1}"#, "no"]
            .map(|answer| Outcome::forwarded(Some(&CALLBACKS[0]), &Reading::of(answer.as_bytes())));
        let of_one = in_effect()
            .chain(in_effect().map(Outcome::in_shadow))
            .chain(rejected(Some(&CALLBACKS[0])))
            .chain(routed)
            .chain(forwarded);
        let of_none = rejected(None).into_iter().chain([Outcome::unserved()]);
        of_one.chain(of_none).collect()
    }

    fn counted(counters: &OutcomeCounters) -> Vec<String> {
        let families: Vec<_> =
            counters.series.collect().into_iter().filter(|family| !family.get_metric().is_empty()).collect();
        let text = TextEncoder::new().encode_to_string(&families).expect("text");
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    }

    fn none() -> OutcomeCounters {
        OutcomeCounters::new(Arc::new(Callbacks::all()), &Registry::new()).expect("counters")
    }

    #[test]
    fn an_outcome_is_counted_by_its_own_labels() {
        for outcome in all() {
            let counters = none();
            assert_eq!(counted(&counters), [""; 0], "there is a series before its first callback");
            counters.count(&outcome);
            counters.count(&outcome);
            let callback = outcome.callback.map_or("unknown", |served| served.name);
            let (kind, source) = (outcome.kind().into_str(), outcome.source().into_str());
            let reason = outcome.reason().map_or("none", Reason::name);
            let labels = format!(r#"callback="{callback}",outcome="{kind}",reason="{reason}",source="{source}""#);
            assert_eq!(counted(&counters), [format!("openim_bridge_callbacks_total{{{labels}}} 2")]);
        }
    }

    #[test]
    fn no_two_outcomes_share_a_counter() {
        let counters = none();
        let outcomes = all();
        for outcome in &outcomes {
            counters.count(outcome);
        }
        // But one pair: in the shadow, a refusal with an invalid code is like the fallback's refusal of an invalid reply.
        let (alone, shared): (Vec<_>, Vec<_>) = counted(&counters).into_iter().partition(|line| line.ends_with(" 1"));
        assert_eq!((alone.len() + 2, shared.len()), (outcomes.len(), 1), "{shared:?}");
        assert!(shared[0].contains(r#"outcome="refuse",reason="invalid_reply",source="shadow"} 2"#), "{shared:?}");
    }
}
