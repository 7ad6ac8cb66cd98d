//! How much of something is held, up to a limit: for the process, whatever the number of workers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// A body or a reply is small up to here.
pub(crate) const SMALL: usize = 16 << 10;
/// The share of a limit on bytes that only small ones can take: a quarter.
const FOR_SMALL: usize = 4;

/// How much of something is held, up to a limit.
#[derive(Debug)]
pub struct Gauge {
    held: AtomicUsize,
    limit: AtomicUsize,
}

/// A part of a [`Gauge`], given back when dropped.
#[derive(Debug)]
pub struct Permit {
    gauge: Arc<Gauge>,
    amount: usize,
}

impl Gauge {
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), limit: AtomicUsize::new(limit) })
    }

    /// Another limit from now on. What is held beyond a lower one stays; nothing is added to it.
    pub fn change(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
    }

    /// Takes `amount`; `None` when the limit leaves less.
    #[must_use]
    pub fn take(self: &Arc<Self>, amount: usize) -> Option<Permit> {
        let mut permit = self.hold(0);
        permit.grow(amount).then_some(permit)
    }

    /// Takes `amount`, whatever the limit: of what is there already, and counts.
    #[must_use]
    pub fn hold(self: &Arc<Self>, amount: usize) -> Permit {
        self.held.fetch_add(amount, Relaxed);
        Permit { gauge: Arc::clone(self), amount }
    }

    /// What was `before` is `now`, whatever the limit: for whoever keeps count itself.
    pub(crate) fn shift(&self, before: usize, now: usize) {
        if now > before {
            self.held.fetch_add(now - before, Relaxed);
        } else if now < before {
            self.held.fetch_sub(before - now, Relaxed);
        }
    }

    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    #[must_use]
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }
}

impl Permit {
    #[must_use]
    pub const fn amount(&self) -> usize {
        self.amount
    }

    /// Takes `amount` more; false, and nothing taken, when the limit leaves less.
    #[must_use]
    pub fn grow(&mut self, amount: usize) -> bool {
        self.grow_leaving(0, amount)
    }

    /// The same, but leaves so much of the limit to others.
    fn grow_leaving(&mut self, spared: usize, amount: usize) -> bool {
        let held = self.gauge.held.fetch_add(amount, Relaxed);
        if held.saturating_add(amount).saturating_add(spared) > self.gauge.limit() {
            self.gauge.held.fetch_sub(amount, Relaxed);
            return false;
        }
        self.amount += amount;
        true
    }

    /// The same for a part of a body or a reply. One that is not [`SMALL`] leaves a quarter of the limit to those that are.
    #[must_use]
    pub(crate) fn grow_of(&mut self, is_large: bool, amount: usize) -> bool {
        let spared = if is_large { self.gauge.limit() / FOR_SMALL } else { 0 };
        self.grow_leaving(spared, amount)
    }

    /// Holds so much from now on, whatever the limit.
    pub fn set(&mut self, amount: usize) {
        self.gauge.shift(self.amount, amount);
        self.amount = amount;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.gauge.held.fetch_sub(self.amount, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_holds_more_than_the_limit_and_takes_back_what_is_dropped() {
        let gauge = Gauge::new(10);
        let mut first = gauge.take(6).expect("6 of 10");
        assert!(gauge.take(5).is_none());
        assert!(!first.grow_leaving(1, 4));
        assert!(first.grow(4));
        assert!(!first.grow(1));
        assert_eq!(gauge.held(), 10);
        drop(first);
        assert_eq!(gauge.held(), 0);
    }

    #[test]
    fn what_is_there_already_counts_beyond_the_limit_too() {
        let gauge = Gauge::new(10);
        let mut permit = gauge.hold(12);
        assert!(gauge.take(0).is_none());
        permit.set(4);
        assert_eq!(gauge.held(), 4);
        permit.set(11);
        assert_eq!(gauge.held(), 11);
        drop(permit);
        assert_eq!(gauge.held(), 0);
    }
}
