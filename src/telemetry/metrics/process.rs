//! What the system knows of the process, by the names that Prometheus' own clients use. Nothing but on Linux.

use prometheus::proto::MetricFamily;

#[cfg(target_os = "linux")]
pub(super) fn families() -> Vec<MetricFamily> {
    // What cannot be read is not exposed: there is nobody who could do anything about it.
    linux::families().unwrap_or_default()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn families() -> Vec<MetricFamily> {
    Vec::new()
}

#[cfg(target_os = "linux")]
mod linux {
    use procfs::{ProcResult, WithCurrentSystemInfo as _, process::Process};
    use prometheus::proto::MetricFamily;

    use crate::telemetry::metrics::state::{counter, gauge};

    // The system counts pages, bytes and ticks, all of which stay below 2^53.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn families() -> ProcResult<Vec<MetricFamily>> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let boot = procfs::boot_time_secs()? as f64;
        let open_files = process.fd_count()? as f64;
        let max_files = rlimit::Resource::NOFILE.get_soft().unwrap_or(0) as f64;
        Ok(vec![
            counter(
                "process_cpu_seconds_total",
                "Total user and system CPU time spent in seconds.",
                (stat.utime + stat.stime) as f64 / ticks,
            ),
            gauge("process_open_fds", "Number of open file descriptors.", open_files),
            gauge("process_max_fds", "Maximum number of open file descriptors.", max_files),
            gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", stat.vsize as f64),
            gauge("process_resident_memory_bytes", "Resident memory size in bytes.", stat.rss_bytes().get() as f64),
            gauge(
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                boot + stat.starttime as f64 / ticks,
            ),
            gauge("process_threads", "Number of OS threads in the process.", stat.num_threads as f64),
        ])
    }
}
