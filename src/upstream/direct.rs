//! The decision service without what the bridge puts around it: no retry, no ejection, no health checks behind one's
//! back. Every failure is seen as it is. For `check` and `doctor`; the path of a callback goes by [`super::Upstream`].

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Uri, uri::PathAndQuery};
use tokio::{
    task::AbortHandle,
    time::{Instant, timeout, timeout_at},
};

use super::address::{Target, UpstreamAddress};
use super::call::{CallId, write_metadata};
use super::channel::{Opened, open};
use super::error::{CallError, ConnectError};
use super::pool::Maker;
use super::resolve::{LookupError, Resolver};
use super::settings::UpstreamSettings;
use super::unary::{self, Sender, unary};
use crate::base::grpc_frame;
use crate::base::socket;
use crate::base::tls::TlsError;

/// Makes connections to the first of the configured addresses, as the bridge does.
pub struct Direct {
    maker: Maker,
    address: UpstreamAddress,
}

#[derive(Debug, thiserror::Error)]
pub enum DirectError {
    #[error("the name in {0} does not resolve")]
    Resolve(UpstreamAddress, #[source] Unresolved),
    /// None of its addresses could be connected to. This is the last one's error.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unresolved(LookupError);

impl Direct {
    /// Reads the files of TLS, where the address is `https`. `settings` must hold an address; its first is taken.
    ///
    /// # Errors
    /// When such a file cannot be used.
    pub fn new(settings: UpstreamSettings) -> Result<Self, TlsError> {
        let address = settings.addresses.first().cloned().unwrap_or_default();
        Ok(Self { maker: Maker::new(settings)?, address })
    }

    /// A new connection to the first address that takes one. Each attempt takes at most `upstream.connect_timeout`.
    ///
    /// # Errors
    /// When none does.
    pub async fn connect(&self) -> Result<DirectConnection, DirectError> {
        let settings = &self.maker.settings;
        let mut error = None;
        for target in self.targets().await? {
            let endpoint = self.maker.endpoint(target.clone(), &self.address);
            match timeout(settings.connect_timeout, open(&endpoint, None)).await {
                Ok(Ok(Opened { sender, driver, end, .. })) => {
                    let driver = tokio::spawn(async { drop(driver.await) }).abort_handle();
                    let origin = endpoint.origin.clone();
                    return Ok(DirectConnection {
                        target,
                        origin,
                        sender,
                        _open: Arc::new(OpenDirect { driver, end }),
                    });
                }
                Ok(Err(failed)) => error = Some(failed),
                Err(_) => error = Some(ConnectError::Timeout(target)),
            }
        }
        let unresolved = || DirectError::Resolve(self.address.clone(), Unresolved(LookupError::no_address()));
        Err(error.map_or_else(unresolved, DirectError::Connect))
    }

    async fn targets(&self) -> Result<Vec<Target>, DirectError> {
        let (host, port) = match &self.address {
            UpstreamAddress::Http { host, port, .. } => (host, *port),
            UpstreamAddress::Unix(path) => return Ok(vec![Target::Unix(Arc::clone(path))]),
        };
        let bounds = self.maker.settings.resolve;
        let resolver = match self.maker.settings.name_server {
            Some(server) => Resolver::asking(server, bounds),
            None => Resolver::system(bounds),
        };
        let found = resolver.lookup(host).await;
        let found = found.map_err(|error| DirectError::Resolve(self.address.clone(), Unresolved(error)))?;
        Ok(found.addresses.into_iter().map(|ip| Target::Tcp(SocketAddr::new(ip, port))).collect())
    }
}

/// One HTTP/2 connection. Clones share it; the last one closes it.
#[derive(Clone)]
pub struct DirectConnection {
    target: Target,
    origin: Uri,
    sender: Sender,
    _open: Arc<OpenDirect>,
}

struct OpenDirect {
    driver: AbortHandle,
    end: socket::ConnectionEnd,
}

impl Drop for OpenDirect {
    fn drop(&mut self) {
        self.end.now();
        self.driver.abort();
    }
}

impl DirectConnection {
    #[must_use]
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// Asks once. `limit` goes with the call as its gRPC deadline, and is kept here too. `known_by` goes with the call of a
    /// callback: its metadata `operation-id`, `callback-id` and `attempt`. A call whose future is dropped is cancelled.
    ///
    /// # Errors
    /// When there is no reply by then, or a status other than OK.
    pub async fn call(
        &self,
        method: &'static str,
        message: &[u8],
        limit: Duration,
        known_by: Option<(&HeaderValue, CallId, Option<u32>)>,
    ) -> Result<Bytes, CallError> {
        let at = Instant::now() + limit;
        let mut sender = self.sender.clone();
        let mut head = unary::head(&self.origin, PathAndQuery::from_static(method), limit);
        if let Some((operation_id, id, attempt)) = known_by {
            write_metadata(head.headers_mut(), Some(operation_id), id, attempt);
        }
        let call = unary(&mut sender, head, grpc_frame::of(message), None, None);
        timeout_at(at, call).await.unwrap_or(Err(CallError::Deadline)).map(|reply| reply.message)
    }
}
