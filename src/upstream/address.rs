//! Where the decision service listens: an address as it is configured, and what is connected to.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    path::Path,
    str::FromStr,
    sync::Arc,
};

use http::Uri;
use rustls::pki_types::ServerName;

/// Where a URL names no port.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// One address of the decision service, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// `http://HOST:PORT` or `https://HOST:PORT`.
    Http {
        /// With `https`, the name that its certificate must be for: that of the host.
        tls: Option<ServerName<'static>>,
        /// Host name, or IP address without brackets.
        host: String,
        /// TCP port. Never 0.
        port: u16,
    },
    /// `unix:///PATH`: a socket in the file system. Absolute, and no longer than the system takes.
    Unix(Arc<Path>),
}

/// Why a text is no [`UpstreamAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a URL of the form http://HOST:PORT, https://HOST:PORT or unix:///PATH, such as http://127.0.0.1:50051"
)]
pub struct InvalidUpstream;

impl FromStr for UpstreamAddress {
    type Err = InvalidUpstream;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("unix://") {
            Some(path) => socket_path(path),
            None => http_url(text),
        }
        .ok_or(InvalidUpstream)
    }
}

/// As it stands, without percent-encoding, as gRPC takes such a target.
fn socket_path(path: &str) -> Option<UpstreamAddress> {
    let names_a_file = path.starts_with('/') && !path.ends_with('/') && !path.contains(char::is_control);
    // The system allows some 100 bytes.
    let fits = std::os::unix::net::SocketAddr::from_pathname(path).is_ok();
    (names_a_file && fits).then(|| UpstreamAddress::Unix(Path::new(path).into()))
}

fn http_url(text: &str) -> Option<UpstreamAddress> {
    let uri: Uri = text.parse().ok()?;
    let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let tls = match uri.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return None,
    };
    let authority = uri.authority()?;
    let host = authority.host();
    // `None` also with a user's name before the host.
    let port = match authority.as_str().strip_prefix(host)? {
        "" if tls => HTTPS_PORT,
        "" => HTTP_PORT,
        port => port.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?,
    };
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.strip_suffix(']').filter(|ip| ip.parse::<Ipv6Addr>().is_ok())?,
        None => host,
    };
    let tls = if tls { Some(ServerName::try_from(host).ok()?.to_owned()) } else { None };
    let right = bare && !host.is_empty() && port != 0;
    right.then(|| UpstreamAddress::Http { tls, host: host.to_owned(), port })
}

impl UpstreamAddress {
    /// Whether calls to it go over TLS.
    #[must_use]
    pub const fn is_secured(&self) -> bool {
        matches!(self, Self::Http { tls: Some(_), .. })
    }

    /// Whether the two are surely one endpoint, however they are written.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Http { host, port, .. }, Self::Http { host: other_host, port: other_port, .. }) => {
                let ip = |host: &str| host.parse::<IpAddr>().ok();
                let same_ip = ip(host).is_some_and(|address| ip(other_host) == Some(address));
                port == other_port && (host.eq_ignore_ascii_case(other_host) || same_ip)
            }
            (Self::Unix(path), Self::Unix(other_path)) => path == other_path,
            _ => false,
        }
    }

    /// For every request's `:scheme` and `:authority`.
    pub(super) fn origin(&self) -> Uri {
        match self {
            // It was parsed from such a URL, so this parses; were it not to, the path alone still works.
            Self::Http { .. } => self.to_string().parse().unwrap_or_default(),
            Self::Unix(_) => Uri::from_static("http://localhost"),
        }
    }
}

impl fmt::Display for UpstreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { tls, host, port } => {
                let scheme = if tls.is_some() { "https" } else { "http" };
                let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
                write!(f, "{scheme}://{open}{host}{close}:{port}")
            }
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

impl Default for UpstreamAddress {
    fn default() -> Self {
        Self::Http { tls: None, host: "127.0.0.1".to_owned(), port: 50051 }
    }
}

/// What is connected to: an address after names have been resolved.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(Arc<Path>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}
