//! How every benchmark runs: on one thread, until it is done or told to end.

use anyhow::bail;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::LocalSet,
};

/// Runs `benchmark` on this thread alone: the machine's other cores are for what is measured. Programs that it has
/// started end as it is dropped.
///
/// # Errors
///
/// Those of `benchmark`, and when SIGINT or SIGTERM came first.
pub fn run<T>(benchmark: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let interrupted = async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            benchmark = benchmark => benchmark,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    };
    LocalSet::new().block_on(&runtime, interrupted)
}
