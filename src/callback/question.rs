//! What the service is asked, and what it decides.

use std::rc::Rc;

use bytes::Bytes;

use super::body::Body;
use super::row::Guard;
use crate::openim::{Fields, Rejection};
use crate::proto::Refuse;

/// What the service decided.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// OpenIM goes on with what its user asked for.
    Allow,
    /// OpenIM turns it down. Code and texts are the service's and have not been checked.
    Refuse(Refuse),
    /// OpenIM goes on with these values instead, which hold what an answer must repeat too.
    Change(Fields),
}

/// Why a reply holds no valid decision. In words for whoever wrote the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecision {
    #[error("it is no message of this rpc's response")]
    Undecodable,
    #[error("no decision is set, or one that this bridge does not know")]
    Unset,
    #[error("the change is empty: it sets no field")]
    NoChange,
    #[error("the change breaks a rule: {0}")]
    Rule(Guard),
    #[error("it is longer than a decision can be")]
    TooLong,
}

/// A callback as it came in, ready to be asked.
#[derive(Debug)]
pub struct Question {
    /// The rpc's request, in the frame in which gRPC sends it.
    pub frame: Bytes,
    /// Shared, since it is too large to be moved along the path.
    pub body: Rc<Body>,
}

/// Why a body is not the callback that its URL says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    Malformed,
    OtherCommand,
}

impl From<BodyError> for Rejection {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Malformed => Self::BodyMalformed,
            BodyError::OtherCommand => Self::CommandMismatch,
        }
    }
}
