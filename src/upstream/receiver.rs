//! The HTTP receiver that a team already has, as the whole process knows it: where it is, how it is spoken to, and how it is
//! for operators.

use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::HeaderValue;

use super::address::Target;
use super::error::ConnectError;
use super::forward_url::{self, ForwardUrl};
use super::settings::{TtlBounds, UpstreamTlsSettings};
use super::tls::{self, ClientFiles};
use crate::base::error_chain;
use crate::base::file_watch::Reloads;
use crate::base::tls::{TlsError, Untimely};

/// Where requests are forwarded to, and how.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    pub url: ForwardUrl,
    /// `user:password` from a file. It goes before what the URL says.
    pub credentials: Option<ForwardCredentials>,
    /// How long one connection may take to be made.
    pub connect_timeout: Duration,
    /// As for the decision service.
    pub resolve: TtlBounds,
    pub name_server: Option<SocketAddr>,
    pub tls: UpstreamTlsSettings,
}

/// The value of `Authorization`. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardCredentials(HeaderValue);

impl ForwardCredentials {
    /// Of `user:password`.
    #[must_use]
    pub fn new(user_and_password: &str) -> Option<Self> {
        forward_url::authorization(user_and_password.as_bytes()).map(Self)
    }

    pub(super) const fn value(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for ForwardCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("...")
    }
}

/// The receiver, of the process.
#[derive(Debug)]
pub struct Receiver {
    pub(super) settings: ForwardSettings,
    pub(super) tls: Option<Arc<ClientFiles>>,
    /// What came of connecting to each address, last.
    seen: Mutex<Vec<(Target, Option<String>)>>,
}

/// How the receiver is, for operators.
#[derive(Debug, Clone)]
pub struct ReceiverStatus {
    /// Without secrets.
    pub url: String,
    /// Each address that was connected to, and why it could not be, where the last time failed.
    pub addresses: Vec<(Target, Option<String>)>,
}

impl Receiver {
    /// Reads the files of TLS, and watches them from now on.
    ///
    /// # Errors
    /// When one cannot be used.
    pub fn start(settings: ForwardSettings) -> Result<Arc<Self>, TlsError> {
        let tls = if settings.url.is_secured() { Some(tls::start(&settings.tls)?.into()) } else { None };
        Ok(Arc::new(Self { settings, tls, seen: Mutex::default() }))
    }

    /// Reads the files of TLS as [`Self::start`] would.
    ///
    /// # Errors
    /// When one cannot be used, or has expired.
    pub(crate) fn inspect(settings: &ForwardSettings) -> Result<Vec<Untimely>, TlsError> {
        if settings.url.is_secured() { tls::inspect(&settings.tls) } else { Ok(Vec::new()) }
    }

    /// How often the files of TLS were read again; `None` where the URL is not `https`.
    pub(crate) fn reloads(&self) -> Option<Reloads> {
        self.tls.as_deref().map(|files| files.counts().now())
    }

    /// Seconds until the first of the files of TLS expires; `None` where the URL is not `https`.
    pub(crate) fn expires_in(&self) -> Option<f64> {
        self.tls.as_deref().map(tls::expires_in)
    }

    #[must_use]
    pub fn status(&self) -> ReceiverStatus {
        let addresses = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ReceiverStatus { url: self.settings.url.to_string(), addresses }
    }

    /// Only addresses of the last lookup are kept.
    pub(super) fn found(&self, targets: &[Target]) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).retain(|(target, _)| targets.contains(target));
    }

    pub(super) fn connected(&self, target: &Target, error: Option<&ConnectError>) {
        let error = error.map(|error| error_chain::text(error));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let before = if let Some((_, known)) = seen.iter_mut().find(|(seen, _)| seen == target) {
            std::mem::replace(known, error.clone())
        } else {
            seen.push((target.clone(), error.clone()));
            None
        };
        match (before, error) {
            (None, Some(error)) => {
                tracing::warn!(endpoint = %target, error, "the receiver of forwarded callbacks cannot be reached");
            }
            (Some(_), None) => {
                tracing::info!(endpoint = %target, "the receiver of forwarded callbacks can be reached again");
            }
            _ => {}
        }
    }
}
