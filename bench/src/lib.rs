//! What the benchmarks share.
//!
//! - [`callback`]: OpenIM's request in its own bytes, and an answer read as bytes.
//! - [`certificates`]: an authority, and folders of what it signed that are swapped as Kubernetes does.
//! - [`load`]: callbacks at a constant rate, on connections as OpenIM's client makes them.
//! - [`namespace`]: a network namespace that can lose every packet.
//! - [`program`]: the bridge's commands as child processes, which end with the benchmark.
//! - [`proxy`]: a TCP proxy that counts, and can stop forwarding.
//! - [`stats`][]: percentiles.
//!
//! The programs are in `src/bin/`. They drive builds of the bridge from outside, over real sockets, and know nothing of the
//! bridge's code.

pub mod callback;
pub mod certificates;
pub mod load;
pub mod namespace;
pub mod program;
pub mod proxy;
pub mod stats;
