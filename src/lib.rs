//! openim-bridge.

pub mod cli;
pub mod config;
pub mod decision;
pub mod mock;
pub mod openim;

/// The public contract, generated from `proto/`.
#[allow(missing_docs, clippy::pedantic, unreachable_pub)]
pub mod proto {
    tonic::include_proto!("openim.bridge.v1");

    /// The compiled contract, for gRPC reflection and for tests over it.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openim_bridge_descriptor.bin"));
}
