//! What every other module may use, and what knows nothing of what the bridge is for.
//!
//! - [`deadline`]: when an answer must be out.
//! - [`bounded_file`]: files that people name.
//! - [`chunks`]: a body that comes in pieces.
//! - [`file_watch`]: files that are read again when they change. [`tls`]: those of TLS. [`yaml`]: YAML as people write it.
//! - [`memory`]: counts what is held. [`cgroup`]: how much the system lets the process use.
//! - [`socket`]: socket options, the only code that differs between systems.
//! - [`trace_context`]: where a request stands in a distributed trace.
//! - [`grpc_frame`]: how gRPC sends a message. [`grpc_status`]: the names of its statuses. [`json`]: reads JSON.
//! - [`http2_frames`]: the heads of HTTP/2 frames, read beside h2.
//! - [`packed`]: texts that the build packs.
//! - [`error_chain`]: an error with its causes, in one line. [`text`]: texts of others, safe to show.

pub(crate) mod bounded_file;
pub(crate) mod cgroup;
pub(crate) mod chunks;
pub mod deadline;
pub(crate) mod error_chain;
pub mod file_watch;
pub(crate) mod grpc_frame;
pub(crate) mod grpc_status;
pub(crate) mod http2_frames;
pub(crate) mod json;
pub mod memory;
pub(crate) mod packed;
pub(crate) mod socket;
pub mod text;
pub mod tls;
pub mod trace_context;
pub(crate) mod yaml;

use std::num::NonZeroUsize;

/// The commit that was built, or "unknown"; `build.rs` finds it out, and the two below.
pub const COMMIT: &str = env!("BUILD_COMMIT");

/// The day of that commit in UTC, as `2026-01-31`, or "unknown".
pub const COMMIT_DATE: &str = env!("BUILD_COMMIT_DATE");

/// The version with commit and day, as `--version` prints it: `0.2.0 (0123abc… 2026-01-31)`.
pub const VERSION: &str = env!("BUILD_VERSION");

/// 0 becomes 1.
pub(crate) const fn at_least_one(number: usize) -> NonZeroUsize {
    match NonZeroUsize::new(number) {
        Some(number) => number,
        None => NonZeroUsize::MIN,
    }
}
