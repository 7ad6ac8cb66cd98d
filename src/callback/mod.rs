//! The callbacks that the bridge serves: one file each, one line each in the registry.
//!
//! - [`registry`](REGISTRY): what there is.
//! - [`served`](Served): what a callback is. A [`Callback`] says, as types and pure functions, how OpenIM's JSON becomes the
//!   service's protobuf request and how the service's reply becomes a [`Decision`]; [`Served`] is the same without the types, so
//!   that the path in `bridge` is compiled once for all.
//!
//! Does no I/O.

mod registry;
mod served;
mod set_friend_remark;

pub use registry::REGISTRY;
pub use served::{BodyError, Callback, Decision, Parties, Question, Served, command_of_unserved};
