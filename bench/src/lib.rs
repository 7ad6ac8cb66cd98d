//! What the benchmarks share.
//!
//! - [`answer`]: what OpenIM would make of an answer.
//! - [`allowing`]: a decision service, and an HTTP receiver, that allow whatever they are asked.
//! - [`callback`]: OpenIM's request in its own bytes; a request and an answer read as bytes.
//! - [`certificates`]: an authority, and folders of what it signed that are swapped as Kubernetes does.
//! - [`contender`]: what the bridge is compared with, and how each is started.
//! - [`docs`]: the part of a page that a command makes.
//! - [`events`]: after callbacks at a constant rate, of many keys.
//! - [`load`]: callbacks at a constant rate, on connections as OpenIM's client makes them.
//! - [`machine`]: what a benchmark ran on.
//! - [`metrics`]: what a running bridge counts.
//! - [`namespace`]: a network namespace that can lose every packet.
//! - [`program`]: the bridge's commands, and other programs that listen, as child processes, which end with the benchmark.
//! - [`outstanding`]: many callbacks at one time to a decision service that hangs, and how late their answers come.
//! - [`proxy`]: a TCP proxy that counts, and can stop forwarding.
//! - [`receiver`]: a decision service that takes its time for each event, and counts them.
//! - [`runtime`]: one thread, until done or told to end.
//! - [`stats`][]: percentiles and medians.
//! - [`table`]: tables for a terminal and for a page.
//!
//! The programs are in `src/bin/`. They drive builds of the bridge from outside, over real sockets, and know nothing of the
//! bridge's code.

pub mod allowing;
pub mod answer;
pub mod callback;
pub mod certificates;
pub mod contender;
pub mod docs;
pub mod events;
pub mod load;
pub mod machine;
pub mod metrics;
pub mod namespace;
pub mod outstanding;
pub mod program;
pub mod proxy;
pub mod receiver;
pub mod runtime;
pub mod stats;
pub mod table;
