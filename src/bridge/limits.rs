//! How much the process holds at most, whatever the number of workers.
//!
//! What a callback holds is counted from the first byte of its body until its answer has been taken or dropped. A body is
//! counted twice: it is there beside the question that is made of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::Waker,
};

use super::settings::BridgeLimits;
use crate::base::memory::{Gauge, Permit, SMALL};

/// What a callback holds beside its bytes.
const CALLBACK: usize = 2 << 10;

#[derive(Debug)]
pub struct SharedLimits {
    pub body_bytes: Arc<Gauge>,
    pub in_flight: Arc<Gauge>,
    unfinished: Unfinished,
}

impl SharedLimits {
    /// None of either held yet.
    #[must_use]
    pub fn new(limits: &BridgeLimits) -> Arc<Self> {
        Arc::new(Self {
            body_bytes: Gauge::new(limits.body_bytes.get()),
            in_flight: Gauge::new(limits.in_flight.get()),
            unfinished: Unfinished::default(),
        })
    }

    /// Other limits from now on.
    pub fn change(&self, limits: &BridgeLimits) {
        self.body_bytes.change(limits.body_bytes.get());
        self.in_flight.change(limits.in_flight.get());
    }

    /// What an answer of so many bytes holds, where nothing is held for its callback.
    pub(super) fn answer(&self, bytes: usize) -> Held {
        Held(self.body_bytes.hold(CALLBACK + bytes))
    }
}

/// What one callback holds of `limits.body_bytes`, given back when dropped.
#[derive(Debug)]
pub struct Held(Permit);

impl Held {
    /// All that is left of the callback is an answer of so many bytes.
    pub(super) fn answered(&mut self, bytes: usize) {
        self.0.set(CALLBACK + bytes);
    }
}

/// The bodies that are not there whole and are waited for, in the order in which that began.
#[derive(Debug, Default)]
struct Unfinished {
    waiting: Mutex<BTreeMap<u64, Waiting>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Waiting {
    permit: Permit,
    is_large: bool,
    task: Waker,
}

impl Unfinished {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up the one that has waited longest, of those that are large or of all. Its bytes count no more, and its task
    /// is told. False where there is none, or none that has waited longer than `own`.
    fn give_up_oldest(&self, own: Option<u64>, large_only: bool) -> bool {
        let mut waiting = self.waiting();
        let oldest = waiting.iter().find(|(_, waiting)| waiting.is_large || !large_only).map(|(number, _)| *number);
        let Some(given_up) = oldest.filter(|oldest| own.is_none_or(|own| *oldest < own)) else { return false };
        if let Some(given_up) = waiting.remove(&given_up) {
            given_up.task.wake();
        }
        true
    }
}

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    limits: &'a SharedLimits,
    /// `None` while it is waited for: then it is in the list, where it can be given up.
    permit: Option<Permit>,
    is_large: bool,
    beside: usize,
    /// Its place in the list, once it has been waited for.
    number: Option<u64>,
}

/// The body is not to be read any further: the bytes are needed for others.
#[derive(Debug)]
pub(super) struct GivenUp;

impl<'a> Reading<'a> {
    /// Of a body with this announced length, with which so many others are held.
    pub(super) fn begin(limits: &'a SharedLimits, expected: usize, beside: usize) -> Self {
        Self { limits, beside, permit: Some(limits.body_bytes.hold(0)), is_large: expected > SMALL, number: None }
    }

    /// From now on it holds so many bytes. When all that there may be is held, the unfinished body that has waited longest
    /// is given up: this one, if it is that.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), GivenUp> {
        let permit = self.permit.as_mut().ok_or(GivenUp)?;
        self.is_large |= bytes > SMALL;
        let more = (CALLBACK + self.beside + 2 * bytes).saturating_sub(permit.amount());
        while !permit.grow_of(self.is_large, more) {
            if !self.limits.unfinished.give_up_oldest(self.number, self.is_large) {
                return Err(GivenUp);
            }
        }
        Ok(())
    }

    /// More of it is waited for, by this task, which is woken if the body is given up meanwhile.
    pub(super) fn wait(&mut self, task: &Waker) {
        if let Some(permit) = self.permit.take() {
            let number = *self.number.get_or_insert_with(|| self.limits.unfinished.next.fetch_add(1, Relaxed));
            let waiting = Waiting { permit, is_large: self.is_large, task: task.clone() };
            self.limits.unfinished.waiting().insert(number, waiting);
        }
    }

    /// It is checked again: there may be more of it.
    pub(super) fn resume(&mut self) -> Result<(), GivenUp> {
        if self.permit.is_none() {
            let waited = self.number.and_then(|number| self.limits.unfinished.waiting().remove(&number));
            self.permit = Some(waited.ok_or(GivenUp)?.permit);
        }
        Ok(())
    }

    /// The body is there whole.
    pub(super) fn done(mut self) -> Result<Held, GivenUp> {
        self.permit.take().map(Held).ok_or(GivenUp)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        if let (None, Some(number)) = (&self.permit, self.number) {
            self.limits.unfinished.waiting().remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    const MIB: usize = 1 << 20;

    fn limits(bytes: usize) -> Arc<SharedLimits> {
        let body_bytes = NonZeroUsize::new(bytes).expect("not zero");
        SharedLimits::new(&BridgeLimits { body_bytes, ..BridgeLimits::default() })
    }

    fn waiting(limits: &SharedLimits, bytes: usize) -> Reading<'_> {
        let mut reading = Reading::begin(limits, bytes, 0);
        reading.hold(bytes).expect("room");
        reading.wait(Waker::noop());
        reading
    }

    #[test]
    fn a_body_is_counted_twice_until_its_answer_is_gone() {
        let limits = limits(10 * MIB);
        let mut reading = Reading::begin(&limits, 0, 0);
        reading.hold(1000).expect("room");
        let mut held = reading.done().expect("whole");
        assert_eq!(limits.body_bytes.held(), CALLBACK + 2000);
        held.answered(300);
        assert_eq!(limits.body_bytes.held(), CALLBACK + 300);
        drop(held);
        assert_eq!(limits.body_bytes.held(), 0);
    }

    #[test]
    fn the_large_body_that_has_waited_longest_makes_room() {
        let limits = limits(8 * MIB);
        // Three quarters, but for what a callback holds beside its bytes.
        let [mut first, mut second] = [waiting(&limits, MIB), waiting(&limits, MIB)];
        let mut third = waiting(&limits, MIB - 100_000);
        let mut fourth = Reading::begin(&limits, MIB, 0);
        fourth.hold(MIB).expect("the first makes room");
        assert!(first.resume().is_err());
        drop(first);
        assert!(second.resume().is_ok() && third.resume().is_ok());
        // Neither has waited, nor is it waited for; nobody can be given up but the one that asks.
        assert!(second.hold(2 * MIB).is_err());
        drop((second, third, fourth));
        assert_eq!(limits.body_bytes.held(), 0);
    }

    #[test]
    fn the_one_that_has_waited_longest_gives_up_itself() {
        let limits = limits(8 * MIB);
        let mut first = waiting(&limits, MIB);
        let mut second = waiting(&limits, MIB);
        first.resume().expect("not given up");
        assert!(first.hold(3 * MIB).is_err());
        drop(first);
        second.resume().expect("not given up");
        second.hold(2 * MIB).expect("room");
    }

    #[test]
    fn small_bodies_have_a_share_that_large_ones_cannot_take() {
        let limits = limits(MIB);
        let large: Vec<_> = (0..20).map(|_| waiting(&limits, 100_000)).collect();
        assert!(limits.body_bytes.held() <= MIB / 4 * 3);
        let small: Vec<_> = (0..50).map(|_| waiting(&limits, 1000)).collect();
        let gone = large.into_iter().filter_map(|mut reading| reading.resume().err()).count();
        assert_eq!(gone, 17, "each large one of a large one's");
        assert!(small.into_iter().all(|mut reading| reading.resume().is_ok()));
    }

    #[test]
    fn what_is_not_read_any_more_is_not_held() {
        let limits = limits(MIB);
        drop(waiting(&limits, 1000));
        assert_eq!(limits.body_bytes.held(), 0);
        assert!(limits.unfinished.waiting().is_empty());
    }
}
