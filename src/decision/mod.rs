//! The App's side: where its decision service is, how it is asked within a deadline, how a failure is classified, and
//! what OpenIM is told when there is no decision.

mod address;
mod error;
mod fallback;

pub use address::{InvalidUpstream, UpstreamAddress, UpstreamSettings};
pub use error::ErrorClass;
pub use fallback::{Action, FallbackPolicy, FallbackRefusal};
