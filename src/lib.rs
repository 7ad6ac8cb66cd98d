//! openim-bridge: a sidecar that answers OpenIM Server's callbacks from a team's own gRPC services.
//!
//! OpenIM POSTs a callback in JSON before it does something for a user. The bridge turns it into a protobuf message,
//! asks the App's decision service, and turns the reply, or the configured fallback when there is no good reply in time,
//! into the JSON that OpenIM understands.
//!
//! # A map
//!
//! From the outside in; each module uses only those below it.
//!
//! - [`cli`]: the subcommands, one file each; the only place that prints for people.
//! - [`reload`]: the configuration in force, read again when its files change or when told to.
//! - [`server`]: listeners, workers, connections, drain.
//! - [`bridge`]: the path of one callback, in one screen. Start reading there.
//! - [`telemetry`]: what operators see.
//! - [`config`]: raw values, then checked settings.
//! - [`access`]: who may call.
//! - [`callback`]: the callbacks that are served, one file each.
//! - [`decision`]: the App's side: connections, the call, error classes, fallback.
//! - [`openim`]: OpenIM's side: commands, codes, answers.
//! - [`trace_context`]: where a callback stands in a distributed trace.
//! - [`pseudonym`]: user IDs under another name, for logs.
//! - [`tls_files`]: the PEM files of both sides; [`tls_error`]: what goes wrong with TLS, in words.
//! - [`file_watch`]: files that are read again when they change.
//! - [`socket`]: socket options, the only code that differs between systems.
//! - [`check`]: the conformance test of a decision service.
//! - [`doctor`]: OpenIM's webhooks.yml, held against the bridge's configuration.
//! - [`mock`]: the bundled decision service.
//! - [`yaml`]: documents whose parts know where they stand.
//! - [`proto`]: the public contract, generated.

pub mod access;
pub mod bridge;
pub mod callback;
pub mod check;
mod chunks;
pub mod cli;
pub mod config;
pub mod decision;
pub mod doctor;
mod error_chain;
mod file_watch;
mod grpc_status;
pub mod mock;
pub mod openim;
pub mod pseudonym;
pub mod reload;
pub mod server;
mod socket;
pub mod telemetry;
mod tls_error;
mod tls_files;
pub mod trace_context;
mod yaml;

/// What was built, where the build says so by the variable `OPENIM_BRIDGE_COMMIT`.
pub const COMMIT: &str = match option_env!("OPENIM_BRIDGE_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The public contract, generated from `proto/`.
#[allow(missing_docs, clippy::pedantic, unreachable_pub)]
pub mod proto {
    tonic::include_proto!("openim.bridge.v1");

    /// The compiled contract, for gRPC reflection and for tests over it.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openim_bridge_descriptor.bin"));
}
