//! Files that are read again when they change: certificates and the configuration.
//!
//! What they hold is looked at every few seconds, which sees whatever way of replacing them, Kubernetes' swap of a
//! symlink included, and needs nothing of the system. A thread of its own does it: nothing else waits for a disk.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// How often files are looked at. Kubernetes itself takes up to a minute to bring a new file into a pod.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How soon files that have changed are looked at again, to see that whoever writes them is done.
const SETTLE: Duration = Duration::from_secs(1);

/// How often files were read again since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reloads {
    pub taken: u64,
    /// Bad ones, in whose place those before stay.
    pub refused: u64,
    /// Whether the last ones were bad, so that a start would fail on them.
    pub last_refused: bool,
}

/// The same as it goes on, for whoever looks at it later.
#[derive(Debug, Clone, Default)]
pub struct ReloadCounts(Arc<Mutex<Reloads>>);

impl ReloadCounts {
    #[must_use]
    pub fn now(&self) -> Reloads {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, refused: bool) {
        let mut reloads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reloads.taken += u64::from(!refused);
        reloads.refused += u64::from(refused);
        reloads.last_refused = refused;
    }
}

pub(crate) trait WatchedSource: Send + 'static {
    type Contents: PartialEq + Send;
    type Made: Send + Sync + 'static;
    type Error;

    /// For the thread's name and for logs: the one that says which they are. `None`: there is none, and nothing to be
    /// watched.
    fn file(&self) -> Option<&Path>;

    fn read(&self) -> Result<Self::Contents, Self::Error>;

    fn make(&mut self, contents: &Self::Contents) -> Result<Self::Made, Self::Error>;

    /// Called when this is in use.
    fn taken(&mut self, made: &Arc<Self::Made>);

    /// Called when what is there cannot be used, and what was before stays.
    fn refused(&mut self, error: Self::Error);
}

/// What was made from files, and is made anew when they change.
#[derive(Debug)]
pub(crate) struct WatchedFiles<M> {
    current: Arc<Current<M>>,
    counts: ReloadCounts,
    /// Tells the thread that watches the files to look now; dropped, it ends it.
    look: Option<Sender<()>>,
}

#[derive(Debug)]
pub(crate) struct Current<M>(RwLock<Arc<M>>);

impl<M> Current<M> {
    pub(crate) fn get(&self) -> Arc<M> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<M: Send + Sync + 'static> WatchedFiles<M> {
    /// Watches the files from now on, of whose `contents` this was `made`.
    pub(crate) fn start<S: WatchedSource<Made = M>>(
        name: &str,
        source: S,
        contents: S::Contents,
        made: M,
        look_every: Duration,
    ) -> io::Result<Self> {
        let current = Arc::new(Current(RwLock::new(Arc::new(made))));
        let counts = ReloadCounts::default();
        if source.file().is_none() {
            return Ok(Self { current, counts, look: None });
        }
        let (look, told) = mpsc::channel();
        let (in_use, counted) = (Arc::clone(&current), counts.clone());
        let mut watch = FileWatch { source, seen: Some(contents), settled: true, current: in_use, counts: counted };
        let watching = move || {
            loop {
                let pause = if watch.settled { look_every } else { look_every.min(SETTLE) };
                match told.recv_timeout(pause) {
                    Ok(()) => watch.look(true),
                    Err(RecvTimeoutError::Timeout) => watch.look(false),
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        };
        thread::Builder::new().name(name.to_owned()).spawn(watching)?;
        Ok(Self { current, counts, look: Some(look) })
    }

    pub(crate) fn current(&self) -> &Arc<Current<M>> {
        &self.current
    }

    pub(crate) fn counts(&self) -> &ReloadCounts {
        &self.counts
    }

    /// Has the files read and used now, changed or not. False when there are none.
    pub(crate) fn look_now(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.send(()).is_ok())
    }
}

/// What the thread that watches the files knows.
struct FileWatch<S: WatchedSource> {
    source: S,
    /// At the look before; `None` when they could not be read.
    seen: Option<S::Contents>,
    /// Whether that has been used, or refused.
    settled: bool,
    current: Arc<Current<S::Made>>,
    counts: ReloadCounts,
}

impl<S: WatchedSource> FileWatch<S> {
    /// What has changed is used, or refused, when it is still the same at the next look, or at once when that is asked
    /// for: before, a file may be half written, or only one of several replaced.
    fn look(&mut self, now: bool) {
        let found = self.source.read();
        let same = found.as_ref().ok() == self.seen.as_ref();
        if same && self.settled && !now {
            return;
        }
        self.settled = same || now;
        let made = match found {
            Ok(contents) => {
                let made = self.settled.then(|| self.source.make(&contents));
                self.seen = Some(contents);
                made
            }
            Err(unreadable) => {
                self.seen = None;
                self.settled.then_some(Err(unreadable))
            }
        };
        match made {
            Some(Ok(made)) => {
                let made = Arc::new(made);
                *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&made);
                self.source.taken(&made);
                self.counts.count(false);
            }
            Some(Err(error)) => {
                self.source.refused(error);
                self.counts.count(true);
            }
            None => {}
        }
    }
}
