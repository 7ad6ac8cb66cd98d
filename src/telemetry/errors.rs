//! The last errors, for the status page. Only a callback that fails writes here. Texts are those of the log: bounded, in one
//! line, and without what a service's message repeats of its callback.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::base::{error_chain, text::one_line};
use crate::callback::Callback;
use crate::outcome::{Delivered, Outcome, Reason};
use crate::upstream::{CallError, ErrorClass};

/// How many are kept of each kind.
const KEPT: usize = 10;
/// How much is kept of a text.
const TEXT_BYTES: usize = 300;
/// For how long the same class of the same callback is not looked at again: in a flood, a failure costs little.
const PAUSE: Duration = Duration::from_millis(100);

/// Equal errors are one, with the time of the last.
#[derive(Debug, Default)]
pub(crate) struct RecentErrors {
    errors: Mutex<VecDeque<RecentError>>,
    /// Not one list, so that whoever sends rubbish cannot hide what ails the decision service.
    rejected: Mutex<VecDeque<RecentError>>,
}

#[derive(Debug, Clone)]
pub(crate) struct RecentError {
    pub(crate) at: Instant,
    /// Its name, or `unknown`.
    pub(crate) callback: &'static str,
    /// As in metrics.
    pub(crate) class: &'static str,
    pub(crate) text: String,
}

impl RecentErrors {
    /// Keeps what went wrong with a callback, if anything has. That the service lacks an rpc is no error.
    #[cold]
    pub(super) fn failed(&self, outcome: &Outcome) {
        let (list, otherwise) = match outcome.reason() {
            None | Some(Reason::Unserved | Reason::Error(ErrorClass::Unimplemented)) => return,
            Some(Reason::Rejected(rejection)) => (&self.rejected, rejection.message()),
            Some(Reason::Undecodable) => (&self.errors, "OpenIM cannot decode the receiver's answer"),
            Some(Reason::Error(_)) => (&self.errors, "the bridge panicked: see the log"),
        };
        let class = outcome.reason().map_or("", Reason::name);
        keep(list, outcome.callback, class, outcome.error.as_ref(), otherwise, outcome.hint());
    }

    /// Keeps why the service was not told of an after callback.
    pub(crate) fn undelivered(&self, callback: &'static Callback, how: Delivered, error: Option<&CallError>) {
        let is_lacking = error.is_some_and(|error| error.class(Duration::MAX) == ErrorClass::Unimplemented);
        let otherwise = match how {
            Delivered::Expired => "it was older than `delivery.max_age`",
            _ => "`delivery.queue_bytes` is reached",
        };
        if !is_lacking {
            keep(&self.errors, Some(callback), how.into_str(), error, otherwise, None);
        }
    }

    /// The newest first: errors, and rejected requests.
    pub(crate) fn lists(&self) -> [Vec<RecentError>; 2] {
        [&self.errors, &self.rejected]
            .map(|list| list.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect())
    }
}

fn keep(
    list: &Mutex<VecDeque<RecentError>>,
    callback: Option<&'static Callback>,
    class: &'static str,
    error: Option<&CallError>,
    otherwise: &str,
    hint: Option<&str>,
) {
    let callback = callback.map_or("unknown", |callback| callback.name);
    let text = || match (error, hint) {
        (Some(error), _) => error_chain::text(error),
        (None, Some(hint)) => format!("{otherwise}: {hint}"),
        (None, None) => otherwise.to_owned(),
    };
    keep_at(Instant::now(), &mut list.lock().unwrap_or_else(PoisonError::into_inner), callback, class, &text);
}

fn keep_at(
    at: Instant,
    list: &mut VecDeque<RecentError>,
    callback: &'static str,
    class: &'static str,
    text: &dyn Fn() -> String,
) {
    let mut alike = list.iter().filter(|kept| kept.callback == callback && kept.class == class);
    if alike.any(|kept| at.saturating_duration_since(kept.at) < PAUSE) {
        return;
    }
    let text = one_line(&text(), TEXT_BYTES).into_owned();
    list.retain(|kept| (kept.callback, kept.class, &kept.text) != (callback, class, &text));
    list.truncate(KEPT - 1);
    list.push_front(RecentError { at, callback, class, text });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::CALLBACKS;

    #[test]
    fn the_last_ten_are_kept_and_equal_ones_are_one() {
        let (mut at, mut list) = (Instant::now(), VecDeque::new());
        let mut fails = |at, callback: usize, text: &str| {
            keep_at(at, &mut list, CALLBACKS[callback].name, "internal", &|| text.to_owned());
            list.iter().map(|kept| (kept.callback, kept.text.clone())).collect::<Vec<_>>()
        };
        for callback in 0..12 {
            fails(at, callback, "down");
        }
        // In a flood, one each tenth of a second is looked at.
        let listed = fails(at + PAUSE / 2, 5, "slow");
        assert!(listed.len() == KEPT && listed.iter().all(|(_, text)| text == "down"), "{listed:?}");
        at += PAUSE;
        let listed = fails(at, 5, "down");
        assert_eq!(listed[0].0, CALLBACKS[5].name);
        assert_eq!(listed.iter().filter(|(callback, _)| *callback == CALLBACKS[5].name).count(), 1);
        let listed = fails(at + PAUSE, 5, "slow\n");
        assert_eq!((listed.len(), listed[0].1.as_str(), listed[1].1.as_str()), (KEPT, "slow\\n", "down"));
        assert_eq!(fails(at + PAUSE * 2, 5, &"x".repeat(999))[0].1.len(), TEXT_BYTES + "…".len());
    }
}
