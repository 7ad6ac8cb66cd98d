//! What the configuration decides about a callback, as pure functions.
//!
//! - [`access`](AccessSettings): who may call.
//! - [`percent`](Percent): roll-out: for whom decisions have effect.
//! - [`fallback`](FallbackPolicy): what OpenIM is told when there is no decision.
//! - [`route`](Routes): what is done with each callback.

mod access;
mod fallback;
mod percent;
mod route;

pub use access::{AccessSettings, Credentials, InvalidCredentials, WrongLine};
pub use fallback::{Action, FallbackActions, FallbackPolicy, FallbackRefusal};
pub use percent::{InvalidPercent, Percent};
pub use route::{OwnPolicy, Rest, Route, Routes, UnknownRoute};
