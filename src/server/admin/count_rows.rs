//! The status page's rows about callbacks: how many there were in the last minute, in the last 15 minutes and since the start.

use std::{cmp::Reverse, fmt::Write as _};

use crate::bridge::BridgeSettings;
use crate::callback::CALLBACKS;
use crate::outcome::{Delivered, Reason, Source};
use crate::policy::{OwnPolicy, Percent};
use crate::telemetry::metrics::{CallbackCounts, Labels};
use crate::upstream::ErrorClass;

/// The last minute, the last 15 minutes, and all.
pub(super) type Windows = [CallbackCounts; 3];

// One type for all tables, and no function that is generic: code for each would be copied.
pub(super) struct CountRow {
    pub(super) what: &'static str,
    /// The source, the route and what else is said of a callback; or nothing.
    pub(super) about: String,
    pub(super) cells: [CountCell; 3],
}

#[derive(Default)]
pub(super) struct CountCell {
    pub(super) count: u64,
    pub(super) note: String,
}

/// How many are of this kind, in each window.
pub(super) fn count(windows: &Windows, is_of: &dyn Fn(&Labels) -> bool) -> [u64; 3] {
    windows.each_ref().map(|counts| counts.of(is_of))
}

/// Adds up what has the same names, if it has any; the most first.
#[inline(never)]
pub(super) fn rows(windows: &Windows, names: fn(&Labels) -> (&'static str, &'static str), all: u64) -> Vec<CountRow> {
    let mut rows: Vec<CountRow> = Vec::new();
    for counted in &windows[2].callbacks {
        let (what, about) = names(&counted.of);
        if !what.is_empty() && !rows.iter().any(|row| (row.what, row.about.as_str()) == (what, about)) {
            let counts = count(windows, &|labels| names(labels) == (what, about));
            rows.push(row(what, about.to_owned(), counts, all));
        }
    }
    rows.sort_by_key(|row| Reverse(row.cells[2].count));
    rows
}

/// The share is of `all`.
#[inline(never)]
fn row(what: &'static str, about: String, counts: [u64; 3], all: u64) -> CountRow {
    let mut cells = cells(counts);
    cells[2].note = share(counts[2], all);
    CountRow { what, about, cells }
}

fn cells(counts: [u64; 3]) -> [CountCell; 3] {
    counts.map(|count| CountCell { count, note: String::new() })
}

pub(super) fn outcome(of: &Labels) -> (&'static str, &'static str) {
    (of.kind.into_str(), of.source.into_str())
}

pub(super) fn reason(of: &Labels) -> (&'static str, &'static str) {
    (of.reason.map_or("", Reason::name), "")
}

/// What became of after callbacks; only what has happened.
#[inline(never)]
pub(super) fn deliveries(windows: &Windows) -> Vec<CountRow> {
    let all = windows[2].deliveries.iter().sum();
    let mut rows = Vec::new();
    for (index, how) in Delivered::ALL.into_iter().enumerate() {
        let counts = [0, 1, 2].map(|window: usize| windows[window].deliveries[index]);
        if counts[2] > 0 {
            rows.push(row(how.into_str(), String::new(), counts, all));
        }
    }
    rows
}

/// Each callback that has come, or of which something else is said than of all.
#[inline(never)]
pub(super) fn routes(windows: &Windows, settings: &BridgeSettings) -> Vec<CountRow> {
    let mut rows = Vec::new();
    for callback in CALLBACKS {
        let own = settings.routes.own(callback);
        let mut policy = settings.routes.of(callback).into_str().to_owned();
        describe(&mut policy, own);
        if let Some(row) = route(windows, callback.name, policy, own != OwnPolicy::default()) {
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| Reverse(row.cells[2].count));
    rows.extend(route(windows, UNKNOWN, settings.routes.unknown.into_str().to_owned(), false));
    rows
}

const UNKNOWN: &str = "unknown";

#[inline(never)]
fn route(windows: &Windows, name: &'static str, mut policy: String, is_own: bool) -> Option<CountRow> {
    let is_of = |labels: &Labels| labels.callback.map_or(UNKNOWN, |callback| callback.name) == name;
    let counts = count(windows, &is_of);
    if counts[2] == 0 && !is_own {
        return None;
    }
    let lacks = Some(Reason::Error(ErrorClass::Unimplemented));
    if count(windows, &|labels| is_of(labels) && labels.reason == lacks)[1] > 0 {
        policy.push_str("; not implemented by the service");
    }
    let fallbacks = count(windows, &|labels| is_of(labels) && labels.source == Source::Fallback);
    let mut cells = cells(counts);
    for (cell, fallbacks) in cells.iter_mut().zip(fallbacks) {
        if fallbacks > 0 {
            cell.note = format!("fallbacks: {fallbacks}");
        }
    }
    Some(CountRow { what: name, about: policy, cells })
}

/// What is said of one callback alone, in the words of its settings.
#[inline(never)]
fn describe(policy: &mut String, own: OwnPolicy) {
    if let Some(timeout) = own.timeout {
        let _ = write!(policy, "; timeout {}", humantime::format_duration(timeout));
    }
    if let Some(action) = own.fallback.action {
        let _ = write!(policy, "; fallback {action}");
    }
    for (class, action) in ErrorClass::ALL.into_iter().zip(own.fallback.class) {
        if let Some(action) = action {
            let _ = write!(policy, "; fallback {action} for {class}");
        }
    }
    if let Some(percent) = own.enforce_percent.map(Percent::get) {
        let _ = write!(policy, "; enforce_percent {percent}");
    }
    if let Some(rest) = own.rest {
        let _ = write!(policy, "; rest {}", rest.into_str());
    }
}

/// In percent. What is there is never 0 %, and what is not all never 100 %.
#[allow(clippy::cast_precision_loss)]
pub(super) fn share(part: u64, of: u64) -> String {
    match part as f64 / of as f64 * 100.0 {
        _ if of == 0 => String::new(),
        _ if part == 0 => "0 %".to_owned(),
        percent if percent < 0.1 => "< 0.1 %".to_owned(),
        percent if part < of && percent > 99.9 => "> 99.9 %".to_owned(),
        _ if part == of => "100 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_never_hide_what_is_there_or_missing() {
        assert_eq!(share(0, 0), "");
        assert_eq!(share(0, 9), "0 %");
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(1, 100_000), "< 0.1 %");
        assert_eq!(share(99_999, 100_000), "> 99.9 %");
        assert_eq!(share(9, 9), "100 %");
    }
}
