//! The standard gRPC health service, as a sign of life. A service that offers none is alive when it says so.

use std::{future::poll_fn, task::Poll};

use http::uri::PathAndQuery;
use prost::Message as _;
use tokio::time::timeout;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};

use super::channel::{Opened, open};
use super::endpoint::Endpoint;
use super::error::{CallError, ConnectError};
use super::settings::{HealthSettings, UpstreamSettings};
use super::unary::{self, Sender, unary};
use crate::base::grpc_frame;

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// Why an endpoint has given no sign of life.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLife {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It says that it does not serve.
    #[error("its health service reports NOT_SERVING")]
    NotServing,
    #[error("it does not answer a health check in time")]
    Unanswered,
    /// There was no connection to ask on, or all of its streams are taken by calls, of which some end.
    #[error("its health could not be checked")]
    NotAsked,
    #[error(transparent)]
    Broken(CallError),
}

impl NoLife {
    /// Whether it is not there: it may not have started yet.
    pub(super) fn is_of_network(&self) -> bool {
        matches!(self, Self::Connect(error) if error.is_of_network())
    }

    /// Whether the two do not agree on TLS.
    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::Tls(..) | ConnectError::Alpn(_) | ConnectError::ClosedTls(..)))
    }
}

/// Asks on a connection that serves calls, or on one of its own where these leave no room for the question.
pub(super) async fn check(endpoint: &Endpoint, settings: &UpstreamSettings) -> Result<(), NoLife> {
    let mut sender = endpoint.serving_connection().ok_or(NoLife::NotAsked)?;
    endpoint.listen();
    match ask(endpoint, &mut sender, &settings.health).await {
        Err(NoLife::Unanswered) if endpoint.has_answered() => Err(NoLife::NotAsked),
        // It may be slow, in as many calls as it allows, and not dead.
        Err(NoLife::Unanswered) if waits_for_a_stream(&mut sender).await => probe(endpoint, settings).await,
        asked => asked,
    }
}

/// Whether what was sent last has not left, since the peer allows no more concurrently.
async fn waits_for_a_stream(sender: &mut Sender) -> bool {
    poll_fn(|context| Poll::Ready(sender.poll_ready(context).is_pending())).await
}

/// Connects, and asks on that connection.
pub(super) async fn probe(endpoint: &Endpoint, settings: &UpstreamSettings) -> Result<(), NoLife> {
    let opened = timeout(settings.connect_timeout, open(endpoint, None)).await;
    let Opened { mut sender, driver, end, .. } =
        opened.map_err(|_| ConnectError::Timeout(endpoint.target.clone()))??;
    let driver = tokio::spawn(driver);
    let asked = ask(endpoint, &mut sender, &settings.health).await;
    end.now();
    driver.abort();
    asked
}

async fn ask(endpoint: &Endpoint, sender: &mut Sender, settings: &HealthSettings) -> Result<(), NoLife> {
    let request = HealthCheckRequest { service: settings.service.clone() };
    let message = request.encode_to_vec();
    let asked = unary(
        sender,
        unary::head(&endpoint.origin, PathAndQuery::from_static(CHECK), settings.timeout),
        grpc_frame::of(&message),
        None,
        None,
    );
    match timeout(settings.timeout, asked).await.map_err(|_| NoLife::Unanswered)? {
        Ok(reply) => match HealthCheckResponse::decode(reply.message) {
            Ok(reply) if reply.status() == ServingStatus::NotServing => Err(NoLife::NotServing),
            _ => Ok(()),
        },
        // Such as UNIMPLEMENTED or NOT_FOUND: it offers none. Whatever it says, it speaks.
        Err(CallError::Status(_) | CallError::TwoMessages) => Ok(()),
        Err(broken) => Err(NoLife::Broken(broken)),
    }
}
