//! What the benchmarks share.
//!
//! - [`callback`]: OpenIM's request in its own bytes, and an answer read as bytes.
//! - [`program`]: the bridge's commands as child processes, which end with the benchmark.
//! - [`stats`][]: percentiles.
//!
//! The programs are in `src/bin/`. They drive release builds from outside, over real sockets, and know nothing of the
//! bridge's code.

pub mod callback;
pub mod program;
pub mod stats;
