//! OpenIM's callbacks: what there is, and how OpenIM's JSON becomes protobuf and a reply becomes a decision.
//!
//! - [`registry`](Callbacks): a row for each callback, and which of them a command names. Start reading there.
//! - [`codec`](Codec): the one codec for all of them.
//! - [`question`](Question): what the service is asked, and what it decides.
//! - [`body`](Body): a callback's JSON, and where its values lie in it.
//! - [`answer`](Effects): what OpenIM takes of an answer, for the tools.
//! - [`row`](Callback): the facts of one callback.
//! - [`shape`](Shape): what the messages of the contract hold: tables that `build.rs` makes from `proto/`.
//!
//! Does no I/O.

mod answer;
mod body;
mod codec;
mod question;
mod registry;
mod row;
mod shape;

pub use answer::{AnswerFailure, AnswerNote, Effects, Taken};
pub use body::Body;
pub use codec::{Codec, ReplyDecision, command_of_unknown, reply_of};
pub use question::{BodyError, Decision, InvalidDecision, Question};
pub use registry::{CALLBACKS, Callbacks, NEVER_SENT, NeverSent};
pub use row::{AnswerRule, AttentionIds, Callback, Echo, Guard, Key, Kind};
pub use shape::{Field, FieldKind, Rpc, Shape, rpc};
