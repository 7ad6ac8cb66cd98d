//! Where the App's decision service listens.

use std::{fmt, net::SocketAddr, num::NonZeroUsize, str::FromStr, time::Duration};

use http::Uri;

use super::TtlBounds;

/// The App's decision service.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Where it listens. Never empty.
    pub addresses: Vec<UpstreamAddress>,
    /// How long one connection may take to be made. Below `decision.timeout`.
    pub connect_timeout: Duration,
    /// Connections of one worker to one endpoint, where the peer allows too few calls on one. 1 to 4.
    pub connections: NonZeroUsize,
    /// How long a name's addresses are taken for true.
    pub resolve: TtlBounds,
    /// The name server to ask. `None`: those of `/etc/resolv.conf`, after `/etc/hosts`.
    pub name_server: Option<SocketAddr>,
    /// How health is asked for.
    pub health: HealthSettings,
    /// When an endpoint is taken out, and how it comes back.
    pub eject: EjectSettings,
}

/// How `grpc.health.v1` is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthSettings {
    /// The service named in the question; empty is the server as a whole.
    pub service: String,
    /// From one check to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// When an endpoint is taken out, and how it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EjectSettings {
    /// Failures in a row.
    pub failures: NonZeroUsize,
    /// The first pause between probes.
    pub probe_min: Duration,
    /// The longest pause between probes.
    pub probe_max: Duration,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        const fn at_least_one(number: usize) -> NonZeroUsize {
            match NonZeroUsize::new(number) {
                Some(number) => number,
                None => NonZeroUsize::MIN,
            }
        }
        Self {
            addresses: vec![UpstreamAddress::default()],
            connect_timeout: Duration::from_secs(1),
            connections: at_least_one(4),
            resolve: TtlBounds { min: Duration::from_secs(1), max: Duration::from_secs(30) },
            name_server: None,
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

/// One address of the decision service: `http://HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamAddress {
    /// Host name, or IP address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// Why a text is no [`UpstreamAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a URL of the form http://HOST:PORT, such as http://127.0.0.1:50051")]
pub struct InvalidUpstream;

impl FromStr for UpstreamAddress {
    type Err = InvalidUpstream;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.parse().map_err(|_| InvalidUpstream)?;
        let host = uri.host().filter(|host| !host.is_empty());
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let userinfo = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        match (uri.scheme_str(), host) {
            (Some("http"), Some(host)) if bare && !userinfo => {
                Ok(Self { host: host.trim_matches(['[', ']']).to_owned(), port: uri.port_u16().unwrap_or(80) })
            }
            _ => Err(InvalidUpstream),
        }
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

impl Default for UpstreamAddress {
    fn default() -> Self {
        Self { host: "127.0.0.1".to_owned(), port: 50051 }
    }
}
