//! The machine that a benchmark runs on, to stand beside its results.

use std::{fmt, fs, thread};

use serde::Serialize;

/// Processor, cores, memory and system; never a host's name.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// As its maker calls it.
    pub processor: String,
    /// How many may be used.
    pub cores: usize,
    /// In GiB, rounded.
    pub memory_gib: u64,
    /// The distribution.
    pub system: String,
    /// Linux' version.
    pub kernel: String,
}

impl Machine {
    /// The one that this runs on.
    #[must_use]
    pub fn this() -> Self {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let value = |file, key| value_of(&read(file), key).unwrap_or_else(|| "unknown".to_owned());
        let kib = value("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0_u64);
        let kernel = read("/proc/sys/kernel/osrelease");
        Self {
            processor: value("/proc/cpuinfo", "model name"),
            cores: thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (kib + (1 << 19)) >> 20,
            system: value("/etc/os-release", "PRETTY_NAME"),
            // Its version is enough: what follows may name the machine's owner.
            kernel: kernel.trim().split('-').next().unwrap_or_default().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { processor, cores, memory_gib, system, kernel } = self;
        write!(f, "{processor}, {cores} cores, {memory_gib} GiB, {system}, Linux {kernel}")
    }
}

/// The value after `key`, as `key : value` or `key="value"`.
fn value_of(text: &str, key: &str) -> Option<String> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    Some(rest.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_the_forms_of_linux() {
        assert_eq!(value_of("vendor_id\t: x\nmodel name\t: EPYC 9\n", "model name").as_deref(), Some("EPYC 9"));
        assert_eq!(value_of("ID=d\nPRETTY_NAME=\"Debian 12\"\n", "PRETTY_NAME").as_deref(), Some("Debian 12"));
        assert_eq!(value_of("MemTotal:       24636508 kB\n", "MemTotal").as_deref(), Some("24636508 kB"));
        assert_eq!(value_of("nothing", "model name"), None);
    }
}
