//! A limit on log lines: under a flood, what matters is that it is one, and how large.

use std::sync::{
    LazyLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use tokio::time::Instant;

/// So many lines a second are written.
const LINES_A_SECOND: u64 = 10;

/// Seconds are counted from the first line.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Lets some lines of each second through. Shared by all workers; may let a few more through at the turn of a second.
#[derive(Debug)]
pub(super) struct RateLimit {
    second: AtomicU64,
    lines: AtomicU64,
    left_out: AtomicU64,
}

impl RateLimit {
    pub(super) const fn new() -> Self {
        Self { second: AtomicU64::new(0), lines: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }

    /// `None` to leave a line out, or how many have been left out since the last that was written.
    pub(super) fn admit(&self) -> Option<u64> {
        self.admit_in(START.elapsed().as_secs())
    }

    fn admit_in(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Relaxed) != second {
            self.lines.store(0, Relaxed);
        }
        if self.lines.fetch_add(1, Relaxed) < LINES_A_SECOND {
            return Some(self.left_out.swap(0, Relaxed));
        }
        self.left_out.fetch_add(1, Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_next_second_says_how_large_it_was() {
        let limit = RateLimit::new();
        let written = (0..100).filter_map(|_| limit.admit_in(7)).count();
        assert_eq!(written, 10);
        assert_eq!(limit.admit_in(8), Some(90));
        assert_eq!(limit.admit_in(8), Some(0));
    }
}
