//! What is made of PEM files, and made again when they change (see [`crate::base::file_watch`]).

use std::{path::Path, sync::Arc, time::Duration};

use rustls::pki_types::UnixTime;

use super::pem::TlsError;
use super::validity::{Untimely, When};
use crate::base::file_watch::{self, Current, Reloads};

/// Files that something is made of.
pub(crate) trait Source: Send + 'static {
    type Contents: PartialEq + Send;
    type Made: Send + Sync + 'static;

    fn read(&self) -> Result<Self::Contents, TlsError>;

    fn make(&self, contents: &Self::Contents) -> Result<Self::Made, TlsError>;

    /// Which of its certificates are not valid at this time, or soon will not be.
    fn untimely(&self, contents: &Self::Contents, now: UnixTime) -> Vec<Untimely>;

    /// For logs: the one that says which they are. `None`: there is none, and nothing to be watched.
    fn file(&self) -> Option<&Path>;
}

/// Reads the files, and makes of them what would be used. What is untimely is no error, but where the time is over.
pub(crate) fn inspect(source: &impl Source) -> Result<Vec<Untimely>, TlsError> {
    make_timely(source, &source.read()?).map(|(_, untimely)| untimely)
}

/// What has expired is as bad as what cannot be read.
fn make_timely<S: Source>(source: &S, contents: &S::Contents) -> Result<(S::Made, Vec<Untimely>), TlsError> {
    let made = source.make(contents)?;
    let untimely = source.untimely(contents, UnixTime::now());
    match untimely.iter().find(|untimely| matches!(untimely.when, When::Expired(_))) {
        Some(expired) => Err(TlsError::Expired(expired.clone())),
        None => Ok((made, untimely)),
    }
}

/// What was made of files, made again when they change.
#[derive(Debug)]
pub(crate) struct Watched<M> {
    files: file_watch::Watched<M>,
    /// At the start.
    untimely: Vec<Untimely>,
}

impl<M: Send + Sync + 'static> Watched<M> {
    /// Reads the files, and watches them from now on. What has expired is used all the same: there is nothing better.
    pub(crate) fn start(source: impl Source<Made = M>, look_every: Duration) -> Result<Self, TlsError> {
        let contents = source.read()?;
        let untimely = source.untimely(&contents, UnixTime::now());
        let made = source.make(&contents)?;
        let source = Certificates { source, untimely: vec![] };
        let files = file_watch::Watched::start("tls-files", source, contents, made, look_every);
        Ok(Self { files: files.map_err(TlsError::Thread)?, untimely })
    }

    /// Logs which certificates were not valid at the start, or soon would not be.
    pub(crate) fn tell_untimely(&self) {
        tell(&self.untimely);
    }

    pub(crate) fn current(&self) -> &Arc<Current<M>> {
        self.files.current()
    }

    pub(crate) fn reloads(&self) -> Reloads {
        self.files.counts().now()
    }
}

fn tell(untimely: &[Untimely]) {
    for untimely in untimely {
        tracing::warn!("{untimely}");
    }
}

/// A source as it is watched, with what was untimely in what was made last.
struct Certificates<S> {
    source: S,
    untimely: Vec<Untimely>,
}

impl<S: Source> file_watch::Source for Certificates<S> {
    type Contents = S::Contents;
    type Made = S::Made;
    type Error = TlsError;

    fn file(&self) -> Option<&Path> {
        self.source.file()
    }

    fn read(&self) -> Result<S::Contents, TlsError> {
        self.source.read()
    }

    fn make(&mut self, contents: &S::Contents) -> Result<S::Made, TlsError> {
        let (made, untimely) = make_timely(&self.source, contents)?;
        self.untimely = untimely;
        Ok(made)
    }

    fn taken(&mut self, _: &Arc<S::Made>) {
        tell(&self.untimely);
        let file = self.source.file().map(|path| tracing::field::display(path.display()));
        tracing::info!(file, "a new certificate is in use");
    }

    fn refused(&mut self, error: TlsError) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the new certificate cannot be used; the one before stays in use"
        );
    }
}
