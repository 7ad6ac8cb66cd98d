//! What the bridge runs on: settings that have been checked, as types that cannot be wrong.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::AccessSettings;
use crate::decision::{FallbackPolicy, Percent, UpstreamSettings, at_least_one};
use crate::openim::{NextCodeForm, RefusalDefaults};
use crate::pseudonym::PseudonymKey;

/// OpenIM's own cap on a callback's timeout: its HTTP client gives up after this long, whatever webhooks.yml says.
pub const OPENIM_TIMEOUT_CAP: Duration = Duration::from_secs(15);

/// Everything that `serve` runs on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where OpenIM's callbacks are received. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may call.
    pub access: AccessSettings,
    /// HTTPS from OpenIM; `None` is plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Worker threads, each with its own runtime, listener and connections to the decision service.
    pub workers: NonZeroU16,
    /// The App's decision service.
    pub upstream: UpstreamSettings,
    /// How the decision service is asked.
    pub decision: DecisionSettings,
    /// What OpenIM is told when no good reply came in time.
    pub fallback: FallbackPolicy,
    /// What completes an App's refusal that left its code or its message unset.
    pub refusal: RefusalDefaults,
    /// How answers are written.
    pub response: ResponseSettings,
    /// Commands that the bridge does not serve.
    pub commands: CommandSettings,
    /// The operation ID of a request.
    pub operation_id: OperationIdSettings,
    /// Bounds on what the bridge takes in.
    pub limits: Limits,
    /// The listener for operators.
    pub admin: AdminSettings,
    /// When the bridge says that it is ready.
    pub ready: ReadySettings,
    /// How the bridge stops.
    pub drain: DrainSettings,
    /// What is logged.
    pub log: LogSettings,
}

/// HTTPS from OpenIM. That the files hold what they should is seen when they are read, at the start and again whenever
/// they change.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// PEM: the certificate, followed by those that lead to its root.
    pub cert: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// How often the files are looked at. Not to be configured: every 5 s, but in tests.
    pub look_every: Duration,
}

/// How the decision service is asked.
#[derive(Debug, Clone, Copy)]
pub struct DecisionSettings {
    /// From the first byte of OpenIM's request to the bridge's answer. Under [`OPENIM_TIMEOUT_CAP`].
    pub timeout: Duration,
    /// Whose callbacks it decides. For the others it is asked in the shadow of an answer that allows.
    pub enforce_percent: Percent,
}

/// How answers are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseSettings {
    /// How `nextCode` is written.
    pub next_code: NextCodeForm,
}

/// Commands that the bridge does not serve.
#[derive(Debug, Clone, Copy, Default)]
pub struct CommandSettings {
    /// What is answered to them.
    pub unserved: Unserved,
}

/// What is answered to a command that the bridge does not serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unserved {
    /// 404 and code 9901.
    #[default]
    Refuse,
    /// OpenIM may go on, where the command in the URL is also the one in the body.
    Allow,
}

/// The operation ID of a request.
#[derive(Debug, Clone, Copy, Default)]
pub struct OperationIdSettings {
    /// What happens to a request without one.
    pub missing: MissingOperationId,
}

/// What happens to a request without an operation ID. OpenIM v3.6 sends none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingOperationId {
    /// 400 and code 9903.
    #[default]
    Refuse,
    /// The bridge makes one up.
    Generate,
}

/// Bounds on what the bridge takes in; each counts for the whole process.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one request's body; beyond it 413 and code 9904.
    pub request_bytes: NonZeroUsize,
    /// Bytes of all bodies held at one time; beyond it the fallback, as `overloaded`. At least `request_bytes`.
    pub body_bytes: NonZeroUsize,
    /// Open connections from OpenIM. `None`: 80 % of the limit on open files.
    pub connections: Option<NonZeroUsize>,
    /// Callbacks being decided at one time; beyond it the fallback, as `overloaded`.
    pub in_flight: NonZeroUsize,
}

/// The listener for operators.
#[derive(Debug, Clone, Copy)]
pub struct AdminSettings {
    /// Where it listens; `None` (`off`) is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether more than the loopback addresses may change something.
    pub write: bool,
}

/// When the bridge says that it is ready.
#[derive(Debug, Clone, Copy)]
pub struct ReadySettings {
    /// Whether an endpoint of the decision service must be connected.
    pub require_upstream: bool,
    /// How long after the start the decision service's first answer is waited for.
    pub wait_for_upstream: Duration,
}

/// How the bridge stops.
#[derive(Debug, Clone, Copy)]
pub struct DrainSettings {
    /// How long listeners go on accepting after SIGTERM, while every response announces that its connection closes.
    pub delay: Duration,
    /// From the signal to the exit, at the latest. At least `delay` + `decision.timeout` + 1 s.
    pub timeout: Duration,
}

/// What is logged.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The least severe level that is logged.
    pub level: LogLevel,
    /// How a line is written.
    pub format: LogFormat,
    /// Whether log lines hold remarks, which are personal data.
    pub remarks: bool,
    /// How they hold the IDs of users.
    pub ids: LogIds,
}

/// How log lines hold the IDs of the owner and the friend.
#[derive(Debug, Clone)]
pub enum LogIds {
    /// As they are.
    Plain,
    /// Under another name.
    Hash(PseudonymKey),
    /// Not at all.
    Omit,
}

/// How severe a log line is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// What went wrong for good.
    Error,
    /// What an operator should know: fallbacks, bad requests.
    Warn,
    /// Start, stop, changes of state.
    #[default]
    Info,
    /// One line a callback.
    Debug,
    /// Everything.
    Trace,
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 10006)),
            access: AccessSettings::default(),
            tls: None,
            workers: NonZeroU16::MIN,
            upstream: UpstreamSettings::default(),
            decision: DecisionSettings { timeout: Duration::from_secs(4), enforce_percent: Percent::ALL },
            fallback: FallbackPolicy::default(),
            refusal: RefusalDefaults::default(),
            response: ResponseSettings::default(),
            commands: CommandSettings::default(),
            operation_id: OperationIdSettings::default(),
            limits: Limits::default(),
            admin: AdminSettings { listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 10007))), write: false },
            ready: ReadySettings { require_upstream: false, wait_for_upstream: Duration::from_secs(10) },
            drain: DrainSettings { delay: Duration::from_secs(5), timeout: Duration::from_secs(25) },
            log: LogSettings { level: LogLevel::Info, format: LogFormat::Text, remarks: false, ids: LogIds::Plain },
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_bytes: at_least_one(1 << 20),
            body_bytes: at_least_one(32 << 20),
            connections: None,
            in_flight: at_least_one(1024),
        }
    }
}
