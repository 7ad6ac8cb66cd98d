//! OpenIM's side of the contract: how its requests name what they ask, and how its answers are written and read.
//!
//! - [`command`]: which command a URL names.
//! - [`operation_id`]: OpenIM's ID for tracing one operation.
//! - [`codes`]: the error codes that a refusal may carry, and those that are the bridge's own.
//! - [`rejection`](Rejection): what the bridge rejects, with code, status and text.
//! - [`response`]: the one encoder of every byte that OpenIM reads.
//! - [`client`]: how OpenIM's own client asks, and reads an answer: for the tools, and never on a callback's path.
//!
//! Nothing here knows HTTP connections, gRPC or a particular callback.

pub mod client;
mod codes;
mod command;
mod operation_id;
mod rejection;
mod response;

pub use codes::{
    CodeRange, InvalidCodeRange, InvalidRefusalCode, Refusal, RefusalCode, RefusalDefaults, ReservedCode, ServiceCodes,
};
pub use command::{UrlCommand, last_segment, without_secrets};
pub use operation_id::{OPERATION_ID_HEADER, OperationId};
pub use rejection::Rejection;
pub use response::{Fields, NextCodeForm, Verdict};

/// OpenIM's own cap on a callback's timeout: its HTTP client gives up after this long, whatever webhooks.yml says.
pub const TIMEOUT_CAP: std::time::Duration = std::time::Duration::from_secs(15);
