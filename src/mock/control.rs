//! What a running mock is told to do and what it was asked: shared by the rpc, the rules file and the control port.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};

use super::{
    Rules, RulesError,
    record::{Calls, Recorded, Recorder},
    rules,
};
use crate::base::file_watch::{Reloads, WatchedFiles, WatchedSource};

/// How often the rules file is checked: more often than a bridge's files, since a person waits for it.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Steers a mock from outside of it. Clones steer the same one.
#[derive(Debug, Clone)]
pub struct MockControl(Arc<MockShared>);

#[derive(Debug)]
struct MockShared {
    rules: RwLock<InForce>,
    recorder: Mutex<Recorder>,
}

#[derive(Debug)]
struct InForce {
    now: Arc<Rules>,
    /// From the file; what a reset goes back to.
    initial: Arc<Rules>,
}

impl MockControl {
    pub(super) fn new(rules: Rules) -> Self {
        let initial = Arc::new(rules);
        let rules = RwLock::new(InForce { now: Arc::clone(&initial), initial });
        Self(Arc::new(MockShared { rules, recorder: Mutex::default() }))
    }

    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.read().unwrap_or_else(PoisonError::into_inner).now)
    }

    /// Puts other rules in force, for calls that come from now on.
    pub fn set_rules(&self, rules: Rules) {
        self.change(|in_force| in_force.now = Arc::new(rules));
    }

    /// As at the start: the rules of the file, each sequence at its first answer, and no calls kept.
    pub fn reset(&self) {
        self.change(|in_force| {
            in_force.now = Arc::clone(&in_force.initial);
            in_force.now.restart();
        });
        self.clear_calls();
    }

    /// Keeps the last calls from now on: 10,000, or 64 MiB of them.
    pub fn keep_calls(&self) {
        self.recorder().keep();
    }

    /// The calls that were kept.
    #[must_use]
    pub fn calls(&self) -> Calls {
        self.recorder().calls()
    }

    /// Forgets the calls that were kept.
    pub fn clear_calls(&self) {
        self.recorder().clear();
    }

    /// Reads the rules file again when it changes, until what this returns is dropped. `read` is what was there when the
    /// mock was made.
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn watch(&self, path: PathBuf, read: &Arc<Rules>) -> io::Result<WatchedRules> {
        let source = RulesFile { path, control: self.clone() };
        let contents = read.text().to_owned();
        WatchedFiles::start("mock-rules", source, contents, Arc::clone(read), LOOK_EVERY).map(WatchedRules)
    }

    pub(super) fn record_to(&self, out: Box<dyn io::Write + Send>) {
        self.recorder().write_to(out);
    }

    pub(super) fn received(&self, call: &Recorded<'_>) {
        self.recorder().add(call);
    }

    fn file_changed(&self, rules: &Arc<Rules>) {
        self.change(|in_force| *in_force = InForce { now: Arc::clone(rules), initial: Arc::clone(rules) });
    }

    fn change(&self, change: impl FnOnce(&mut InForce)) {
        change(&mut self.0.rules.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.0.recorder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A rules file that is being watched.
#[derive(Debug)]
pub struct WatchedRules(WatchedFiles<Arc<Rules>>);

impl WatchedRules {
    /// How often the file was read again.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        self.0.counts().now()
    }
}

struct RulesFile {
    path: PathBuf,
    control: MockControl,
}

impl WatchedSource for RulesFile {
    type Contents = String;
    type Made = Arc<Rules>;
    type Error = RulesError;

    fn file(&self) -> Option<&Path> {
        Some(&self.path)
    }

    fn read(&self) -> Result<String, RulesError> {
        rules::read(&self.path)
    }

    fn make(&mut self, text: &String) -> Result<Arc<Rules>, RulesError> {
        Rules::parse(&self.path.display().to_string(), text).map(Arc::new)
    }

    fn taken(&mut self, made: &Arc<Arc<Rules>>) {
        self.control.file_changed(made);
        tracing::info!(file = %self.path.display(), "new rules are in use");
    }

    fn refused(&mut self, error: RulesError) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the new rules cannot be used; the previous ones stay in use"
        );
    }
}
