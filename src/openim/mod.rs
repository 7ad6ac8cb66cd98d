//! OpenIM's side of the contract: how its requests name what they ask, and how its answers are written and read.
//!
//! - [`command`]: which command a URL names.
//! - [`operation_id`]: OpenIM's ID for tracing one operation.
//! - [`text`]: a JSON string as OpenIM may send it.
//! - [`codes`]: the error codes that a refusal may carry, and those that are the bridge's own.
//! - [`bad_request`]: what the bridge turns away, with code, status and text.
//! - [`response`]: the one encoder of every byte that OpenIM reads.
//! - [`request`]: the request that OpenIM Server makes (for `send`, `demo` and tests).
//! - [`answer`]: how OpenIM's Go client reads an answer (for `send`, `demo`, `doctor` and tests).
//!
//! Nothing here knows HTTP connections, gRPC or a particular callback.

pub mod answer;
mod bad_request;
mod codes;
mod command;
mod operation_id;
pub mod request;
mod response;
mod text;

pub use answer::{Answer, Caution, OpenIm, OpenImError, Reading, Undecodable};
pub use bad_request::BadRequest;
pub use codes::{InvalidRefusalCode, Refusal, RefusalCode, RefusalDefaults, ReservedCode};
pub use command::{UrlCommand, without_secrets};
pub use operation_id::{OPERATION_ID_HEADER, OperationId};
pub use request::{CallbackRequest, UrlForm};
pub use response::{Fields, NextCodeForm, Verdict};
pub use text::Text;
