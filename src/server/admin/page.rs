//! The status page: what the other endpoints say, for a person. One HTML file with its style in it; no script, and nothing
//! that is fetched from elsewhere. It is made when somebody asks for it, of what is counted anyway.
//!
//! `templates/status.html` has the words, `templates/status.css` the looks. Everything is escaped by askama, and the policy
//! that is sent with the page would keep a browser from running or fetching anything that were not.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, StatusCode, header};
use ring::digest::{SHA256, digest};
use rustls::pki_types::UnixTime;

use super::{ready::NotReady, scrape};
use crate::base::{self, tls::date};
use crate::server::context::Shared;
use crate::server::shown::{ShownConfiguration, ShownSetting};
use crate::telemetry::metrics::{BridgeState, CallbackCounts, CertificateState, Estimate, OutcomeCount, Times};
use crate::upstream::{EndpointState, EndpointStatus};

const STYLE: &str = include_str!("../../../templates/status.css");

/// The style by its hash, the empty icon that keeps browsers from asking for one, and nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// What the page links to.
const TARGETS: [&str; 5] = ["/metrics", "/config", "/ready", "/live", "/version"];
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];

#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    not_ready: Option<NotReady>,
    version: &'static str,
    commit: &'static str,
    commit_date: &'static str,
    uptime: String,
    now: String,
    state: &'a BridgeState,
    healthy_endpoints: usize,
    endpoints: Vec<EndpointRow<'a>>,
    callbacks: u64,
    fallbacks: u64,
    fallback_share: String,
    outcomes: Vec<CountRow<'a>>,
    reasons: Vec<CountRow<'a>>,
    retries: u64,
    abandoned: u64,
    oldest_queued: String,
    deliveries: Vec<DeliveryRow<'a>>,
    delivery_retries: u64,
    times: Vec<TimeRow>,
    limits: Vec<LimitRow>,
    sides: [SideRow; 3],
    configuration: &'a ShownConfiguration,
    set: Vec<&'a ShownSetting>,
    defaults: Vec<&'a ShownSetting>,
}

struct EndpointRow<'a> {
    status: &'a EndpointStatus,
    /// `None`: it is healthy.
    trouble: Option<EndpointTrouble>,
}

/// A state other than healthy, and why.
struct EndpointTrouble {
    state: &'static str,
    why: &'static str,
}

struct CountRow<'a> {
    what: &'a str,
    /// The source, where rows differ by that too.
    by: &'a str,
    count: u64,
    share: String,
}

/// One row for both histograms.
struct TimeRow {
    what: &'static str,
    cells: [TimeCell; 2],
}

#[derive(Default)]
struct TimeCell {
    about: String,
    bucket: Option<String>,
}

struct DeliveryRow<'a> {
    result: &'a str,
    count: u64,
    share: String,
    /// Events a second, since the start.
    rate: String,
}

struct LimitRow {
    what: &'static str,
    held: usize,
    limit: usize,
    share: String,
}

struct SideRow {
    what: &'static str,
    expiry: String,
    has_expired: bool,
    taken: u64,
    refused: u64,
}

pub(super) fn page(shared: &Shared, not_ready: Option<NotReady>, uptime: Duration) -> Response {
    let (state, counts, configuration) = (scrape::state(shared), shared.metrics.counts(), shared.configuration());
    let page = Page::new(&state, &counts, &configuration, not_ready, uptime);
    match page.render() {
        Ok(html) => (headers(), Html(html)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

fn headers() -> [(HeaderName, &'static str); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, POLICY.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ]
}

impl<'a> Page<'a> {
    fn new(
        state: &'a BridgeState,
        counts: &'a CallbackCounts,
        configuration: &'a ShownConfiguration,
        not_ready: Option<NotReady>,
        uptime: Duration,
    ) -> Self {
        let endpoints: Vec<_> = state.upstream.endpoints.iter().map(EndpointRow::of).collect();
        let all = counts.callbacks.iter();
        let callbacks = all.clone().map(|counted| counted.count).sum();
        let fallbacks = all.clone().filter(|counted| counted.source == "fallback").map(|counted| counted.count).sum();
        let outcome = |counted: &'a OutcomeCount| (counted.outcome.as_str(), counted.source.as_str());
        let reason = |counted: &'a OutcomeCount| counted.reason.as_deref().map(|reason| (reason, ""));
        let (set, defaults) = configuration.settings.iter().partition(|setting| setting.source.is_some());
        Self {
            not_ready,
            version: env!("CARGO_PKG_VERSION"),
            commit: base::COMMIT,
            commit_date: base::COMMIT_DATE,
            uptime: humantime::format_duration(Duration::from_secs(uptime.as_secs())).to_string(),
            now: date(UnixTime::now()),
            state,
            healthy_endpoints: endpoints.iter().filter(|endpoint| endpoint.trouble.is_none()).count(),
            endpoints,
            callbacks,
            fallbacks,
            fallback_share: share(fallbacks, callbacks),
            outcomes: rows(all.clone().map(|counted| (outcome(counted), counted.count)), callbacks),
            reasons: rows(all.filter_map(|counted| Some((reason(counted)?, counted.count))), callbacks),
            retries: counts.retries,
            abandoned: counts.abandoned,
            oldest_queued: if state.queued > 0 { time(state.oldest_queued) } else { String::new() },
            deliveries: delivery_rows(&counts.deliveries, uptime),
            delivery_retries: counts.delivery_retries,
            times: time_rows([&counts.callback_duration, &counts.decision_duration]),
            limits: limits(state),
            sides: [
                SideRow::of("From OpenIM", &state.certificate, "no certificate: plain HTTP"),
                SideRow::of("To the decision service", &state.upstream_certificate, "no TLS file that expires"),
                SideRow::of("To the receiver", &state.forward_certificate, "no TLS file that expires"),
            ],
            configuration,
            set,
            defaults,
        }
    }
}

impl<'a> EndpointRow<'a> {
    fn of(status: &'a EndpointStatus) -> Self {
        let trouble = |state, why| Some(EndpointTrouble { state, why });
        let trouble = match status.state {
            EndpointState::New => trouble("new", "It has not answered yet."),
            EndpointState::Healthy => None,
            EndpointState::NotServing => trouble("not serving", "Its health service reports NOT_SERVING."),
            EndpointState::Ejected => trouble("ejected", "Too many failures in a row; it is probed until it answers."),
            EndpointState::Hung => trouble("hung", "A health check went unanswered; it is probed until it answers."),
            EndpointState::Gone => trouble("gone", "Its name no longer resolves to it."),
        };
        Self { status, trouble }
    }
}

fn delivery_rows(by_result: &BTreeMap<String, u64>, uptime: Duration) -> Vec<DeliveryRow<'_>> {
    let all = by_result.values().sum();
    // Counts stay below 2^53.
    #[allow(clippy::cast_precision_loss)]
    let rate = |count: u64| format!("{:.2}", count as f64 / uptime.as_secs_f64().max(1.0));
    by_result
        .iter()
        .map(|(result, count)| DeliveryRow { result, count: *count, share: share(*count, all), rate: rate(*count) })
        .collect()
}

/// What is held of each thing that has a limit.
fn limits(state: &BridgeState) -> Vec<LimitRow> {
    let kib = |what, held: usize, limit: usize| LimitRow::of(what, held.div_ceil(1024), limit / 1024);
    let connections = kib("KiB of connections", state.connection_bytes, state.connection_bytes_limit);
    let mut rows = vec![
        LimitRow::of("Callbacks in flight", state.in_flight, state.in_flight_limit),
        kib("KiB of after callbacks queued", state.queue_bytes, state.queue_bytes_limit),
        kib("KiB of callbacks and answers", state.body_bytes, state.body_bytes_limit),
        LimitRow::of("Connections from OpenIM", state.connections, state.connections_limit),
    ];
    rows.extend((state.connection_bytes_limit < usize::MAX).then_some(connections));
    rows
}

/// Adds up what is of one kind; the most first.
fn rows<'a>(counted: impl Iterator<Item = ((&'a str, &'a str), u64)>, all: u64) -> Vec<CountRow<'a>> {
    let mut sums = BTreeMap::new();
    for (what, count) in counted {
        *sums.entry(what).or_insert(0) += count;
    }
    let row = |((what, by), count)| CountRow { what, by, count, share: share(count, all) };
    let mut rows: Vec<_> = sums.into_iter().map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
}

fn time_rows(of: [&Times; 2]) -> Vec<TimeRow> {
    let count = TimeRow { what: "Count", cells: of.map(|times| TimeCell::plain(times.count.to_string())) };
    let mean = of.map(|times| times.mean().map(|mean| TimeCell::plain(time(mean))).unwrap_or_default());
    let mean = TimeRow { what: "Mean", cells: mean };
    let percentile = |(what, part)| TimeRow {
        what,
        cells: of.map(|times| times.quantile(part).map(TimeCell::estimate).unwrap_or_default()),
    };
    [count, mean].into_iter().chain(PERCENTILES.map(percentile)).collect()
}

impl TimeCell {
    fn plain(text: String) -> Self {
        Self { about: text, bucket: None }
    }

    fn estimate(estimate: Estimate) -> Self {
        match estimate {
            Estimate::Within { from, to, about } => {
                Self { about: format!("≈ {}", time(about)), bucket: Some(format!("{} to {}", time(from), time(to))) }
            }
            Estimate::Over(from) => Self::plain(format!("over {}", time(from))),
        }
    }
}

impl LimitRow {
    fn of(what: &'static str, held: usize, limit: usize) -> Self {
        let number = |of: usize| u64::try_from(of).unwrap_or(u64::MAX);
        Self { what, held, limit, share: share(number(held), number(limit)) }
    }
}

impl SideRow {
    fn of(what: &'static str, certificate: &CertificateState, none: &str) -> Self {
        Self {
            what,
            expiry: expiry(certificate.expires_in, none),
            has_expired: certificate.expires_in < 0.0,
            taken: certificate.rotations,
            refused: certificate.rotation_errors,
        }
    }
}

/// In words: `in 12 days`.
fn expiry(seconds: f64, none: &str) -> String {
    const HOUR: f64 = 3600.0;
    const DAY: f64 = 24.0 * HOUR;
    let amount = match seconds.abs() {
        far if far == f64::INFINITY => return none.to_owned(),
        far if far >= 2.0 * DAY => format!("{:.0} days", (far / DAY).floor()),
        far if far.is_finite() => format!("{:.0} h", (far / HOUR).floor()),
        _ => return "cannot be told from the certificate".to_owned(),
    };
    if seconds < 0.0 { format!("expired {amount} ago") } else { format!("in {amount}") }
}

/// In percent. What is there is never 0 %, and what is not all never 100 %.
#[allow(clippy::cast_precision_loss)]
fn share(part: u64, of: u64) -> String {
    match part as f64 / of as f64 * 100.0 {
        _ if of == 0 => String::new(),
        _ if part == 0 => "0 %".to_owned(),
        percent if percent < 0.1 => "< 0.1 %".to_owned(),
        percent if part < of && percent > 99.9 => "> 99.9 %".to_owned(),
        _ if part == of => "100 %".to_owned(),
        percent => format!("{percent:.1} %"),
    }
}

/// Seconds in the unit that suits them, with two digits or so: no more is known of an estimate.
fn time(seconds: f64) -> String {
    let (number, unit) = if seconds < 1.0 { (seconds * 1000.0, "ms") } else { (seconds, "s") };
    let decimals = match number {
        ..1.0 => 2,
        ..10.0 => 1,
        _ => 0,
    };
    let text = format!("{number:.decimals$}");
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        let texts = [0.0, 0.0005, 0.00123, 0.025, 0.1, 0.12345, 1.0, 2.5, 15.0, 100.0].map(time);
        let expected = ["0 ms", "0.5 ms", "1.2 ms", "25 ms", "100 ms", "123 ms", "1 s", "2.5 s", "15 s", "100 s"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn shares_never_hide_what_is_there_or_missing() {
        assert_eq!(share(0, 0), "");
        assert_eq!(share(0, 9), "0 %");
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(1, 100_000), "< 0.1 %");
        assert_eq!(share(99_999, 100_000), "> 99.9 %");
        assert_eq!(share(9, 9), "100 %");
    }

    #[test]
    fn expiry_is_told_in_days_and_at_the_end_in_hours() {
        let day = 86_400.0;
        assert_eq!(expiry(12.5 * day, ""), "in 12 days");
        assert_eq!(expiry(1.5 * day, ""), "in 36 h");
        assert_eq!(expiry(-3.0 * day, ""), "expired 3 days ago");
        assert_eq!(expiry(f64::INFINITY, "none"), "none");
        assert_eq!(expiry(f64::NAN, "none"), "cannot be told from the certificate");
    }
}
