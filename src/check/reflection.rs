//! What the service says that it serves: gRPC server reflection.
//! Source: <https://github.com/grpc/grpc/blob/master/src/proto/grpc/reflection/v1/reflection.proto>.

use prost::Message as _;
use tonic_reflection::pb::v1::{ServerReflectionResponse, server_reflection_response::MessageResponse};

use super::session::Session;

/// The same messages by both names. Some languages have the older one alone.
const METHODS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// `list_services: "*"`
const LIST_SERVICES: &[u8] = b"\x3a\x01*";

/// The names of the services; none without reflection.
pub(super) async fn services(session: &Session<'_>) -> Vec<String> {
    for method in METHODS {
        // A stream, of which one message each way is all.
        let Ok(reply) = session.call(method, LIST_SERVICES, session.settings.upstream.health.timeout, None).await
        else {
            continue;
        };
        let listed = ServerReflectionResponse::decode(reply).ok().and_then(|reply| reply.message_response);
        let Some(MessageResponse::ListServicesResponse(listed)) = listed else { break };
        return listed.service.into_iter().map(|service| service.name).collect();
    }
    Vec::new()
}
