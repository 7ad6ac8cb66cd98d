//! The first lines of the status page: how the bridge is, for whoever must act on it, and what its fallback does. What kubelet
//! asks is another thing (see [`ready`](super::ready)): a bridge whose decision service is down is ready all the same.

use crate::bridge::BridgeSettings;
use crate::callback::CALLBACKS;
use crate::outcome::{Delivered, Reason, Source};
use crate::policy::{Action, Percent, Route};
use crate::telemetry::metrics::{BridgeState, CallbackCounts, Labels};
use crate::upstream::{EndpointState, ErrorClass};

const DEGRADED: &str = "Degraded";

pub(super) struct Verdict {
    pub(super) is_good: bool,
    pub(super) word: &'static str,
    pub(super) headline: String,
    /// What else is wrong.
    pub(super) also: Vec<String>,
}

/// `minute`: what was counted in the last minute.
pub(super) fn verdict(state: &BridgeState, settings: &BridgeSettings, minute: &CallbackCounts) -> Verdict {
    let mut wrong = wrong(state, settings, minute).into_iter();
    if let Some((word, headline)) = wrong.next() {
        return Verdict { is_good: false, word, headline, also: wrong.map(|(_, text)| text).collect() };
    }
    Verdict { is_good: true, word: "Healthy", headline: nothing_wrong(state, settings), also: vec![] }
}

fn nothing_wrong(state: &BridgeState, settings: &BridgeSettings) -> String {
    if without_endpoint(settings).is_none() {
        return "no callback waits for the decision service".to_owned();
    }
    let (healthy, all) = (healthy(state), state.upstream.endpoints.len());
    if healthy == all {
        return "every endpoint is healthy".to_owned();
    }
    format!("{healthy} of {all} endpoints are healthy, and the others are new")
}

fn healthy(state: &BridgeState) -> usize {
    state.upstream.endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Healthy).count()
}

/// The worst first.
fn wrong(state: &BridgeState, settings: &BridgeSettings, minute: &CallbackCounts) -> Vec<(&'static str, String)> {
    let mut wrong = Vec::new();
    if state.draining {
        wrong.push(("Draining", "callbacks are still answered; every response closes its connection".to_owned()));
    }
    let (upstream, healthy, endpoints) = (&state.upstream, healthy(state), state.upstream.endpoints.len());
    let new = upstream.endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::New).count();
    if let Some(what_then) = without_endpoint(settings) {
        if upstream.has_no_endpoint() {
            wrong.push((DEGRADED, format!("no endpoint is healthy; {what_then}")));
        } else if healthy == 0 {
            wrong.push(("Starting", "the decision service has not answered yet".to_owned()));
        } else if healthy + new < endpoints {
            wrong.push((DEGRADED, format!("{healthy} of {endpoints} endpoints are healthy")));
        }
    }
    let receiver = state.receiver.as_ref().map(|receiver| &receiver.addresses);
    if receiver.is_some_and(|addresses| !addresses.is_empty() && addresses.iter().all(|(_, error)| error.is_some())) {
        let text = "the receiver cannot be reached; every callback that is forwarded gets the fallback";
        wrong.push((DEGRADED, text.to_owned()));
    }
    wrong.extend(fallbacks(minute).map(|text| (DEGRADED, text)));
    let lost: u64 = Delivered::ALL.into_iter().zip(minute.deliveries).skip(1).map(|(_, count)| count).sum();
    if lost > 0 {
        wrong.push((DEGRADED, format!("after callbacks lost in the last minute: {lost}")));
    }
    let sides = [&state.certificate, &state.upstream_certificate, &state.forward_certificate];
    if sides.iter().any(|side| side.expires_in < 0.0) {
        wrong.push((DEGRADED, "a certificate has expired: see TLS".to_owned()));
    }
    if state.configuration.last_refused {
        let text = "the configuration file is wrong: the previous configuration stays in effect";
        wrong.push((DEGRADED, text.to_owned()));
    }
    wrong
}

/// What becomes of callbacks while no endpoint is healthy; `None` where none is for the decision service.
#[inline(never)]
fn without_endpoint(settings: &BridgeSettings) -> Option<String> {
    let (mut allowed, mut refused, mut others, mut after) = (0, 0, 0, 0);
    for callback in CALLBACKS {
        let policy = settings.policy(callback);
        let action = settings.fallback.action_for(ErrorClass::Unavailable, Some(callback), policy.fallback);
        match (policy.route == Route::Service, callback.is_after(), action) {
            (true, true, _) => after += 1,
            (false, true, _) => {}
            // In the shadow a fallback has no effect.
            (true, false, _) if policy.enforce_percent == Percent::NONE => others += 1,
            (true, false, Action::Allow) => allowed += 1,
            (true, false, Action::Refuse) => refused += 1,
            (false, false, _) => others += 1,
        }
    }
    let every = if others == 0 { "every callback" } else { "every callback that needs a decision" };
    match (allowed, refused) {
        (0, 0) if after == 0 => None,
        (0, 0) => Some("after callbacks wait for one".to_owned()),
        (_, 0) => Some(format!("{every} is allowed by the fallback")),
        (0, _) => Some(format!("{every} is refused by the fallback")),
        _ => {
            let kinds = allowed + refused;
            Some(format!("of {kinds} kinds of callback the fallback refuses {refused} and allows {allowed}"))
        }
    }
}

/// One in a hundred or more fell back. That the service lacks an rpc is no news.
fn fallbacks(minute: &CallbackCounts) -> Option<String> {
    let is_news =
        |of: &Labels| of.source == Source::Fallback && of.reason != Some(Reason::Error(ErrorClass::Unimplemented));
    let by_class =
        ErrorClass::ALL.map(|class| (minute.of(&|of| is_news(of) && of.reason == Some(Reason::Error(class))), class));
    let (most, class) = by_class.into_iter().max()?;
    let fallbacks = minute.of(&is_news);
    let callbacks = minute.of(&|of| of.source != Source::Rejected);
    let most = if most < fallbacks { "most often for" } else { "for" };
    let text = format!("{fallbacks} of {callbacks} callbacks in the last minute got the fallback, {most} {class}");
    (fallbacks > 0 && fallbacks * 100 >= callbacks).then_some(text)
}

/// What the fallback does, beside its action.
pub(super) fn exceptions(settings: &BridgeSettings) -> Vec<String> {
    let fallback = &settings.fallback;
    let others: Vec<_> =
        ErrorClass::ALL.into_iter().filter(|class| fallback.action(*class) != fallback.action).collect();
    let mut texts = Vec::new();
    if let Some(class) = others.first() {
        let names: Vec<&str> = others.iter().map(ErrorClass::into_str).collect();
        texts.push(format!("{} for {}", fallback.action(*class), names.join(", ")));
    }
    let own = |callback| {
        let own = settings.policy(callback).fallback;
        own.action.is_some() || own.class.iter().any(Option::is_some)
    };
    let with_own = CALLBACKS.iter().filter(|callback| own(callback)).count();
    if with_own > 0 {
        texts.push(format!("callbacks with a fallback of their own: {with_own} (see Routes)"));
    }
    let kept = CALLBACKS.iter().filter(|callback| callback.only_service_may_refuse() && !own(callback)).count();
    if kept > 0 && ErrorClass::ALL.into_iter().any(|class| fallback.action(class) == Action::Refuse) {
        texts.push(format!("callbacks that it allows all the same, since a refusal loses messages: {kept}"));
    }
    let percent = settings.decision.enforce_percent;
    if percent != Percent::ALL {
        texts.push(format!("decisions have effect for {} % of the owners only", percent.get()));
    }
    texts
}
