//! openim-bridge: a sidecar that turns OpenIM Server's webhook callbacks into typed gRPC calls to a team's own service.
//!
//! OpenIM POSTs a callback in JSON before or after it does something for a user. The bridge turns it into a protobuf
//! message, calls the decision service, and turns its reply, or the configured fallback if there is no valid reply in time,
//! into the JSON that OpenIM understands.
//!
//! # A map
//!
//! From the outside in; each module uses only those below it, which a test holds (`tests/architecture.rs`).
//!
//! - [`cli`]: the subcommands; the only place that prints to the terminal.
//! - [`doctor`], [`check`], [`mock`]: the tools. Nothing on a callback's path uses them.
//! - [`config`]: file, environment and flags, as the settings that each module below defines.
//! - [`server`]: sockets in: listeners, workers, connections, drain.
//! - [`bridge`]: the path of one callback, in one screen. Start reading there.
//! - [`telemetry`]: what operators see.
//! - [`outcome`]: what became of a callback.
//! - [`policy`]: who may call, for whom decisions have effect, and the fallback.
//! - [`upstream`]: sockets out: gRPC to the decision service.
//! - [`callback`]: the callbacks that are served.
//! - [`openim`]: how OpenIM talks: commands, codes, answers.
//! - [`base`]: what knows no word of OpenIM.
//! - [`proto`]: the public contract, generated.

pub mod base;
pub mod bridge;
pub mod callback;
pub mod check;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod mock;
pub mod openim;
pub mod outcome;
pub mod policy;
pub mod server;
pub mod telemetry;
pub mod upstream;

/// The public contract, generated from `proto/`.
#[allow(clippy::pedantic, unreachable_pub)]
pub mod proto {
    tonic::include_proto!("openim.bridge.v1");

    /// The compiled contract, for gRPC reflection and for tests over it.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openim_bridge_descriptor.bin"));
}
