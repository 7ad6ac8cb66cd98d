//! The App's side: where its decision service is, how it is asked within a deadline, how a failure is classified, and
//! what OpenIM is told when there is no decision.
//!
//! - [`address`](UpstreamAddress): where the decision service listens.
//! - [`channel`](ConnectError): a worker's connection to it.
//! - [`call`](Upstream): one question, with its deadline and its retry.
//! - [`error`](ErrorClass): the classes of failure.
//! - [`fallback`](FallbackPolicy): policy and class give allow or refuse.
//!
//! The only importer of tonic's client on the path of a callback. Knows nothing of OpenIM's JSON or of HTTP/1.

mod address;
mod call;
mod channel;
mod codec;
mod deadline;
mod error;
mod fallback;

pub use address::{InvalidUpstream, UpstreamAddress, UpstreamSettings};
pub use call::{Asked, Call, CallError, Spent, Upstream};
pub use channel::ConnectError;
pub use deadline::Deadline;
pub use error::ErrorClass;
pub use fallback::{Action, FallbackPolicy, FallbackRefusal};
