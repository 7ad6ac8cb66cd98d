//! The raw settings: the one definition of every setting's key, type and documentation.
//!
//! A field is a setting, its path the key, its doc comment what `--help`, `config schema` and `docs/configuration.md`
//! say. `x-flag` is a second, shorter flag. `x-live` says whether a change takes effect while the bridge runs, for a setting
//! or for all of a group; where nothing is said, a restart is needed. The defaults are those of [`Settings`]. [`super::check`] turns a [`Raw`]
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
    /// Worker threads, each with its own listener and its own connections to the decision service.
    pub(super) workers: Whole<256>,
    /// The decision service.
    pub(super) upstream: RawUpstream,
    /// The HTTP receiver that callbacks with `route: forward` go to.
    pub(super) forward: RawForward,
    /// How the decision service is asked.
    #[schemars(extend("x-live" = true))]
    pub(super) decision: RawDecision,
    /// What OpenIM is told when there is no good reply in time.
    #[schemars(extend("x-live" = true))]
    pub(super) fallback: RawFallback,
    /// What completes a refusal in which the decision service left something unset.
    #[schemars(extend("x-live" = true))]
    pub(super) refusal: RawRefusal,
    /// How answers are written.
    #[schemars(extend("x-live" = true))]
    pub(super) response: RawResponse,
    /// What is done with each callback. All others are set by their keys in webhooks.yml.
    #[schemars(extend("x-live" = true))]
    pub(super) callbacks: RawCallbacks,
    /// The operation ID of a request.
    #[schemars(extend("x-live" = true))]
    pub(super) operation_id: RawOperationId,
    /// Bounds on what the bridge takes in, each for the whole process.
    #[schemars(extend("x-live" = true))]
    pub(super) limits: RawLimits,
    /// How the decision service is told of after callbacks, which are answered before it is.
    #[schemars(extend("x-live" = true))]
    pub(super) delivery: RawDelivery,
    /// The listener for operators.
    pub(super) admin: RawAdmin,
    /// When the bridge says that it is ready.
    #[schemars(extend("x-live" = true))]
    pub(super) ready: RawReady,
    /// How the bridge stops.
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
    /// The addresses that may call: single ones and CIDR ranges. Empty: all. The peer's own address counts; forwarded
    /// headers are not believed. All others get 403 and code 9909.
    pub(super) allow: Networks,
    /// A file with one `user:password` a line, of which every request must carry one, by HTTP Basic; lines that begin
    /// with `#` are comments. Read again when it changes. All others get 401 and code 9907. Unset: no credentials are asked for.
    pub(super) basic_auth_file: Option<FilePath>,
}

/// HTTPS from OpenIM.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTls {
    /// A PEM file with the certificate that OpenIM is shown, followed by those that lead to its root. With it, `listen`
    /// takes HTTPS only. The file is read again when it changes. Unset: plain HTTP.
    pub(super) cert: Option<FilePath>,
    /// A PEM file with the private key of `tls.cert`. Read again when it changes. Unset: plain HTTP.
    pub(super) key: Option<FilePath>,
}

/// The decision service.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUpstream {
    /// Where the decision service listens: one or more URLs of the form `http://HOST:PORT`, `https://HOST:PORT` for
    /// TLS, or `unix:///PATH` for a socket in the file system. The flag may be repeated; flag and variable also take
    /// several with commas between.
    #[schemars(extend("x-flag" = "upstream"))]
    pub(super) addresses: UpstreamUrls,
    /// How long one connection to the decision service may take to be made. Never longer than `decision.timeout`.
    pub(super) connect_timeout: Period<1, OPENIM_CAP>,
    /// Connections to one endpoint, at most, where the decision service allows too few concurrent calls on a connection
    /// (its HTTP/2 `MAX_CONCURRENT_STREAMS`). Each worker has one in any case.
    pub(super) connections: Whole<4>,
    /// How often names are resolved again; at once after a failed connection.
    pub(super) resolve: RawResolve,
    /// TLS to the decision service, where its address is `https`.
    pub(super) tls: RawUpstreamTls,
    /// How the decision service is asked for its health, by the standard `grpc.health.v1`. A service that offers none
    /// counts as healthy when it says so.
    pub(super) health: RawHealth,
    /// When an endpoint of the decision service is taken out, and how it comes back.
    pub(super) eject: RawEject,
}

/// How often names are resolved again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawResolve {
    /// A name is resolved again when its DNS answer's time to live is over, but not before this.
    pub(super) ttl_min: Period<100, HOUR>,
    /// A name is resolved again after this at the latest, whatever its DNS answer says.
    pub(super) ttl_max: Period<100, HOUR>,
    /// The name server to ask, over UDP and TCP. Unset: those of `/etc/resolv.conf`, after `/etc/hosts`.
    pub(super) server: Option<Listen>,
}

/// TLS to the decision service.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUpstreamTls {
    /// A PEM file with the authorities whose certificates are trusted. Read again when it changes. Unset: those of the
    /// system, as they are at the start.
    pub(super) ca: Option<FilePath>,
    /// A PEM file with the certificate that the decision service is shown, where it asks for one, followed by those that
    /// lead to its root. Read again when it changes. Unset: none.
    pub(super) cert: Option<FilePath>,
    /// A PEM file with the private key of `upstream.tls.cert`. Read again when it changes. Unset: none.
    pub(super) key: Option<FilePath>,
    /// The name that the decision service's certificate must be for. Unset: the host of its address.
    pub(super) server_name: Option<CertName>,
}

/// How the decision service is asked for its health.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawHealth {
    /// The service that is asked for. Empty: the server as a whole.
    pub(super) service: AnyText,
    /// From one check of an endpoint to the next.
    pub(super) interval: Period<100, HOUR>,
    /// How long an answer may take. An unanswered check takes the endpoint out.
    pub(super) timeout: Period<10, OPENIM_CAP>,
}

/// When an endpoint of the decision service is taken out, and how it comes back.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEject {
    /// So many failures in a row take an endpoint out: connecting failed, the connection broke, UNAVAILABLE, no answer
    /// by the deadline to a call that had half of its callback's time or more.
    pub(super) failures: Whole<MAX_COUNT>,
    /// The first pause between probes of an ejected endpoint, with jitter.
    pub(super) probe_min: Period<10, HOUR>,
    /// The pause to which that of `upstream.eject.probe_min` rises.
    pub(super) probe_max: Period<10, HOUR>,
}

/// The HTTP receiver that callbacks with `route: forward` go to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawForward {
    /// Where requests are forwarded to, as they came: the `url` that OpenIM had until now. Their command is appended as
    /// OpenIM appends it. A user and a password in it become the header `Authorization`. Unset: nothing can be forwarded.
    pub(super) url: Option<ReceiverUrl>,
    /// A file with one line `user:password`, for the header `Authorization`. It goes before what `forward.url` says. Read at
    /// the start. Unset: what OpenIM sent is passed on, unless `access.basic_auth_file` asks for it here.
    pub(super) basic_auth_file: Option<FilePath>,
    /// How long one connection to the receiver may take to be made.
    pub(super) connect_timeout: Period<1, OPENIM_CAP>,
    /// TLS to the receiver, where `forward.url` is `https`.
    pub(super) tls: RawForwardTls,
}

/// TLS to the receiver, where `forward.url` is `https`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawForwardTls {
    /// A PEM file with the authorities whose certificates are trusted. Read again when it changes. Unset: those of the
    /// system, as they are at the start.
    pub(super) ca: Option<FilePath>,
    /// A PEM file with the certificate that the receiver is shown, where it asks for one, followed by those that lead to
    /// its root. Read again when it changes. Unset: none.
    pub(super) cert: Option<FilePath>,
    /// A PEM file with the private key of `forward.tls.cert`. Read again when it changes. Unset: none.
    pub(super) key: Option<FilePath>,
    /// The name that the receiver's certificate must be for. Unset: the host of `forward.url`.
    pub(super) server_name: Option<CertName>,
}

/// How the decision service is asked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDecision {
    /// From the first byte of OpenIM's request to the bridge's answer. The decision service is given up 1 % earlier, so
    /// that the answer is out by then. Keep it below the callback's `timeout` in
    /// OpenIM's webhooks.yml (5 s as shipped). OpenIM itself gives up after 15 s, whatever webhooks.yml says.
    #[schemars(extend("x-flag" = "timeout"))]
    pub(super) timeout: Period<10, OPENIM_CAP>,
    /// The share of owners, in percent, for whom decisions have effect. Who they are follows from a hash of the owner's
    /// ID, and stays the same. For the others OpenIM is told at once to go on, and the decision service is asked in the
    /// background: only the log shows what it would have decided. 0 is shadow mode.
    pub(super) enforce_percent: Share,
    /// What is done for the others: `allow`, or `forward` to the receiver of `forward.url`, whose answer counts. The decision
    /// service is asked in the background in both cases; with `forward`, the two are compared, counted, and logged by the
    /// names of the fields in which they differ.
    pub(super) rest: Rest,
}

/// What OpenIM is told when there is no good reply in time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFallback {
    /// What OpenIM is told when there is no good reply in time. With `allow`, whoever can make the decision service
    /// slow switches its rule off; `refuse` is for rules that are a safeguard.
    #[schemars(extend("x-flag" = "fallback"))]
    pub(super) action: Action,
    /// What is done for one class of errors, in place of `fallback.action`.
    pub(super) class: RawFallbackClass,
    /// How a fallback's refusal reads.
    pub(super) refusal: RawFallbackRefusal,
}

/// What is done for one class of errors, in place of `fallback.action`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFallbackClass {
    /// In place of `fallback.action` when `decision.timeout` passed, or the decision service said so.
    pub(super) timeout: Option<Action>,
    /// In place of `fallback.action` when the decision service could not be reached, or said that it is unavailable.
    pub(super) unavailable: Option<Action>,
    /// In place of `fallback.action` when one of `limits` was reached, or the decision service said that it has too
    /// much to do.
    pub(super) overloaded: Option<Action>,
    /// In place of `fallback.action` when the decision service, or the mesh before it, turned the bridge away.
    pub(super) denied: Option<Action>,
    /// What OpenIM is told when the decision service lacks the rpc: `allow` unless this says otherwise, whatever
    /// `fallback.action` says.
    pub(super) unimplemented: Option<Action>,
    /// In place of `fallback.action` when the reply holds no valid decision.
    pub(super) invalid_reply: Option<Action>,
    /// In place of `fallback.action` after every other failure.
    pub(super) internal: Option<Action>,
}

/// How a fallback's refusal reads.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawFallbackRefusal {
    /// The `errCode` of a fallback's refusal. Unset: the reserved code of the error class, 9920 to 9926.
    pub(super) code: Option<Code<9999>>,
    /// The `errMsg` of a fallback's refusal. It reaches the user.
    pub(super) message: NonEmpty,
    /// The `errDlt` of a fallback's refusal. It reaches whoever calls OpenIM's API. May be empty.
    pub(super) detail: AnyText,
}

/// What completes a refusal in which the decision service left something unset.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRefusal {
    /// The `errCode` of a refusal that the decision service gave no code.
    pub(super) default_code: Code<9899>,
    /// The `errMsg` of a refusal that the decision service gave no message. It reaches the user.
    pub(super) default_message: NonEmpty,
    /// Further codes that the decision service may refuse with, besides 5000 to 9899. Any other code is sent as 9925.
    pub(super) codes: Codes,
}

/// How answers are written.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawResponse {
    /// How `nextCode` is written. OpenIM Server reads `integer` only; `string` is for receivers built to the documented
    /// page.
    pub(super) next_code: NextCodeForm,
}

/// What is done with each callback.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct RawCallbacks {
    /// The callbacks that are not named.
    pub(super) default: RawDefaultRoute,
    /// The commands that the bridge does not know, of a later OpenIM.
    pub(super) unknown: RawUnknownRoute,
    /// One callback, by its key in webhooks.yml.
    #[serde(flatten)]
    pub(super) named: BTreeMap<String, RawCallback>,
}

/// The callbacks that are not named.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDefaultRoute {
    /// What is done with the callbacks that have no `route` of their own: `service` asks or tells the decision service, `forward`
    /// passes the request on to `forward.url` and its answer back,
    /// `allow` answers at once that OpenIM goes on, `refuse` that it does not (code 9910). `refuse` leaves alone what OpenIM
    /// only tells, and what loses messages where it is refused.
    pub(super) route: Route,
}

/// The commands that the bridge does not know, of a later OpenIM.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawUnknownRoute {
    /// What is answered to a command that the bridge does not know, of a later OpenIM: `refuse` (404 and code 9901),
    /// `allow` where the command in the URL is also the one in the body, or `forward` to `forward.url`.
    #[schemars(extend("x-was" = "commands.unserved"))]
    pub(super) route: UnknownRoute,
}

/// One callback, by its key in webhooks.yml.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCallback {
    /// In place of `callbacks.default.route`, for this callback. What OpenIM only tells cannot be refused.
    pub(super) route: Option<Route>,
    /// In place of `decision.timeout`, for this callback.
    pub(super) timeout: Option<Period<10, OPENIM_CAP>>,
    /// In place of `fallback`, for this callback: an action, or one for each error class, such as
    /// `{timeout: refuse, unimplemented: allow}`, with `action` for all others.
    pub(super) fallback: Option<CallbackFallback>,
    /// In place of `decision.enforce_percent`, for this callback.
    pub(super) enforce_percent: Option<Share>,
    /// In place of `decision.rest`, for this callback.
    pub(super) rest: Option<Rest>,
}

/// The operation ID of a request.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawOperationId {
    /// What happens to a request without the header `operationID`: `refuse` (400 and code 9903), or `generate` one. OpenIM
    /// v3.5 and v3.6 leave an empty one out.
    pub(super) missing: MissingOperationId,
}

/// Bounds on what the bridge takes in, each for the whole process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLimits {
    /// Bytes of one request's body. Beyond it, 413 and code 9904.
    pub(super) request_bytes: Size<MAX_BYTES>,
    /// Bytes of memory for callbacks that are read, asked or answered. A body counts twice, beside the question that is made
    /// of it, until its answer has been taken. Beyond it, the fallback, as `overloaded`. At least `limits.request_bytes`.
    /// Unset: half of the budget, which is the cgroup's limit on memory less 16 MiB; 64 MiB without such a limit.
    pub(super) body_bytes: Option<Size<MAX_BYTES>>,
    /// Open connections from OpenIM. Unset: 80 % of the limit on open files, and no more than what the budget leaves allows.
    pub(super) connections: Option<Whole<MAX_COUNT>>,
    /// Callbacks in flight. Beyond it, the fallback, as `overloaded`.
    pub(super) in_flight: Whole<MAX_COUNT>,
}

/// How the decision service is told of after callbacks, which are answered before it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDelivery {
    /// How old an after callback may be and still be delivered, when the decision service is not there.
    pub(super) max_age: Period<100, HOUR>,
    /// How often the decision service is told of an after callback that it fails to take: at a missed deadline,
    /// `RESOURCE_EXHAUSTED`, UNKNOWN, INTERNAL, ABORTED, UNAUTHENTICATED and `PERMISSION_DENIED`. While it is UNAVAILABLE, it is
    /// told until `delivery.max_age`; at every other status, once.
    pub(super) max_attempts: Whole<MAX_COUNT>,
    /// How long the decision service may take for an after callback, each time that it is told.
    pub(super) attempt_timeout: Period<10, HOUR>,
    /// Deliveries at one time. One callback has half of them at most.
    #[schemars(extend("x-live" = false))]
    pub(super) concurrency: Whole<MAX_COUNT>,
    /// Bytes of after callbacks that are not delivered yet. Beyond it the newest is dropped, counted and logged. What is to
    /// be delivered in one order (a conversation, a group, a user) has a quarter of them at most. Unset: a quarter of the
    /// budget (see `limits.body_bytes`), and at most 16 MiB.
    pub(super) queue_bytes: Option<Size<MAX_BYTES>>,
}

/// The listener for operators.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdmin {
    /// Where operators are served, as an IP address and a port, or `off`. Port 0 takes a free one.
    pub(super) listen: ListenOrOff,
    /// Whether operators may change something (the log's level, begin to drain) from other addresses than the loopback
    /// ones.
    #[schemars(extend("x-live" = true))]
    pub(super) write: bool,
    /// The host names by which operators may ask, such as that of a Service, beside any IP address and `localhost`. A request
    /// for another is answered with 421: a web page could have pointed its own name at this address.
    #[schemars(extend("x-live" = true))]
    pub(super) hosts: HostNames,
}

/// When the bridge says that it is ready.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawReady {
    /// Whether `/ready` on the admin listener is 503 while no endpoint of the decision service is connected. With
    /// `false`, the fallback goes on answering.
    pub(super) require_upstream: bool,
    /// How long after the start `/ready` on the admin listener is 503 at the most, while no endpoint of the decision
    /// service has answered yet. A pod gets callbacks only when it is ready, so that none falls back because the bridge
    /// is up before the service. Then it is ready all the same, unless `ready.require_upstream` is true.
    pub(super) wait_for_upstream: Period<0, HOUR>,
}

/// How the bridge stops.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDrain {
    /// How long connections are still accepted after SIGTERM, so that the rest of the cluster can take note.
    pub(super) delay: Period<0, HOUR>,
    /// From SIGTERM to the exit, at the latest. At least `drain.delay` + `decision.timeout` + 1s; keep it below the
    /// pod's `terminationGracePeriodSeconds` (30 s unless set).
    pub(super) timeout: Period<0, HOUR>,
}

/// What is logged, to standard error.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    /// The least severe level that is logged.
    pub(super) level: LogLevel,
    /// How a log line is written: `text` for people, `json` with one object a line.
    #[schemars(extend("x-live" = false))]
    pub(super) format: LogFormat,
    /// Whether log lines hold what users write, such as remarks. It is personal data.
    #[schemars(extend("x-was" = "log.remarks"))]
    pub(super) private: bool,
    /// How log lines hold the IDs of the owner and the friend: `plain`, `hash` (the first 16 hexadecimal digits of an
    /// HMAC-SHA-256, so that one user's lines can still be told) or `omit`.
    pub(super) ids: RawLogIds,
    /// A file with the key of `log.ids: hash`, at least 16 bytes; trailing line breaks are ignored. Read
    /// with the configuration. Unset: a random one for each process, so that an ID's hash differs between processes.
    pub(super) ids_key_file: Option<FilePath>,
}

/// How log lines hold the IDs of the owner and the friend.
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
