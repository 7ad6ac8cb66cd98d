//! Short work beside other work: one of tokio's tasks for all of it.
//!
//! A task of tokio's own is aligned to 128 bytes. glibc keeps such blocks when they are freed, but gives out none of them
//! again: with one for each delivery a process grew by megabytes.

use std::{future::poll_fn, panic::AssertUnwindSafe, task::Poll, thread::Result};

use futures_util::{
    future::{FutureExt as _, LocalBoxFuture},
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::{sync::mpsc, task::unconstrained};

/// Runs what it is given on the thread that started it, each when it is woken. One that panics ends alone.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    begun: mpsc::UnboundedSender<LocalBoxFuture<'static, Result<()>>>,
}

impl Tasks {
    /// Must be called in a runtime of one thread. It runs until all clones are dropped, and all that they were given has
    /// ended.
    pub(crate) fn start() -> Self {
        let (begun, mut beginning) = mpsc::unbounded_channel();
        let mut running = FuturesUnordered::new();
        tokio::task::spawn_local(poll_fn(move |context| {
            let is_closed = loop {
                match beginning.poll_recv(context) {
                    Poll::Ready(Some(task)) => running.push(task),
                    Poll::Ready(None) => break true,
                    Poll::Pending => break false,
                }
            };
            while let Poll::Ready(Some(_ended)) = running.poll_next_unpin(context) {}
            if is_closed && running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        }));
        Self { begun }
    }

    /// Bounds how many there are: that is for whoever calls it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        // What one of tokio's tasks may do at a time would be shared by all.
        let task = Box::pin(unconstrained(AssertUnwindSafe(task).catch_unwind()));
        // Fails only as the runtime ends.
        let _sent = self.begun.send(task);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use tokio::{
        sync::Notify,
        task::{LocalSet, yield_now},
    };

    use super::*;

    /// Lets the others run.
    async fn turns() {
        for _ in 0..1000 {
            yield_now().await;
        }
    }

    #[tokio::test]
    async fn each_runs_when_it_is_woken_and_one_that_panics_ends_alone() {
        LocalSet::new()
            .run_until(async {
                let (tasks, ended, rung) = (Tasks::start(), Rc::<Cell<u32>>::default(), Rc::<Notify>::default());
                for number in 0..1000 {
                    let (ended, rung) = (Rc::clone(&ended), Rc::clone(&rung));
                    tasks.spawn(async move {
                        rung.notified().await;
                        assert!(number % 10 != 0, "one in ten panics");
                        ended.set(ended.get() + 1);
                    });
                }
                turns().await;
                assert_eq!(ended.get(), 0);
                // Those that have begun go on without it.
                drop(tasks);
                rung.notify_waiters();
                turns().await;
                assert_eq!(ended.get(), 900);
                assert_eq!(Rc::strong_count(&ended), 1);
            })
            .await;
    }
}
