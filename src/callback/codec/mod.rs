//! The one codec, which the tables of the contract drive: no callback has code of its own here.
//!
//! - `request`: OpenIM's JSON, straight into the frame of a gRPC request.
//! - `reply`: the service's reply, to a decision. `change`: what it changes. `guard`: which changes are none.
//! - `message`: the other way round, for the tools.

mod change;
pub(super) mod guard;
mod message;
mod reply;
mod request;

use bytes::Bytes;

use super::body::Body;
use super::question::{BodyError, Decision, InvalidDecision, Question};
use super::row::Callback;
use crate::openim::OperationId;

pub use message::{ReplyDecision, reply_of};
pub use request::command_of_unknown;

/// How OpenIM's JSON becomes a request, and a reply a decision.
#[derive(Debug, Clone, Copy)]
pub struct Codec {
    /// OpenIM's JSON to the service's request. Fails when it is not this callback's JSON, or is another callback's.
    pub decode: fn(&'static Callback, Bytes, &OperationId) -> Result<Question, BodyError>,
    /// The service's reply to its decision, or why it holds no valid one.
    pub read: fn(&Body, &[u8]) -> Result<Decision, InvalidDecision>,
}

impl Codec {
    /// By the contract's tables.
    pub const TABLES: Self = Self { decode: request::decode, read: reply::read };
}
