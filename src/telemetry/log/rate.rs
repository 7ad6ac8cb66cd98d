//! A limit on log lines: under a flood, what matters is that it is one, and how large. The next line that is written says
//! so, or where none comes, one that [`tell_of_past`] writes.

use std::{
    num::NonZeroU64,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use tokio::time::Instant;

use super::writer;

/// So many lines a second are written.
const LINES_A_SECOND: u64 = 10;

/// Not one, so that whoever sends rubbish cannot hide what ails the decision service.
pub(super) static FALLBACKS: RateLimit = RateLimit::new("fallback");
pub(super) static REJECTED: RateLimit = RateLimit::new("rejected");
pub(super) static HANDSHAKES: RateLimit = RateLimit::new("handshake");
pub(super) static DELIVERIES: RateLimit = RateLimit::new("delivery");
pub(super) static COMPARISONS: RateLimit = RateLimit::new("comparison");
const ALL: [&RateLimit; 5] = [&FALLBACKS, &REJECTED, &HANDSHAKES, &DELIVERIES, &COMPARISONS];

/// Seconds are counted from the first line.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// How many lines were suppressed before one that is written, if any.
pub(super) type Suppressed = Option<NonZeroU64>;

/// Lets some lines of each second through. Shared by all workers; may let a few more through at the turn of a second.
#[derive(Debug)]
pub(super) struct RateLimit {
    /// What the lines are about.
    of: &'static str,
    second: AtomicU64,
    lines: AtomicU64,
    suppressed: AtomicU64,
    total: AtomicU64,
}

impl RateLimit {
    const fn new(of: &'static str) -> Self {
        Self {
            of,
            second: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
            total: AtomicU64::new(0),
        }
    }

    /// `None` to suppress a line, or how many were suppressed since the last that was written.
    pub(super) fn admit(&self) -> Option<Suppressed> {
        let admitted = self.admit_in(START.elapsed().as_secs());
        if admitted.is_none() {
            writer::tell_of_suppressed();
        }
        admitted.map(NonZeroU64::new)
    }

    fn admit_in(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Relaxed) != second {
            self.lines.store(0, Relaxed);
        }
        if self.lines.fetch_add(1, Relaxed) < LINES_A_SECOND {
            return Some(self.suppressed.swap(0, Relaxed));
        }
        self.suppressed.fetch_add(1, Relaxed);
        self.total.fetch_add(1, Relaxed);
        None
    }

    /// How many were suppressed before this second. 0 while lines come, which then say so themselves.
    fn past(&self, second: u64) -> u64 {
        if self.second.load(Relaxed) == second { 0 } else { self.suppressed.swap(0, Relaxed) }
    }

    fn tell(&self, suppressed: u64) {
        if suppressed > 0 {
            tracing::warn!(of = self.of, lines_suppressed = suppressed, "log lines were suppressed");
        }
    }
}

/// How many lines of each kind were suppressed since the start.
pub(super) fn totals() -> [(&'static str, u64); ALL.len()] {
    ALL.map(|limit| (limit.of, limit.total.load(Relaxed)))
}

/// Tells of the lines that were suppressed before this second. Returns whether there are others.
pub(super) fn tell_of_past() -> bool {
    let second = START.elapsed().as_secs();
    ALL.into_iter().fold(false, |others, limit| {
        limit.tell(limit.past(second));
        others || limit.suppressed.load(Relaxed) > 0
    })
}

/// Tells of all suppressed lines, at the end of the program.
pub(super) fn tell_of_all() {
    for limit in ALL {
        limit.tell(limit.suppressed.swap(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_the_next_second_says_how_large_it_was() {
        let limit = RateLimit::new("test");
        let written = (0..100).filter_map(|_| limit.admit_in(7)).count();
        assert_eq!(written, 10);
        assert_eq!(limit.admit_in(8), Some(90));
        assert_eq!(limit.admit_in(8), Some(0));
        assert_eq!(limit.total.load(Relaxed), 90);
    }

    #[test]
    fn a_flood_after_which_no_line_comes_is_told_once_it_is_past() {
        let limit = RateLimit::new("test");
        let written = (0..100).filter_map(|_| limit.admit_in(7)).count();
        assert_eq!((written, limit.past(7)), (10, 0));
        assert_eq!(limit.past(8), 90);
        assert_eq!(limit.past(9), 0);
    }
}
