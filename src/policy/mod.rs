//! What the configuration decides about a callback, as pure functions.
//!
//! - [`access`](AccessSettings): who may call.
//! - [`percent`](Percent): roll-out: for whom decisions have effect.
//! - [`fallback`](FallbackPolicy): what OpenIM is told when there is no decision.

mod access;
mod fallback;
mod percent;

pub use access::{AccessSettings, Credentials, InvalidCredentials, WrongLine};
pub use fallback::{Action, FallbackPolicy, FallbackRefusal};
pub use percent::{InvalidPercent, Percent};
