//! Where the App's decision service listens.

use std::{fmt, str::FromStr, time::Duration};

use http::Uri;

/// The App's decision service.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Where it listens. Never empty.
    pub addresses: Vec<UpstreamAddress>,
    /// How long one connection may take to be made. Below `decision.timeout`.
    pub connect_timeout: Duration,
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
