//! The status page: what the other endpoints say, for a person. One HTML file with its style in it; no script, and nothing
//! that is fetched from elsewhere. It is made when somebody asks for it, of what is counted anyway. Its first lines are those
//! of [`verdict`](super::verdict).
//!
//! `templates/status.html` has the words, `templates/status.css` the looks. Everything is escaped by askama, and the policy
//! that is sent with the page would keep a browser from running or fetching anything that were not.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, StatusCode, header};
use ring::digest::{SHA256, digest};
use rustls::pki_types::UnixTime;

use super::count_rows::{CountRow, Windows, count, deliveries, outcome, reason, routes, rows, share};
use super::verdict::{Verdict, exceptions, verdict};
use super::{ready::NotReady, scrape};
use crate::base::{self, text::one_line, tls::date};
use crate::bridge::BridgeSettings;
use crate::outcome::Source;
use crate::policy::Action;
use crate::server::context::Shared;
use crate::server::shown::{ShownConfiguration, ShownSetting};
use crate::telemetry::RecentError;
use crate::telemetry::metrics::{BridgeState, CallbackCounts, CertificateState, Estimate, Times};
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
/// The heads of three columns.
const WINDOWS: &str =
    r#"<th scope="col" class="n">1 min</th><th scope="col" class="n">15 min</th><th scope="col" class="n">Total</th>"#;
/// The longest pause between two reloads, in seconds.
const SLOWEST_REFRESH: u16 = 3600;

/// The longest host name.
const POD_BYTES: usize = 253;

/// Whose page it is: kubelet names the pod by its host name, unless the pod is in the network of its host.
static POD: LazyLock<String> = LazyLock::new(|| {
    let named = std::env::var("POD_NAME").ok().filter(|name| !name.is_empty());
    let name = named.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    one_line(&name, POD_BYTES).into_owned()
});

#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    verdict: Verdict,
    not_ready: Option<NotReady>,
    fallback: Action,
    exceptions: Vec<String>,
    pod: &'static str,
    version: &'static str,
    commit: &'static str,
    commit_date: &'static str,
    started: String,
    uptime: String,
    now: String,
    refresh: Option<u16>,
    state: &'a BridgeState,
    healthy_endpoints: usize,
    endpoints: Vec<EndpointRow<'a>>,
    has_come: bool,
    callbacks: [u64; 3],
    fallbacks: [u64; 3],
    fallback_share: String,
    errors: [ErrorList; 2],
    outcomes: Vec<CountRow>,
    reasons: Vec<CountRow>,
    windows: &'a Windows,
    default_route: &'static str,
    unknown_route: &'static str,
    routes: Vec<CountRow>,
    oldest_queued: String,
    deliveries: Vec<CountRow>,
    times: [TimeTable; 2],
    limits: Vec<LimitRow>,
    sides: [SideRow; 3],
    configuration: &'a ShownConfiguration,
    set: Vec<&'a ShownSetting>,
    defaults: Vec<&'a ShownSetting>,
}

struct ErrorList {
    title: &'static str,
    errors: Vec<ErrorRow>,
}

struct ErrorRow {
    time: String,
    ago: String,
    error: RecentError,
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

/// Of one histogram.
struct TimeTable {
    title: &'static str,
    about: &'static str,
    rows: Vec<TimeRow>,
}

struct TimeRow {
    what: &'static str,
    cells: [TimeCell; 3],
}

#[derive(Default)]
struct TimeCell {
    about: String,
    bucket: Option<String>,
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

pub(super) fn page(shared: &Shared, not_ready: Option<NotReady>, uptime: Duration, query: Option<&str>) -> Response {
    let (state, windows, configuration) =
        (scrape::state(shared), shared.metrics.windows(), shared.shown_configuration());
    let settings = Arc::clone(&shared.settings.borrow());
    let errors = shared.metrics.errors.lists();
    let refresh = query.and_then(refresh);
    let mut page = Page::new(&state, &windows, errors, &settings.bridge, &configuration, uptime);
    (page.not_ready, page.refresh) = (not_ready, refresh);
    match page.render() {
        Ok(html) => {
            let mut response = (headers(), Html(html)).into_response();
            // A header and no element: it is there for whoever asks for it alone.
            if let Some(seconds) = refresh {
                response.headers_mut().insert(header::REFRESH, seconds.into());
            }
            response
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Seconds, of `refresh=10`.
fn refresh(query: &str) -> Option<u16> {
    let (_, seconds) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "refresh")?;
    seconds.parse().ok().filter(|seconds| (1..=SLOWEST_REFRESH).contains(seconds))
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
        windows: &'a Windows,
        [errors, rejected]: [Vec<RecentError>; 2],
        settings: &BridgeSettings,
        configuration: &'a ShownConfiguration,
        uptime: Duration,
    ) -> Self {
        let endpoints: Vec<_> = state.upstream.endpoints.iter().map(EndpointRow::of).collect();
        let callbacks = count(windows, &|_| true);
        let fallbacks = count(windows, &|labels| labels.source == Source::Fallback);
        let (set, defaults) = configuration.settings.iter().partition(|setting| setting.source.is_some());
        let times = |title, about, of: fn(&CallbackCounts) -> &Times| TimeTable {
            title,
            about,
            rows: time_rows(windows.each_ref().map(of)),
        };
        let list = |title, errors: Vec<_>| ErrorList { title, errors: errors.into_iter().map(ErrorRow::of).collect() };
        Self {
            verdict: verdict(state, settings, &windows[0]),
            not_ready: None,
            fallback: settings.fallback.action,
            exceptions: exceptions(settings),
            pod: &POD,
            version: env!("CARGO_PKG_VERSION"),
            commit: base::COMMIT,
            commit_date: base::COMMIT_DATE,
            started: date(past(uptime)),
            uptime: humantime::format_duration(Duration::from_secs(uptime.as_secs())).to_string(),
            now: date(UnixTime::now()),
            refresh: None,
            state,
            healthy_endpoints: endpoints.iter().filter(|endpoint| endpoint.trouble.is_none()).count(),
            endpoints,
            has_come: callbacks[2] > 0,
            callbacks,
            fallbacks,
            fallback_share: share(fallbacks[0], callbacks[0]),
            errors: [list("Last errors", errors), list("Last rejected requests", rejected)],
            outcomes: rows(windows, outcome, callbacks[2]),
            reasons: rows(windows, reason, callbacks[2]),
            windows,
            default_route: settings.routes.default.into_str(),
            unknown_route: settings.routes.unknown.into_str(),
            routes: routes(windows, settings),
            oldest_queued: if state.queued > 0 { time(state.oldest_queued) } else { String::new() },
            deliveries: deliveries(windows),
            times: [
                times("Callbacks", "from the first byte to the answer", |counts| &counts.callback_duration),
                times("Decisions", "connecting, retries and call", |counts| &counts.decision_duration),
            ],
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

impl ErrorRow {
    fn of(error: RecentError) -> Self {
        let elapsed = error.at.elapsed();
        Self { time: date(past(elapsed)), ago: ago(elapsed), error }
    }

    /// Without the date, which [`ago`] tells.
    fn time_of_day(&self) -> &str {
        self.time.split_once('T').map_or(&self.time, |(_, time)| time)
    }
}

/// When it was so long ago.
#[inline(never)]
fn past(ago: Duration) -> UnixTime {
    let now = Duration::from_secs(UnixTime::now().as_secs());
    UnixTime::since_unix_epoch(now.saturating_sub(ago))
}

/// In the largest unit.
fn ago(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ ..7_200 => format!("{} min ago", seconds / 60),
        seconds @ ..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
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

#[inline(never)]
fn time_rows(of: [&Times; 3]) -> Vec<TimeRow> {
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
                Self { about: format!("≈ {}", time(about)), bucket: Some(between(from, to)) }
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

/// The unit once, where it is the same.
fn between(from: f64, to: f64) -> String {
    let (from, to) = (time(from), time(to));
    let from = match (from.split_once(' '), to.split_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => number,
        _ => &from,
    };
    format!("{from} to {to}")
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
    fn expiry_is_told_in_days_and_at_the_end_in_hours() {
        let day = 86_400.0;
        assert_eq!(expiry(12.5 * day, ""), "in 12 days");
        assert_eq!(expiry(1.5 * day, ""), "in 36 h");
        assert_eq!(expiry(-3.0 * day, ""), "expired 3 days ago");
        assert_eq!(expiry(f64::INFINITY, "none"), "none");
        assert_eq!(expiry(f64::NAN, "none"), "cannot be told from the certificate");
    }
}
