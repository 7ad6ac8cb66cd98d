//! Tells many tasks of one thread at once. They hear it without having listened at each turn: every connection waits to be
//! told of a drain for as long as it is there, and none of its requests is to pay for that.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    pin::Pin,
    task::{Poll, Waker},
};

use slab::Slab;

#[derive(Debug, Default)]
pub(super) struct Bell {
    has_rung: Cell<bool>,
    listening: RefCell<Slab<Waker>>,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.has_rung.set(true);
        self.listening.borrow().iter().for_each(|(_, task)| task.wake_by_ref());
    }

    /// What comes of `future`; `None` when the bell rings first, or has rung and `future` is still pending. The task that
    /// awaits this must be the one that first did.
    pub(super) async fn or<F: Future + Unpin>(&self, future: &mut F) -> Option<F::Output> {
        let task = this_task().await;
        let place = self.listening.borrow_mut().insert(task);
        let _listening = scopeguard::guard(place, |place| drop(self.listening.borrow_mut().remove(place)));
        poll_fn(|context| match Pin::new(&mut *future).poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if self.has_rung.get() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

/// What wakes the task that awaits this.
pub(super) async fn this_task() -> Waker {
    poll_fn(|context| Poll::Ready(context.waker().clone())).await
}

#[cfg(test)]
mod tests {
    use std::{future::pending, rc::Rc};

    use super::*;

    #[tokio::test(flavor = "local")]
    async fn all_that_listen_hear_it_and_so_does_who_comes_late() {
        let bell = Rc::<Bell>::default();
        let listen = || {
            let bell = Rc::clone(&bell);
            tokio::task::spawn_local(async move { bell.or(&mut pending::<()>()).await })
        };
        let early = [listen(), listen()];
        tokio::task::yield_now().await;
        assert_eq!(bell.listening.borrow().len(), 2);
        bell.ring();
        for task in early.into_iter().chain([listen()]) {
            assert_eq!(task.await.expect("no panic"), None);
        }
        assert!(bell.listening.borrow().is_empty());
    }

    #[tokio::test(flavor = "local")]
    async fn what_is_done_first_counts() {
        let bell = Bell::default();
        assert_eq!(bell.or(&mut std::future::ready(7)).await, Some(7));
        bell.ring();
        assert_eq!(bell.or(&mut std::future::ready(7)).await, Some(7));
    }
}
