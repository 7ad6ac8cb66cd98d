//! The configuration in force, which is read again when its files change, or at once when it is told to (SIGHUP). Both are
//! one path: the same file, variables and flags as at the start, read and checked whole. What is wrong changes nothing.
//!
//! `raw` defines which settings can change at run time; the others keep their value, and
//! the log says that they need a restart.
//!
//! Called by `cli`. Logs, and never prints.

use std::{io, path::Path, sync::Arc};

use super::error::ConfigError;
use super::load::{Loaded, Reloaded, Sources};
use crate::base::file_watch::{LOOK_EVERY, ReloadCounts, WatchedFiles, WatchedSource};
use crate::telemetry::log;

/// The configuration in force. Dropped, it ends the thread that watches its files.
#[derive(Debug)]
pub struct Configuration(WatchedFiles<Reloaded>);

impl Configuration {
    /// Watches the files of `sources` from now on, of which this was `loaded`. When they were read
    /// again and were right, `changed` is called with what came of it, on a thread of its own.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn watch(
        sources: Sources,
        loaded: Loaded,
        changed: impl FnMut(&Reloaded) + Send + 'static,
    ) -> io::Result<Self> {
        let contents = ConfigurationContents(Ok(loaded.clone()));
        let in_force = Reloaded { loaded, changed: vec![], needs_restart: vec![] };
        let files = ConfigurationFiles { sources, in_force: in_force.loaded.clone(), changed };
        WatchedFiles::start("configuration", files, contents, in_force, LOOK_EVERY).map(Self)
    }

    /// Reads everything again, changed or not, and soon. False when no file is named: flags and variables stay as they are
    /// for as long as the process runs.
    #[must_use]
    pub fn reload(&self) -> bool {
        self.0.look_now()
    }

    /// What is in force, with what the last change was and what waits for a restart.
    #[must_use]
    pub fn in_force(&self) -> Arc<Reloaded> {
        self.0.current().get()
    }

    /// How often it was read again, as it goes on.
    #[must_use]
    pub fn counts(&self) -> ReloadCounts {
        self.0.counts().clone()
    }
}

/// All that a configuration is read from.
struct ConfigurationFiles<F> {
    sources: Sources,
    in_force: Loaded,
    changed: F,
}

/// What a look found. Only what it says counts, not how: a comment is no change.
struct ConfigurationContents(Result<Loaded, ConfigError>);

impl PartialEq for ConfigurationContents {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Ok(own), Ok(others)) => own.is_as(others),
            (Err(own), Err(others)) => own.to_string() == others.to_string(),
            _ => false,
        }
    }
}

/// Everything that is wrong with the new configuration, in one line.
struct Wrong(String);

impl From<&ConfigError> for Wrong {
    fn from(error: &ConfigError) -> Self {
        let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
        Self(problems.join("; "))
    }
}

impl<F: FnMut(&Reloaded) + Send + 'static> WatchedSource for ConfigurationFiles<F> {
    type Contents = ConfigurationContents;
    type Made = Reloaded;
    type Error = Wrong;

    fn file(&self) -> Option<&Path> {
        self.sources.file.as_deref().or_else(|| self.in_force.files_beside().next())
    }

    fn read(&self) -> Result<ConfigurationContents, Wrong> {
        Ok(ConfigurationContents(self.sources.load()))
    }

    fn make(&mut self, contents: &ConfigurationContents) -> Result<Reloaded, Wrong> {
        let found = contents.0.as_ref().map_err(Wrong::from)?;
        self.in_force.reload(found).map_err(|error| Wrong::from(&error))
    }

    fn taken(&mut self, made: &Arc<Reloaded>) {
        self.in_force.clone_from(&made.loaded);
        // A level that was set by hand stays, unless the configuration itself says another.
        if made.changed.contains(&"log.level") {
            log::set_level(made.loaded.settings.bridge.log.level);
        }
        (self.changed)(made);
        if made.changed.is_empty() {
            tracing::info!("the configuration was reloaded: no setting that applies at run time has changed");
        } else {
            tracing::info!("the configuration was reloaded; changed: {}", made.changed.join(", "));
        }
        if !made.needs_restart.is_empty() {
            tracing::warn!("these changes need a restart: {}", made.needs_restart.join(", "));
        }
    }

    fn refused(&mut self, Wrong(error): Wrong) {
        tracing::error!(error, "the new configuration is wrong; the previous one stays in effect");
    }
}
