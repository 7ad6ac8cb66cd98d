//! What the service says that it serves: gRPC server reflection.
//! Source: <https://github.com/grpc/grpc/blob/master/src/proto/grpc/reflection/v1/reflection.proto>.

use serde_json::Value;

use super::session::Session;
use crate::callback::{Field, FieldKind, Shape};

/// The same messages by both names. Some languages have the older one alone.
const METHODS: [&str; 2] = [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
];
/// `list_services: "*"`
const LIST_SERVICES: &[u8] = b"\x3a\x01*";

const RESPONSE: Shape = Shape { fields: &[field("listed", 6, FieldKind::Message(&LISTED), false)] };
const LISTED: Shape = Shape { fields: &[field("services", 1, FieldKind::Message(&SERVICE), true)] };
const SERVICE: Shape = Shape { fields: &[field("name", 1, FieldKind::Text, false)] };

const fn field(key: &'static str, number: u32, kind: FieldKind, repeated: bool) -> Field {
    Field { key, number, kind, repeated, optional: false }
}

/// The names of the services; none without reflection.
pub(super) async fn services(session: &Session<'_>) -> Vec<String> {
    static SHAPE: Shape = RESPONSE;
    for method in METHODS {
        // A stream, of which one message each way is all.
        let Ok(reply) = session.call(method, LIST_SERVICES, session.settings.upstream.health.timeout, None).await
        else {
            continue;
        };
        let json: Value = SHAPE.json_of(&reply).and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let services = json["listed"]["services"].as_array().into_iter().flatten();
        return services.filter_map(|service| service["name"].as_str().map(str::to_owned)).collect();
    }
    Vec::new()
}
