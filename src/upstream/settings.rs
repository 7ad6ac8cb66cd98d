//! The settings of the decision service.

use std::{net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use rustls::pki_types::ServerName;

use super::address::UpstreamAddress;
use crate::base::at_least_one;

#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    pub addresses: Vec<UpstreamAddress>,
    /// How long one connection may take to be made. Below `decision.timeout`.
    pub connect_timeout: Duration,
    /// Connections to one endpoint, where the peer allows too few calls on one; each worker has one in any case. 1 to 4.
    pub connections: NonZeroUsize,
    /// How long a name's addresses are taken for true.
    pub resolve: TtlBounds,
    /// The name server to ask. `None`: those of `/etc/resolv.conf`, after `/etc/hosts`.
    pub name_server: Option<SocketAddr>,
    pub tls: UpstreamTlsSettings,
    pub health: HealthSettings,
    /// When an endpoint is ejected, and when it is used again.
    pub eject: EjectSettings,
}

impl UpstreamSettings {
    /// Whether any calls go over TLS.
    pub(super) fn is_secured(&self) -> bool {
        self.addresses.iter().any(UpstreamAddress::is_secured)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// The service named in the question; empty is the server as a whole.
    pub service: String,
    pub interval: Duration,
    pub timeout: Duration,
}

/// When an endpoint is ejected, and when it is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectSettings {
    pub failures: NonZeroUsize,
    pub probe_min: Duration,
    pub probe_max: Duration,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            addresses: vec![UpstreamAddress::default()],
            connect_timeout: Duration::from_secs(1),
            connections: at_least_one(4),
            resolve: TtlBounds { min: Duration::from_secs(1), max: Duration::from_secs(30) },
            name_server: None,
            tls: UpstreamTlsSettings {
                keys: TlsKeys::UPSTREAM,
                ca: None,
                client: None,
                server_name: None,
                look_every: Duration::from_secs(5),
            },
            health: HealthSettings {
                service: String::new(),
                interval: Duration::from_secs(2),
                timeout: Duration::from_secs(1),
            },
            eject: EjectSettings {
                failures: at_least_one(5),
                probe_min: Duration::from_millis(500),
                probe_max: Duration::from_secs(2),
            },
        }
    }
}

/// Between which times an answer may be believed, whatever TTL it came with. `min` is at most `max`.
#[derive(Debug, Clone, Copy)]
pub struct TtlBounds {
    /// So that a TTL of 0 does not mean asking all the time.
    pub min: Duration,
    /// So that what has changed is seen.
    pub max: Duration,
}

impl TtlBounds {
    pub(super) fn clamp(self, ttl: Duration) -> Duration {
        ttl.max(self.min).min(self.max)
    }
}

/// The names of these settings, for messages, and the protocols over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsKeys {
    pub ca: &'static str,
    pub cert: &'static str,
    pub key: &'static str,
    pub(super) protocols: &'static [&'static [u8]],
}

impl TlsKeys {
    /// To the decision service.
    pub const UPSTREAM: Self =
        Self { ca: "upstream.tls.ca", cert: "upstream.tls.cert", key: "upstream.tls.key", protocols: &[HTTP2] };
    /// To the receiver that requests are forwarded to.
    pub const FORWARD: Self = Self {
        ca: "forward.tls.ca",
        cert: "forward.tls.cert",
        key: "forward.tls.key",
        protocols: &[HTTP2, b"http/1.1"],
    };
}

/// HTTP/2, as TLS knows it.
pub(super) const HTTP2: &[u8] = b"h2";

/// TLS to `https://` addresses. That the files hold what they should is seen when they are read, at the start and again
/// whenever they change.
#[derive(Debug, Clone)]
pub struct UpstreamTlsSettings {
    pub keys: TlsKeys,
    /// PEM: the authorities that are trusted. `None`: the system's, as they are at the start.
    pub ca: Option<PathBuf>,
    /// PEM: the certificate that is shown, and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// The name in the service's certificate. `None`: the address's host.
    pub server_name: Option<ServerName<'static>>,
    /// How often the files are looked at. Not to be configured: as for the listener, but in tests.
    pub look_every: Duration,
}
