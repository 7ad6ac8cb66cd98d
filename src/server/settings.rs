//! Everything that a bridge runs on: settings that have been checked, as types that cannot be wrong. What a module below
//! uses is defined there.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::{NonZeroU16, NonZeroUsize},
    path::PathBuf,
    time::Duration,
};

use crate::bridge::BridgeSettings;
use crate::upstream::{ForwardSettings, UpstreamSettings};

#[derive(Debug, Clone)]
pub struct Settings {
    /// Where OpenIM's callbacks are received. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// HTTPS from OpenIM; `None` is plain HTTP.
    pub tls: Option<TlsSettings>,
    /// Worker threads, each with its own runtime, listener and connections to the decision service.
    pub workers: NonZeroU16,
    /// Open connections from OpenIM. `None`: what the limit on open files and the process's memory allow.
    pub connections: Option<NonZeroUsize>,
    /// What all of them may hold. Not to be configured: `None`, but in tests, is what the process's memory leaves, and has no
    /// limit where `connections` is set.
    pub connection_bytes: Option<usize>,
    pub bridge: BridgeSettings,
    pub upstream: UpstreamSettings,
    /// The receiver that a team already has.
    pub forward: Option<ForwardSettings>,
    pub admin: AdminSettings,
    /// When the bridge says that it is ready.
    pub ready: ReadySettings,
    pub drain: DrainSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 10006)),
            tls: None,
            workers: NonZeroU16::MIN,
            connections: None,
            connection_bytes: None,
            bridge: BridgeSettings::default(),
            upstream: UpstreamSettings::default(),
            forward: None,
            admin: AdminSettings {
                listen: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 10007))),
                write: false,
                hosts: Vec::new(),
            },
            ready: ReadySettings { require_upstream: false, wait_for_upstream: Duration::from_secs(10) },
            drain: DrainSettings { delay: Duration::from_secs(5), timeout: Duration::from_secs(25) },
        }
    }
}

/// HTTPS from OpenIM. That the files hold what they should is seen when they are read, at the start and again whenever
/// they change.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// PEM: the certificate, followed by those that lead to its root.
    pub cert: PathBuf,
    pub key: PathBuf,
    /// How often the files are looked at. Not to be configured: every 5 s, but in tests.
    pub look_every: Duration,
}

#[derive(Debug, Clone)]
pub struct AdminSettings {
    /// Where it listens; `None` (`off`) is nowhere.
    pub listen: Option<SocketAddr>,
    /// Whether more than the loopback addresses may change something.
    pub write: bool,
    /// The host names by which it may be asked, in lower case, beside any address and `localhost`.
    pub hosts: Vec<String>,
}

/// When the bridge says that it is ready.
#[derive(Debug, Clone, Copy)]
pub struct ReadySettings {
    /// Whether an endpoint of the decision service must be connected.
    pub require_upstream: bool,
    /// How long after the start the decision service's first answer is waited for.
    pub wait_for_upstream: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct DrainSettings {
    /// How long listeners go on accepting after SIGTERM, while every response announces that its connection closes.
    pub delay: Duration,
    /// From the signal to the exit, at the latest. At least `delay` + `decision.timeout` + 1 s.
    pub timeout: Duration,
}
