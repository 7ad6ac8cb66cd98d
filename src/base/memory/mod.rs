//! How much memory the process may use, and what it holds of that.
//!
//! - [`cgroup`]: the limit that the system sets.
//! - [`gauge`](Gauge): counts what is held. Its [`Permit`] is a part of it, given back when dropped.

mod cgroup;
mod gauge;

pub(crate) use cgroup::limit;
pub use gauge::{Gauge, Permit};
