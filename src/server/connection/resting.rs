//! Which of a worker's idle HTTP/1.1 connections rest: they hold no buffers and no state of HTTP until there is something to
//! be read again.
//!
//! To rest after each request would cost each one some percent. So up to [`AWAKE`] connections stay as they are, and beyond
//! that number the clock algorithm finds others that have been idle for long, for each one that wakes up: its hand goes round,
//! and a connection that it passes for the second time since its last request rests. No request pays for it.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    task::Waker,
};

use slab::Slab;

use super::watched::ConnectionWatch;

/// How many connections of one worker may stay awake while they are idle. 3 MB.
const AWAKE: usize = 256;
/// How many connections the hand passes over, at most, for one that wakes up.
const PASSES: usize = 16;

/// A worker's connections that are awake.
#[derive(Debug, Default)]
pub(in crate::server) struct Awake {
    connections: RefCell<Slab<(Waker, Rc<ConnectionWatch>)>>,
    hand: Cell<usize>,
}

/// One that is awake, until this is dropped.
#[derive(Debug)]
pub(super) struct AwakePlace<'a> {
    awake: &'a Awake,
    place: usize,
}

impl Awake {
    /// A connection wakes up, and may have to rest when it is idle. Then `task` is woken to find that its watch says so.
    pub(super) fn enter(&self, task: Waker, watch: &Rc<ConnectionWatch>) -> AwakePlace<'_> {
        let mut connections = self.connections.borrow_mut();
        let place = connections.insert((task, Rc::clone(watch)));
        if connections.len() > AWAKE {
            // Two for one, so that their number falls to where it is to be.
            (0..PASSES).filter_map(|_| self.pass(&connections)).take(2).for_each(Waker::wake_by_ref);
        }
        AwakePlace { awake: self, place }
    }

    /// The hand goes on by one place. Returns the task of a connection that is to rest.
    fn pass<'a>(&self, connections: &'a Slab<(Waker, Rc<ConnectionWatch>)>) -> Option<&'a Waker> {
        let at = self.hand.get();
        self.hand.set(if at + 1 < connections.capacity() { at + 1 } else { 0 });
        let (task, watch) = connections.get(at)?;
        watch.pass().then_some(task)
    }
}

impl Drop for AwakePlace<'_> {
    fn drop(&mut self) {
        drop(self.awake.connections.borrow_mut().remove(self.place));
    }
}
