//! Where the App's decision service listens.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    num::NonZeroUsize,
    path::Path,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use http::Uri;
use rustls::pki_types::ServerName;

use super::{TtlBounds, UpstreamTlsSettings};

/// Where a URL names no port.
const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// The App's decision service.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// Where it listens. Never empty.
    pub addresses: Vec<UpstreamAddress>,
    /// How long one connection may take to be made. Below `decision.timeout`.
    pub connect_timeout: Duration,
    /// Connections to one endpoint, where the peer allows too few calls on one; each worker has one in any case. 1 to 4.
    pub connections: NonZeroUsize,
    /// How long a name's addresses are taken for true.
    pub resolve: TtlBounds,
    /// The name server to ask. `None`: those of `/etc/resolv.conf`, after `/etc/hosts`.
    pub name_server: Option<SocketAddr>,
    /// TLS with `https` addresses.
    pub tls: UpstreamTlsSettings,
    /// How health is asked for.
    pub health: HealthSettings,
    /// When an endpoint is taken out, and how it comes back.
    pub eject: EjectSettings,
}

impl UpstreamSettings {
    /// Whether any calls go over TLS.
    pub(super) fn is_secured(&self) -> bool {
        self.addresses.iter().any(UpstreamAddress::is_secured)
    }
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

/// For constants: 0 becomes 1.
pub(crate) const fn at_least_one(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            addresses: vec![UpstreamAddress::default()],
            connect_timeout: Duration::from_secs(1),
            connections: at_least_one(4),
            resolve: TtlBounds { min: Duration::from_secs(1), max: Duration::from_secs(30) },
            name_server: None,
            tls: UpstreamTlsSettings { ca: None, client: None, server_name: None, look_every: Duration::from_secs(5) },
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
    /// By TCP.
    Tcp(SocketAddr),
    /// A socket in the file system.
    Unix(Arc<Path>),
}

/// For logs.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}
