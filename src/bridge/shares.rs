//! One budget for the process: what its limit on memory leaves for each thing that is held for others.

use std::sync::OnceLock;

use crate::base::cgroup;

const MIB: usize = 1 << 20;
/// What the program itself needs: code, the metrics, the connections to the decision service, what is held for the length
/// of one turn.
const PROGRAM: usize = 16 * MIB;
/// The most that after callbacks get unless somebody says otherwise.
const MOST_QUEUED: usize = 16 * MIB;
/// More than this no bridge needs for callbacks.
const MOST_FOR_CALLBACKS: usize = 1024 * MIB;
/// With hardly any memory, a callback and a connection are still tried.
const LEAST: usize = MIB;

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// The limit on the process's memory, less what the program needs. `None`: there is none.
    pub budget: Option<usize>,
    /// For callbacks that are read, asked or answered.
    pub callbacks: usize,
    /// For after callbacks that wait to be delivered.
    pub queue: usize,
}

impl Shares {
    /// By the limit of the cgroup that the process was in when it was first asked.
    #[must_use]
    pub fn of_process() -> Self {
        static SHARES: OnceLock<Shares> = OnceLock::new();
        *SHARES.get_or_init(|| Self::of(cgroup::memory_limit()))
    }

    fn of(limit: Option<u64>) -> Self {
        let Some(limit) = limit else {
            return Self { budget: None, callbacks: 64 * MIB, queue: MOST_QUEUED };
        };
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let budget = limit.saturating_sub(PROGRAM).max(4 * LEAST);
        Self {
            budget: Some(budget),
            callbacks: (budget / 2).min(MOST_FOR_CALLBACKS),
            queue: (budget / 4).min(MOST_QUEUED),
        }
    }

    /// What the others leave for connections, but no less than an eighth of all.
    #[must_use]
    pub fn for_connections(&self, callbacks: usize, queue: usize) -> usize {
        self.budget.map_or(usize::MAX, |budget| budget.saturating_sub(callbacks.saturating_add(queue)).max(budget / 8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_for_callbacks_a_quarter_for_the_queue_and_the_rest_for_connections() {
        let shares = |mib: u64| {
            let shares = Shares::of(Some(mib << 20));
            let connections = shares.for_connections(shares.callbacks, shares.queue);
            [shares.callbacks, shares.queue, connections].map(|bytes| bytes / MIB)
        };
        assert_eq!(shares(64), [24, 12, 12]);
        assert_eq!(shares(128), [56, 16, 40]);
        assert_eq!(shares(1040), [512, 16, 496]);
        assert_eq!(shares(8), [2, 1, 1], "more than there is, and something works");
    }

    #[test]
    fn what_is_configured_leaves_less_for_connections_but_never_nothing() {
        let shares = Shares::of(Some(80 << 20));
        assert_eq!(shares.for_connections(32 * MIB, 16 * MIB), 16 * MIB);
        assert_eq!(shares.for_connections(640 * MIB, usize::MAX), 8 * MIB);
        assert_eq!(Shares::of(None).for_connections(MIB, MIB), usize::MAX);
    }
}
