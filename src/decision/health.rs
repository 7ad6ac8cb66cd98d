//! The standard gRPC health service, as a sign of life. A service that offers none is alive when it says so.

use bytes::Bytes;
use http::uri::PathAndQuery;
use hyper::client::conn::http2::SendRequest;
use prost::Message as _;
use tokio::time::timeout;
use tonic::{body::Body, client::Grpc};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus};

use super::channel::{Opened, Sender, open};
use super::codec::BytesCodec;
use super::endpoint::Endpoint;
use super::{CallError, HealthSettings, UpstreamSettings};

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// What is known of an endpoint's health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// It answered, and did not say that it does not serve.
    Alive,
    /// It says that it does not serve.
    NotServing,
    /// It did not answer in time.
    Unanswered,
    /// There was no connection to ask on, or it broke, which is noticed elsewhere.
    Unknown,
}

/// Asks on a connection that serves calls.
pub(super) async fn check(endpoint: &Endpoint, settings: &HealthSettings) -> Health {
    let Some(sender) = endpoint.serving_connection() else { return Health::Unknown };
    endpoint.listen();
    match ask(endpoint, sender, settings).await {
        // All streams of that connection are taken by calls, and some of them end.
        Health::Unanswered if endpoint.has_answered() => Health::Unknown,
        health => health,
    }
}

/// Connects, and asks on that connection.
pub(super) async fn probe(endpoint: &Endpoint, settings: &UpstreamSettings) -> Health {
    match timeout(settings.connect_timeout, open(endpoint, None)).await {
        Ok(Ok(Opened { sender, driver, end })) => {
            let driver = tokio::spawn(driver);
            let health = ask(endpoint, sender, &settings.health).await;
            end.now();
            driver.abort();
            health
        }
        Ok(Err(_)) | Err(_) => Health::Unknown,
    }
}

async fn ask(endpoint: &Endpoint, sender: SendRequest<Body>, settings: &HealthSettings) -> Health {
    let request = HealthCheckRequest { service: settings.service.clone() };
    let mut request = tonic::Request::new(Bytes::from(request.encode_to_vec()));
    request.set_timeout(settings.timeout);
    let mut client = Grpc::with_origin(Sender(sender), endpoint.origin.clone());
    let asked = client.unary(request, PathAndQuery::from_static(CHECK), BytesCodec);
    match timeout(settings.timeout, asked).await {
        Err(_) => Health::Unanswered,
        Ok(Ok(reply)) => match HealthCheckResponse::decode(reply.into_inner()) {
            Ok(reply) if reply.status() == ServingStatus::NotServing => Health::NotServing,
            _ => Health::Alive,
        },
        Ok(Err(status)) => match CallError::from(status) {
            // Such as UNIMPLEMENTED or NOT_FOUND: it offers none. Whatever it says, it speaks.
            CallError::Status(_) => Health::Alive,
            _ => Health::Unknown,
        },
    }
}
