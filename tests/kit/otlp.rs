//! A receiver of traces, as a collector is one.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tonic::{
    Request, Response, Status,
    codec::CompressionEncoding,
    metadata::MetadataMap,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

use super::PATIENCE;

/// A running receiver.
pub struct Collector {
    pub address: SocketAddr,
    exports: mpsc::Receiver<(MetadataMap, ExportTraceServiceRequest)>,
}

/// Receives on a free port.
pub fn collector() -> Collector {
    collector_on(Server::builder())
}

/// Receives by TLS, as this.
pub fn secured_collector(cert: &str, key: &str, clients: &str) -> Collector {
    let tls =
        ServerTlsConfig::new().identity(Identity::from_pem(cert, key)).client_ca_root(Certificate::from_pem(clients));
    collector_on(Server::builder().tls_config(tls).expect("TLS"))
}

fn collector_on(mut server: Server) -> Collector {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (sender, exports) = mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).expect("a listener"));
            let service = TraceServiceServer::new(Receives(sender)).accept_compressed(CompressionEncoding::Gzip);
            server.add_service(service).serve_with_incoming(incoming).await
        })
    });
    Collector { address, exports }
}

struct Receives(mpsc::Sender<(MetadataMap, ExportTraceServiceRequest)>);

#[tonic::async_trait]
impl TraceService for Receives {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (metadata, _, message) = request.into_parts();
        self.0.send((metadata, message)).map_err(|_| Status::cancelled("the test is over"))?;
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A span, to be looked at.
#[derive(Debug, Clone)]
pub struct Seen {
    pub span: Span,
    pub attributes: BTreeMap<String, String>,
    pub resource: BTreeMap<String, String>,
    pub metadata: MetadataMap,
}

impl Collector {
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next spans, so many or more, by their beginning.
    #[track_caller]
    pub fn spans(&self, at_least: usize) -> Vec<Seen> {
        let mut spans = Vec::new();
        while spans.len() < at_least {
            spans.extend(seen(self.exports.recv_timeout(PATIENCE).expect("spans in time")));
        }
        spans.sort_by_key(|seen| seen.span.start_time_unix_nano);
        spans
    }
}

fn seen((metadata, request): (MetadataMap, ExportTraceServiceRequest)) -> Vec<Seen> {
    let of_resource = request.resource_spans.into_iter().flat_map(|of_resource| {
        let resource = attributes(&of_resource.resource.expect("a resource").attributes);
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        spans.map(move |span| (resource.clone(), span)).collect::<Vec<_>>()
    });
    let seen = of_resource.map(|(resource, span)| {
        let attributes = attributes(&span.attributes);
        Seen { span, attributes, resource, metadata: metadata.clone() }
    });
    seen.collect()
}

fn attributes(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let value = |attribute: &KeyValue| attribute.value.as_ref().and_then(|value| value.value.as_ref()).map(text);
    attributes.iter().map(|attribute| (attribute.key.clone(), value(attribute).unwrap_or_default())).collect()
}

impl Seen {
    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    pub fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    pub fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(String::as_str)
    }

    /// Whether its status is `Error`.
    pub fn failed(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == 2)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
