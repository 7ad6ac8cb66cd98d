//! What is read off the running bridge when it is scraped.

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::base::{self, file_watch::Reloads};
use crate::telemetry::{log, traces};
use crate::upstream::{EndpointState, ReceiverStatus, UpstreamStatus};

#[derive(Debug)]
pub(crate) struct BridgeState {
    pub(crate) in_flight: usize,
    pub(crate) in_flight_limit: usize,
    pub(crate) body_bytes: usize,
    pub(crate) body_bytes_limit: usize,
    /// After callbacks that are not delivered yet, and for how many seconds the oldest.
    pub(crate) queued: usize,
    pub(crate) oldest_queued: f64,
    pub(crate) queue_bytes: usize,
    pub(crate) queue_bytes_limit: usize,
    /// The limit on the process's memory, less what the program needs. `None`: there is none.
    pub(crate) budget: Option<usize>,
    pub(crate) connection_bytes: usize,
    pub(crate) connection_bytes_limit: usize,
    pub(crate) connections: usize,
    pub(crate) connections_limit: usize,
    pub(crate) connections_accepted: u64,
    pub(crate) draining: bool,
    pub(crate) upstream: UpstreamStatus,
    /// What OpenIM is shown.
    pub(crate) certificate: CertificateState,
    /// What the decision service is shown, and is checked with: whichever expires first.
    pub(crate) upstream_certificate: CertificateState,
    /// The same of the receiver of forwarded callbacks.
    pub(crate) forward_certificate: CertificateState,
    /// `None`: nothing is forwarded.
    pub(crate) receiver: Option<ReceiverStatus>,
    /// What came of reading the configuration again.
    pub(crate) configuration: Reloads,
    /// How many settings would have another value after a restart.
    pub(crate) needs_restart: usize,
}

/// A certificate and what came of replacing it.
#[derive(Debug)]
pub(crate) struct CertificateState {
    /// Seconds, negative once over. Infinite where there is none, which then never needs anybody; not a number where it
    /// cannot be told.
    pub(crate) expires_in: f64,
    pub(crate) rotations: u64,
    pub(crate) rotation_errors: u64,
}

impl CertificateState {
    pub(crate) const NONE: Self = Self { expires_in: f64::INFINITY, rotations: 0, rotation_errors: 0 };
}

impl BridgeState {
    /// What is being decided, and what is queued to be delivered.
    fn work(&self) -> [MetricFamily; 6] {
        [
            gauge("openim_bridge_in_flight", "Callbacks in flight.", number(self.in_flight)),
            gauge("openim_bridge_in_flight_limit", "limits.in_flight.", number(self.in_flight_limit)),
            gauge("openim_bridge_delivery_queue", "After callbacks that are not delivered yet.", number(self.queued)),
            gauge(
                "openim_bridge_delivery_queue_oldest_seconds",
                "The age of the oldest of them, in seconds; 0 if there is none.",
                self.oldest_queued,
            ),
            gauge(
                "openim_bridge_delivery_queue_bytes",
                "Bytes that the delivery queue holds.",
                number(self.queue_bytes),
            ),
            gauge("openim_bridge_delivery_queue_bytes_limit", "delivery.queue_bytes.", number(self.queue_bytes_limit)),
        ]
    }

    /// How long the certificates of each side are good for, and what came of replacing them.
    fn certificates(&self) -> [MetricFamily; 3] {
        let sides = |of: fn(&CertificateState) -> f64| {
            [
                ("listener", of(&self.certificate)),
                ("upstream", of(&self.upstream_certificate)),
                ("forward", of(&self.forward_certificate)),
            ]
        };
        [
            labelled(
                "openim_bridge_tls_certificate_expiry_seconds",
                "Seconds until the certificate in use expires; +Inf if there is none.",
                MetricType::GAUGE,
                "side",
                &sides(|certificate| certificate.expires_in),
            ),
            labelled(
                "openim_bridge_tls_rotations_total",
                "TLS files that changed and were loaded.",
                MetricType::COUNTER,
                "side",
                &sides(|certificate| whole(certificate.rotations)),
            ),
            labelled(
                "openim_bridge_tls_rotation_errors_total",
                "TLS files that changed and could not be used; the previous ones stay in use.",
                MetricType::COUNTER,
                "side",
                &sides(|certificate| whole(certificate.rotation_errors)),
            ),
        ]
    }

    /// What is held of the process's memory, and of connections.
    fn held(&self) -> [MetricFamily; 7] {
        [
            gauge(
                "openim_bridge_memory_budget_bytes",
                "The memory budget: what the cgroup's memory limit leaves; +Inf without a limit.",
                self.budget.map_or(f64::INFINITY, number),
            ),
            gauge(
                "openim_bridge_connection_bytes",
                "Bytes that connections from OpenIM hold.",
                number(self.connection_bytes),
            ),
            gauge(
                "openim_bridge_connection_bytes_limit",
                "The most bytes that connections from OpenIM may hold; +Inf without a limit.",
                if self.connection_bytes_limit == usize::MAX {
                    f64::INFINITY
                } else {
                    number(self.connection_bytes_limit)
                },
            ),
            gauge(
                "openim_bridge_body_bytes",
                "Bytes held for callbacks: bodies, gRPC requests, replies, and answers that were not read yet.",
                number(self.body_bytes),
            ),
            gauge("openim_bridge_body_bytes_limit", "limits.body_bytes.", number(self.body_bytes_limit)),
            gauge("openim_bridge_connections", "Open connections from OpenIM.", number(self.connections)),
            gauge("openim_bridge_connections_limit", "limits.connections.", number(self.connections_limit)),
        ]
    }

    pub(super) fn families(&self) -> Vec<MetricFamily> {
        let upstream = &self.upstream;
        let in_state = |state| upstream.endpoints.iter().filter(|endpoint| endpoint.state == state).count();
        let endpoints = EndpointState::PRESENT.map(|state| (state.into_str(), number(in_state(state))));
        let upstream_connections = upstream.endpoints.iter().map(|endpoint| endpoint.connections).sum();
        let build = [LABEL_VERSION, LABEL_COMMIT, LABEL_DATE].map(|(name, value)| label(name, value)).to_vec();
        let mut families = self.work().to_vec();
        families.extend(self.certificates());
        families.extend(self.held());
        families.extend([
            family("openim_bridge_build_info", "The running program; always 1.", MetricType::GAUGE, vec![(build, 1.0)]),
            counter(
                "openim_bridge_connections_accepted_total",
                "Connections from OpenIM that were accepted.",
                whole(self.connections_accepted),
            ),
            gauge(
                "openim_bridge_draining",
                "1 while the bridge drains, and is not ready.",
                f64::from(u8::from(self.draining)),
            ),
            labelled(
                "openim_bridge_endpoints",
                "Endpoints of the decision service, by state; those that are new or healthy get calls.",
                MetricType::GAUGE,
                "state",
                &endpoints,
            ),
            gauge(
                "openim_bridge_breaker_open",
                "1 while no endpoint is healthy or new: every callback falls back at once.",
                f64::from(u8::from(upstream.has_no_endpoint())),
            ),
            gauge(
                "openim_bridge_upstream_connections",
                "Open connections to the decision service.",
                number(upstream_connections),
            ),
            labelled(
                "openim_bridge_log_lines_suppressed_total",
                "Suppressed log lines: too many of a kind in a second, or the queue was full.",
                MetricType::COUNTER,
                "of",
                &log::lines_suppressed().map(|(of, count)| (of, whole(count))),
            ),
            labelled(
                "openim_bridge_spans_total",
                "Spans: exported, failed to export, or dropped because the queue was full.",
                MetricType::COUNTER,
                "result",
                &traces::counts().unwrap_or_default().named().map(|(result, count)| (result, whole(count))),
            ),
            counter(
                "openim_bridge_config_reloads_total",
                "Configurations that were reloaded.",
                whole(self.configuration.taken),
            ),
            counter(
                "openim_bridge_config_reload_errors_total",
                "Reloads that failed; the previous configuration stays in effect.",
                whole(self.configuration.refused),
            ),
            gauge(
                "openim_bridge_config_last_reload_successful",
                "0 while the configuration file is wrong: a restart would fail.",
                f64::from(u8::from(!self.configuration.last_refused)),
            ),
            gauge(
                "openim_bridge_config_needs_restart",
                "Changed settings that need a restart to take effect.",
                number(self.needs_restart),
            ),
        ]);
        families
    }
}

const LABEL_VERSION: (&str, &str) = ("version", env!("CARGO_PKG_VERSION"));
const LABEL_COMMIT: (&str, &str) = ("commit", base::COMMIT);
const LABEL_DATE: (&str, &str) = ("date", base::COMMIT_DATE);

/// Prometheus knows only floating point. What is counted here stays below 2^53.
#[allow(clippy::cast_precision_loss)]
const fn whole(count: u64) -> f64 {
    count as f64
}

#[allow(clippy::cast_precision_loss)]
const fn number(count: usize) -> f64 {
    count as f64
}

// Copied into each use, these four would be 50 kB of the program.
#[inline(never)]
pub(super) fn gauge(name: &str, help: &str, value: f64) -> MetricFamily {
    family(name, help, MetricType::GAUGE, vec![(vec![], value)])
}

#[inline(never)]
pub(super) fn counter(name: &str, help: &str, value: f64) -> MetricFamily {
    family(name, help, MetricType::COUNTER, vec![(vec![], value)])
}

#[inline(never)]
fn labelled(name: &str, help: &str, kind: MetricType, by: &str, values: &[(&str, f64)]) -> MetricFamily {
    family(name, help, kind, values.iter().map(|(of, value)| (vec![label(by, of)], *value)).collect())
}

fn label(name: &str, value: &str) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value.to_owned());
    label
}

/// `kind` is a counter's or a gauge's.
#[inline(never)]
fn family(name: &str, help: &str, kind: MetricType, values: Vec<(Vec<LabelPair>, f64)>) -> MetricFamily {
    let metric = |(labels, value)| {
        let mut metric = Metric::from_label(labels);
        if kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    };
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(values.into_iter().map(metric).collect());
    family
}
