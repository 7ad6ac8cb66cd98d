//! The raw settings: the one definition of every setting's key, type and documentation.
//!
//! A field is a setting, its path the key, its doc comment what `--help`, `config schema` and `docs/configuration.md`
//! say. `x-flag` is a second, shorter flag. `x-live` says whether a change takes effect while the bridge runs, for a setting
//! or for all of a group; without it, a restart is needed. The defaults are those of [`Settings`]. [`super::check`] turns a [`Raw`]
//! into [`Settings`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::field::{
    AnyText, CallbackFallback, CertName, Code, Codes, FilePath, HostNames, Listen, ListenOrOff, Networks, NonEmpty,
    Period, ReceiverUrl, Share, Size, UpstreamUrl, UpstreamUrls, Whole,
};
use crate::bridge::{BridgeSettings, DeliverySettings, MissingOperationId};
use crate::openim::{self, NextCodeForm};
use crate::policy::{Action, Rest, Route, UnknownRoute};
use crate::server::Settings;
use crate::telemetry::log::{LogFormat, LogLevel, LogSettings};
use crate::upstream::{ErrorClass, UpstreamSettings};

/// Milliseconds.
const OPENIM_CAP: u64 = openim::TIMEOUT_CAP.as_secs() * 1000;
/// Milliseconds.
const HOUR: u64 = 3_600_000;
/// 2 GiB.
pub(super) const MAX_BYTES: usize = 1 << 31;
const MAX_COUNT: usize = 1_000_000;

/// openim-bridge: from OpenIM Server's callbacks to your own decision service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "openim-bridge configuration")]
pub(super) struct Raw {
    /// Where OpenIM's callbacks are received, as an IP address and a port. Port 0 takes a free one.
    pub(super) listen: Listen,
    /// Who may call.
    #[schemars(extend("x-live" = true))]
    pub(super) access: RawAccess,
    /// HTTPS from OpenIM.
    pub(super) tls: RawTls,
    /// The number of worker threads. Each has its own listener and its own connections to the decision service.
    pub(super) workers: Whole<256>,
    /// The decision service.
    pub(super) upstream: RawUpstream,
    /// The HTTP receiver that callbacks with `route: forward` go to.
    pub(super) forward: RawForward,
    /// How the decision service is asked.
    #[schemars(extend("x-live" = true))]
    pub(super) decision: RawDecision,
    /// What OpenIM is told if there is no valid reply in time.
    #[schemars(extend("x-live" = true))]
    pub(super) fallback: RawFallback,
    /// Defaults for what the decision service leaves unset in a refusal.
    #[schemars(extend("x-live" = true))]
    pub(super) refusal: RawRefusal,
    /// How answers are written.
    #[schemars(extend("x-live" = true))]
    pub(super) response: RawResponse,
    /// What happens to each callback. Single callbacks are set by their keys in webhooks.yml.
    #[schemars(extend("x-live" = true))]
    pub(super) callbacks: RawCallbacks,
    /// The operation ID of a request.
    #[schemars(extend("x-live" = true))]
    pub(super) operation_id: RawOperationId,
    /// Limits on what the bridge accepts. Each applies to the whole process.
    #[schemars(extend("x-live" = true))]
    pub(super) limits: RawLimits,
    /// How after callbacks are delivered to the decision service. OpenIM is answered before that.
    #[schemars(extend("x-live" = true))]
    pub(super) delivery: RawDelivery,
    /// The listener for operators.
    pub(super) admin: RawAdmin,
    /// When the bridge reports that it is ready.
    #[schemars(extend("x-live" = true))]
    pub(super) ready: RawReady,
    /// How the bridge shuts down.
    #[schemars(extend("x-live" = true))]
    pub(super) drain: RawDrain,
    /// What is logged, to standard error.
    #[schemars(extend("x-live" = true))]
    pub(super) log: RawLog,
}

/// Who may call.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAccess {
    /// The addresses that may call: single ones and CIDR ranges. Empty: all. The address of the TCP connection counts;
    /// forwarded headers are ignored. All others get 403 and code 9909.
    pub(super) allow: Networks,
    /// A file with one `user:password` on each line. Every request must carry one of them, by HTTP Basic; all others
    /// get 401 and code 9907. Lines that begin with `#` are comments. Reloaded when it changes. Unset: no credentials
    /// are required.
    pub(super) basic_auth_file: Option<FilePath>,
}

/// HTTPS from OpenIM.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    /// A PEM file with the server certificate that OpenIM sees, followed by its intermediate certificates. If it is
    /// set, `listen` accepts HTTPS only. Reloaded when it changes. Unset: plain HTTP.
    pub(super) cert: Option<FilePath>,
    /// A PEM file with the private key of `tls.cert`. Reloaded when it changes. Unset: plain HTTP.
    pub(super) key: Option<FilePath>,
}

/// The decision service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUpstream {
    /// Where the decision service listens: one or more URLs of the form `http://HOST:PORT`, `https://HOST:PORT` for
    /// TLS, or `unix:///PATH` for a Unix socket. The flag may be repeated; flag and variable also accept several URLs
    /// separated by commas.
    #[schemars(extend("x-flag" = "upstream"))]
    pub(super) addresses: UpstreamUrls,
    /// How long connecting to the decision service may take. Never longer than `decision.timeout`.
    pub(super) connect_timeout: Period<1, OPENIM_CAP>,
    /// The most connections to one endpoint. More than one per worker are opened only if the decision service allows
    /// too few concurrent calls on a connection (its HTTP/2 `MAX_CONCURRENT_STREAMS`). Each worker always has one.
    pub(super) connections: Whole<4>,
    /// How often names are resolved again. After a failed connection they are resolved at once.
    pub(super) resolve: RawResolve,
    /// TLS to the decision service, where its address is `https`.
    pub(super) tls: RawUpstreamTls,
    /// How the decision service's health is checked, by the standard `grpc.health.v1`. A service that does not
    /// implement it counts as healthy as long as it answers.
    pub(super) health: RawHealth,
    /// When an endpoint of the decision service is ejected, and when it is used again.
    pub(super) eject: RawEject,
}

/// How often names are resolved again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawResolve {
    /// A name is resolved again when the TTL of its DNS answer is over, but not sooner than this.
    pub(super) ttl_min: Period<100, HOUR>,
    /// A name is resolved again after this at the latest, whatever the TTL of its DNS answer is.
    pub(super) ttl_max: Period<100, HOUR>,
    /// The name server to use, over UDP and TCP. Unset: those of `/etc/resolv.conf`, after
    /// `/etc/hosts`.
    pub(super) server: Option<Listen>,
}

/// TLS to the decision service.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUpstreamTls {
    /// A PEM file with the certificate authorities (CAs) to trust. Reloaded when it changes. Unset: those of the system,
    /// as they are at the start.
    pub(super) ca: Option<FilePath>,
    /// A PEM file with the client certificate for the decision service (mTLS), followed by its intermediate
    /// certificates. Reloaded when it changes. Unset: none.
    pub(super) cert: Option<FilePath>,
    /// A PEM file with the private key of `upstream.tls.cert`. Reloaded when it changes. Unset: none.
    pub(super) key: Option<FilePath>,
    /// The name that the decision service's certificate must be for. Unset: the host of its address.
    pub(super) server_name: Option<CertName>,
}

/// How the decision service's health is checked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHealth {
    /// The service name in the health check. Empty: the server as a whole.
    pub(super) service: AnyText,
    /// The time from one health check of an endpoint to the next.
    pub(super) interval: Period<100, HOUR>,
    /// How long the answer to a health check may take. If there is none by then, the endpoint is ejected.
    pub(super) timeout: Period<10, OPENIM_CAP>,
}

/// When an endpoint of the decision service is ejected, and when it is used again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEject {
    /// How many failures in a row eject an endpoint. A failure is: connecting failed, the connection broke,
    /// UNAVAILABLE, or no answer by the deadline to a call that had at least half of its callback's time.
    pub(super) failures: Whole<MAX_COUNT>,
    /// The first interval between probes of an ejected endpoint. It doubles each time, with jitter.
    pub(super) probe_min: Period<10, HOUR>,
    /// Upper limit for the interval between probes, which starts at `upstream.eject.probe_min` and doubles.
    pub(super) probe_max: Period<10, HOUR>,
}

/// The HTTP receiver that callbacks with `route: forward` go to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawForward {
    /// Where requests are forwarded to, unchanged: the `url` that OpenIM's webhooks.yml had until now. The command is
    /// appended as OpenIM does it. A user and password in it become the header `Authorization`. Unset: nothing can be
    /// forwarded.
    pub(super) url: Option<ReceiverUrl>,
    /// A file with one line `user:password`, for the header `Authorization`. It takes precedence over `forward.url`.
    /// Read at the start. Unset: OpenIM's own header is passed on, unless `access.basic_auth_file` checks it here.
    pub(super) basic_auth_file: Option<FilePath>,
    /// How long connecting to the receiver may take.
    pub(super) connect_timeout: Period<1, OPENIM_CAP>,
    /// TLS to the receiver, where `forward.url` is `https`.
    pub(super) tls: RawForwardTls,
}

/// TLS to the receiver, where `forward.url` is `https`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawForwardTls {
    /// A PEM file with the certificate authorities (CAs) to trust. Reloaded when it changes. Unset: those of the system,
    /// as they are at the start.
    pub(super) ca: Option<FilePath>,
    /// A PEM file with the client certificate for the receiver (mTLS), followed by its intermediate certificates.
    /// Reloaded when it changes. Unset: none.
    pub(super) cert: Option<FilePath>,
    /// A PEM file with the private key of `forward.tls.cert`. Reloaded when it changes. Unset: none.
    pub(super) key: Option<FilePath>,
    /// The name that the receiver's certificate must be for. Unset: the host of `forward.url`.
    pub(super) server_name: Option<CertName>,
}

/// How the decision service is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDecision {
    /// The longest time from the first byte of OpenIM's request to the bridge's answer. The call to the decision
    /// service ends 1 % earlier, so that the answer is out in time. Keep it below the callback's `timeout` in OpenIM's
    /// webhooks.yml (5 s by default). OpenIM itself gives up after 15 s, whatever webhooks.yml says.
    #[schemars(extend("x-flag" = "timeout"))]
    pub(super) timeout: Period<10, OPENIM_CAP>,
    /// The share of owners, in percent, for whom decisions take effect. A hash of the owner's ID selects them, so the
    /// selection stays the same. For the others OpenIM is told at once to go on, and the decision service is asked in
    /// the background: only the log shows what it would have decided. 0 is shadow mode.
    pub(super) enforce_percent: Share,
    /// What happens for the other owners: `allow`, or `forward` to the receiver at `forward.url`, whose answer counts.
    /// In both cases the decision service is asked in the background. With `forward`, the two answers are compared and
    /// counted, and the names of the fields that differ are logged.
    pub(super) rest: Rest,
}

/// What OpenIM is told if there is no valid reply in time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFallback {
    /// What OpenIM is told if there is no valid reply in time. With `allow`, anyone who can make the decision service
    /// slow disables its rules: use `refuse` for safeguards.
    #[schemars(extend("x-flag" = "fallback"))]
    pub(super) action: Action,
    /// What happens for one class of errors, instead of `fallback.action`.
    pub(super) class: RawFallbackClass,
    /// The error that users get if the fallback refuses.
    pub(super) refusal: RawFallbackRefusal,
}

/// What happens for one class of errors, instead of `fallback.action`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFallbackClass {
    /// Instead of `fallback.action` if `decision.timeout` passed, or the decision service returned `DEADLINE_EXCEEDED` or
    /// CANCELLED.
    pub(super) timeout: Option<Action>,
    /// Instead of `fallback.action` if the decision service could not be reached, or returned UNAVAILABLE.
    pub(super) unavailable: Option<Action>,
    /// Instead of `fallback.action` if one of `limits` was reached, or the decision service returned
    /// `RESOURCE_EXHAUSTED`.
    pub(super) overloaded: Option<Action>,
    /// Instead of `fallback.action` if the decision service, or a mesh in front of it, returned UNAUTHENTICATED or
    /// `PERMISSION_DENIED`.
    pub(super) denied: Option<Action>,
    /// What OpenIM is told if the decision service does not implement the rpc (UNIMPLEMENTED). Unset: `allow`, whatever
    /// `fallback.action` is.
    pub(super) unimplemented: Option<Action>,
    /// Instead of `fallback.action` if the reply holds no valid decision.
    pub(super) invalid_reply: Option<Action>,
    /// Instead of `fallback.action` after every other failure.
    pub(super) internal: Option<Action>,
}

/// The error that users get if the fallback refuses.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFallbackRefusal {
    /// The `errCode` of a fallback's refusal. Unset: the reserved code of the error class, 9920 to 9926.
    pub(super) code: Option<Code<9999>>,
    /// The `errMsg` of a fallback's refusal. Users see it.
    pub(super) message: NonEmpty,
    /// The `errDlt` of a fallback's refusal. The caller of OpenIM's API sees it. May be empty.
    pub(super) detail: AnyText,
}

/// Defaults for what the decision service leaves unset in a refusal.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRefusal {
    /// The `errCode` of a refusal without a code.
    pub(super) default_code: Code<9899>,
    /// The `errMsg` of a refusal without a message. Users see it.
    pub(super) default_message: NonEmpty,
    /// Additional codes that the decision service may refuse with, besides 5000 to 9899. Any other code is sent as
    /// 9925.
    pub(super) codes: Codes,
}

/// How answers are written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawResponse {
    /// How `nextCode` is written. OpenIM Server reads only `integer`. `string` is for receivers that follow OpenIM's
    /// documentation page literally.
    pub(super) next_code: NextCodeForm,
}

/// What happens to each callback.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RawCallbacks {
    /// All callbacks without settings of their own.
    pub(super) default: RawDefaultRoute,
    /// Commands that this bridge does not know, such as those of a later OpenIM.
    pub(super) unknown: RawUnknownRoute,
    /// One callback, by its key in webhooks.yml.
    #[serde(flatten)]
    pub(super) named: BTreeMap<String, RawCallback>,
}

/// All callbacks without settings of their own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDefaultRoute {
    /// What happens to the callbacks that have no `route` of their own. `service`: the decision service is called.
    /// `forward`: the request goes to `forward.url`, and its answer back to OpenIM. `allow`: OpenIM is told at once to
    /// go on. `refuse`: OpenIM is told at once to refuse, with code 9910; this does not apply to after callbacks, nor
    /// to callbacks where a refusal loses messages.
    pub(super) route: Route,
}

/// Commands that this bridge does not know, such as those of a later OpenIM.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUnknownRoute {
    /// The answer to a command that the bridge does not know, such as that of a later OpenIM: `refuse` (404 and code
    /// 9901), `allow` (if the command in the URL is also the one in the body), or `forward` to `forward.url`.
    #[schemars(extend("x-was" = "commands.unserved"))]
    pub(super) route: UnknownRoute,
}

/// One callback, by its key in webhooks.yml.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCallback {
    /// Instead of `callbacks.default.route`, for this callback. An after callback cannot be refused.
    pub(super) route: Option<Route>,
    /// Instead of `decision.timeout`, for this callback.
    pub(super) timeout: Option<Period<10, OPENIM_CAP>>,
    /// Instead of `fallback`, for this callback: an action, or one for each error class, such as `{timeout: refuse,
    /// unimplemented: allow}`, with `action` for all others.
    pub(super) fallback: Option<CallbackFallback>,
    /// Instead of `decision.enforce_percent`, for this callback.
    pub(super) enforce_percent: Option<Share>,
    /// Instead of `decision.rest`, for this callback.
    pub(super) rest: Option<Rest>,
}

/// The operation ID of a request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawOperationId {
    /// What happens to a request without the header `operationID`: `refuse` (400 and code 9903), or `generate` one.
    /// OpenIM v3.5 and v3.6 omit the header if it is empty.
    pub(super) missing: MissingOperationId,
}

/// Limits on what the bridge accepts. Each applies to the whole process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    /// The largest body of a request, in bytes. A larger one gets 413 and code 9904.
    pub(super) request_bytes: Size<MAX_BYTES>,
    /// Memory for callbacks in flight, in bytes. Each counts twice its body, plus its gRPC request, until OpenIM has
    /// taken the answer. Beyond it, callbacks get the fallback, as `overloaded`. At least `limits.request_bytes`.
    /// Unset: half of the budget, which is the cgroup's memory limit less 16 MiB; 64 MiB without such a limit.
    pub(super) body_bytes: Option<Size<MAX_BYTES>>,
    /// The most open connections from OpenIM. Unset: 80 % of the limit on open files, and no more than the rest of the
    /// memory budget allows.
    pub(super) connections: Option<Whole<MAX_COUNT>>,
    /// The most callbacks in flight. Beyond it, callbacks get the fallback, as `overloaded`.
    pub(super) in_flight: Whole<MAX_COUNT>,
}

/// How after callbacks are delivered to the decision service. OpenIM is answered before that.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDelivery {
    /// How long delivery of an after callback is retried while the decision service is unavailable.
    pub(super) max_age: Period<100, HOUR>,
    /// The most attempts to deliver an after callback that fails with a missed deadline, `RESOURCE_EXHAUSTED`, UNKNOWN,
    /// INTERNAL, ABORTED, UNAUTHENTICATED or `PERMISSION_DENIED`. While the service is UNAVAILABLE, delivery is retried
    /// until `delivery.max_age`; after any other status, it is not retried.
    pub(super) max_attempts: Whole<MAX_COUNT>,
    /// How long one attempt to deliver an after callback may take.
    pub(super) attempt_timeout: Period<10, HOUR>,
    /// The most concurrent deliveries. One kind of callback gets at most half of them.
    #[schemars(extend("x-live" = false))]
    pub(super) concurrency: Whole<MAX_COUNT>,
    /// Memory for after callbacks that are not delivered yet, in bytes. Beyond it, the newest is dropped, counted and
    /// logged. Callbacks that must stay in order (of one conversation, group or user) get at most a quarter of it.
    /// Unset: a quarter of the memory budget (see `limits.body_bytes`), and at most 16 MiB.
    pub(super) queue_bytes: Option<Size<MAX_BYTES>>,
}

/// The listener for operators.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdmin {
    /// Where metrics, probes and the status page are served, as an IP address and a port, or `off`. Port 0 takes a free
    /// one.
    pub(super) listen: ListenOrOff,
    /// Whether changes (the log level, starting a drain) are accepted from addresses other than loopback.
    #[schemars(extend("x-live" = true))]
    pub(super) write: bool,
    /// The host names that a request to the admin listener may have, such as that of a Service, besides IP addresses
    /// and `localhost`. Any other name gets 421, since a web page could point its own name at this address (DNS
    /// rebinding).
    #[schemars(extend("x-live" = true))]
    pub(super) hosts: HostNames,
}

/// When the bridge reports that it is ready.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawReady {
    /// Whether `/ready` on the admin listener is 503 while no endpoint of the decision service is connected. With
    /// `false`, the bridge stays ready and answers with the fallback.
    pub(super) require_upstream: bool,
    /// How long after the start `/ready` on the admin listener is 503 while no endpoint of the decision service has
    /// answered yet. A pod gets callbacks only when it is ready, so no callback falls back just because the bridge
    /// started first. After this time the bridge is ready anyway, unless `ready.require_upstream` is true.
    pub(super) wait_for_upstream: Period<0, HOUR>,
}

/// How the bridge shuts down.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDrain {
    /// How long connections are still accepted after SIGTERM, until the cluster sends no more of them here.
    pub(super) delay: Period<0, HOUR>,
    /// The longest time from SIGTERM to the exit. At least `drain.delay` + `decision.timeout` + 1s. Keep it below the
    /// pod's `terminationGracePeriodSeconds` (30 s by default).
    pub(super) timeout: Period<0, HOUR>,
}

/// What is logged, to standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    /// The least severe level that is logged.
    pub(super) level: LogLevel,
    /// The format of the log: `text`, or `json` with one object per line.
    #[schemars(extend("x-live" = false))]
    pub(super) format: LogFormat,
    /// Whether log lines include what users write, such as remarks, which is personal data.
    #[schemars(extend("x-was" = "log.remarks"))]
    pub(super) private: bool,
    /// How log lines show the IDs of users: `plain`, `hash` (the first 16 hexadecimal digits of an HMAC-SHA-256, so
    /// that the lines of one user can still be found) or `omit`.
    pub(super) ids: RawLogIds,
    /// A file with the key of `log.ids: hash`, at least 16 bytes; trailing line breaks are ignored. Read with the
    /// configuration. Unset: a random key for each process, so an ID's hash differs between processes.
    pub(super) ids_key_file: Option<FilePath>,
}

/// How log lines show the IDs of users.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawLogIds {
    /// As they are.
    #[default]
    Plain,
    /// Hashed, under a key.
    Hash,
    /// Not at all.
    Omit,
}

impl Default for Raw {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            listen: Listen(settings.listen),
            access: RawAccess::default(),
            tls: RawTls::default(),
            workers: Whole(settings.workers.into()),
            upstream: RawUpstream::default(),
            forward: RawForward::default(),
            decision: RawDecision::default(),
            fallback: RawFallback::default(),
            refusal: RawRefusal::default(),
            response: RawResponse::default(),
            callbacks: RawCallbacks::default(),
            operation_id: RawOperationId::default(),
            limits: RawLimits::default(),
            delivery: RawDelivery::default(),
            admin: RawAdmin::default(),
            ready: RawReady::default(),
            drain: RawDrain::default(),
            log: RawLog::default(),
        }
    }
}

impl Default for RawUpstream {
    fn default() -> Self {
        let upstream = UpstreamSettings::default();
        Self {
            addresses: UpstreamUrls(upstream.addresses.into_iter().map(UpstreamUrl).collect()),
            connect_timeout: Period(upstream.connect_timeout),
            connections: Whole(upstream.connections),
            resolve: RawResolve::default(),
            tls: RawUpstreamTls::default(),
            health: RawHealth::default(),
            eject: RawEject::default(),
        }
    }
}

impl Default for RawResolve {
    fn default() -> Self {
        let resolve = UpstreamSettings::default().resolve;
        Self { ttl_min: Period(resolve.min), ttl_max: Period(resolve.max), server: None }
    }
}

impl Default for RawHealth {
    fn default() -> Self {
        let health = UpstreamSettings::default().health;
        Self { service: AnyText(health.service), interval: Period(health.interval), timeout: Period(health.timeout) }
    }
}

impl Default for RawEject {
    fn default() -> Self {
        let eject = UpstreamSettings::default().eject;
        Self { failures: Whole(eject.failures), probe_min: Period(eject.probe_min), probe_max: Period(eject.probe_max) }
    }
}

impl Default for RawForward {
    fn default() -> Self {
        let connect_timeout = Period(UpstreamSettings::default().connect_timeout);
        Self { url: None, basic_auth_file: None, connect_timeout, tls: RawForwardTls::default() }
    }
}

impl Default for RawDecision {
    fn default() -> Self {
        let decision = BridgeSettings::default().decision;
        Self {
            timeout: Period(decision.timeout),
            enforce_percent: Share(decision.enforce_percent),
            rest: decision.rest,
        }
    }
}

impl Default for RawFallback {
    fn default() -> Self {
        Self {
            action: BridgeSettings::default().fallback.action,
            class: RawFallbackClass::default(),
            refusal: RawFallbackRefusal::default(),
        }
    }
}

impl Default for RawFallbackClass {
    fn default() -> Self {
        let class = BridgeSettings::default().fallback.class;
        let of = |error: ErrorClass| class[error as usize];
        Self {
            timeout: of(ErrorClass::Timeout),
            unavailable: of(ErrorClass::Unavailable),
            overloaded: of(ErrorClass::Overloaded),
            denied: of(ErrorClass::Denied),
            unimplemented: of(ErrorClass::Unimplemented),
            invalid_reply: of(ErrorClass::InvalidReply),
            internal: of(ErrorClass::Internal),
        }
    }
}

impl Default for RawFallbackRefusal {
    fn default() -> Self {
        let refusal = BridgeSettings::default().fallback.refusal;
        Self { code: refusal.code.map(Code), message: NonEmpty(refusal.message), detail: AnyText(refusal.detail) }
    }
}

impl Default for RawRefusal {
    fn default() -> Self {
        let refusal = BridgeSettings::default().refusal;
        Self {
            default_code: Code(refusal.code),
            default_message: NonEmpty(refusal.message),
            codes: Codes(refusal.codes),
        }
    }
}

impl Default for RawResponse {
    fn default() -> Self {
        Self { next_code: BridgeSettings::default().response.next_code }
    }
}

impl Default for RawOperationId {
    fn default() -> Self {
        Self { missing: BridgeSettings::default().operation_id.missing }
    }
}

impl Default for RawLimits {
    fn default() -> Self {
        let (limits, connections) = (BridgeSettings::default().limits, Settings::default().connections);
        Self {
            request_bytes: Size(limits.request_bytes),
            body_bytes: None,
            connections: connections.map(Whole),
            in_flight: Whole(limits.in_flight),
        }
    }
}

impl Default for RawDelivery {
    fn default() -> Self {
        let delivery = DeliverySettings::default();
        Self {
            max_age: Period(delivery.max_age),
            max_attempts: Whole(delivery.max_attempts),
            attempt_timeout: Period(delivery.attempt_timeout),
            concurrency: Whole(delivery.concurrency),
            queue_bytes: None,
        }
    }
}

impl Default for RawAdmin {
    fn default() -> Self {
        let admin = Settings::default().admin;
        Self { listen: ListenOrOff(admin.listen), write: admin.write, hosts: HostNames(admin.hosts) }
    }
}

impl Default for RawReady {
    fn default() -> Self {
        let ready = Settings::default().ready;
        Self { require_upstream: ready.require_upstream, wait_for_upstream: Period(ready.wait_for_upstream) }
    }
}

impl Default for RawDrain {
    fn default() -> Self {
        let drain = Settings::default().drain;
        Self { delay: Period(drain.delay), timeout: Period(drain.timeout) }
    }
}

impl Default for RawLog {
    fn default() -> Self {
        let log = LogSettings::default();
        Self {
            level: log.level,
            format: log.format,
            private: log.private,
            ids: RawLogIds::default(),
            ids_key_file: None,
        }
    }
}
