//! How much the process holds at most, whatever the number of workers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::settings::BridgeLimits;

#[derive(Debug)]
pub struct SharedLimits {
    pub body_bytes: Arc<Gauge>,
    pub in_flight: Arc<Gauge>,
}

impl SharedLimits {
    /// None of either held yet.
    #[must_use]
    pub fn new(limits: &BridgeLimits) -> Arc<Self> {
        Arc::new(Self {
            body_bytes: Gauge::new(limits.body_bytes.get()),
            in_flight: Gauge::new(limits.in_flight.get()),
        })
    }

    /// Other limits from now on.
    pub fn change(&self, limits: &BridgeLimits) {
        self.body_bytes.change(limits.body_bytes.get());
        self.in_flight.change(limits.in_flight.get());
    }
}

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
        let mut permit = Permit { gauge: Arc::clone(self), amount: 0 };
        permit.grow(amount).then_some(permit)
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
    /// Takes `amount` more; false, and nothing taken, when the limit leaves less.
    #[must_use]
    pub fn grow(&mut self, amount: usize) -> bool {
        let held = self.gauge.held.fetch_add(amount, Relaxed);
        if held.saturating_add(amount) > self.gauge.limit.load(Relaxed) {
            self.gauge.held.fetch_sub(amount, Relaxed);
            return false;
        }
        self.amount += amount;
        true
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
        assert!(first.grow(4));
        assert!(!first.grow(1));
        assert_eq!(gauge.held(), 10);
        drop(first);
        assert_eq!(gauge.held(), 0);
    }
}
