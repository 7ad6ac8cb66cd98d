//! What was counted when, for the status page's last minute and last 15 minutes: a copy of the counters every
//! [`EVERY`], made on the thread of the listener for operators. Callbacks do nothing for it.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use super::counts::CallbackCounts;

/// How often the counters are copied; so exact is the last minute.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct History {
    minute: Window,
    quarter: Window,
}

#[derive(Debug)]
struct Window {
    length: Duration,
    /// The least time between two copies.
    pause: Duration,
    /// The oldest first. All but one are younger than the window is long.
    copies: VecDeque<(Instant, CallbackCounts)>,
}

impl History {
    /// Begins with nothing counted.
    pub(super) fn new(now: Instant) -> Self {
        let window = |length, pause| Window {
            length: Duration::from_secs(length),
            pause: Duration::from_secs(pause),
            copies: VecDeque::from([(now, CallbackCounts::default())]),
        };
        Self { minute: window(60, 0), quarter: window(15 * 60, 29) }
    }

    pub(super) fn keep(&mut self, now: Instant, counts: &CallbackCounts) {
        self.minute.keep(now, counts);
        self.quarter.keep(now, counts);
    }

    /// Of what was counted until now, that of the last minute, of the last 15 minutes, and all.
    pub(super) fn windows(&self, now: Instant, counts: CallbackCounts) -> [CallbackCounts; 3] {
        [self.minute.of(now, &counts), self.quarter.of(now, &counts), counts]
    }
}

impl Window {
    fn keep(&mut self, now: Instant, counts: &CallbackCounts) {
        if self.copies.back().is_some_and(|(at, _)| now - *at < self.pause) {
            return;
        }
        self.copies.push_back((now, counts.clone()));
        while self.copies.get(1).is_some_and(|(at, _)| now - *at >= self.length) {
            self.copies.pop_front();
        }
    }

    fn of(&self, now: Instant, counts: &CallbackCounts) -> CallbackCounts {
        let before = self.copies.iter().rfind(|(at, _)| now - *at >= self.length).or(self.copies.front());
        before.map_or_else(CallbackCounts::default, |(_, before)| counts.since(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(retries: u64) -> CallbackCounts {
        CallbackCounts { retries, ..CallbackCounts::default() }
    }

    #[test]
    fn a_window_forgets_what_is_older() {
        let mut now = Instant::now();
        let mut history = History::new(now);
        let of = |history: &History, now, counted| history.windows(now, retries(counted)).map(|counts| counts.retries);
        assert_eq!(of(&history, now, 3), [3, 3, 3]);
        // One between two copies, for half an hour.
        for counted in 1..=360 {
            now += EVERY;
            history.keep(now, &retries(counted));
        }
        assert_eq!(of(&history, now, 360), [12, 180, 360]);
        assert_eq!(of(&history, now + EVERY / 2, 361), [13, 181, 361]);
        // And no more is held than that takes.
        assert_eq!((history.minute.copies.len(), history.quarter.copies.len()), (13, 31));
    }
}
