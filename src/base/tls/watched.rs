//! PEM files that something is made of, again when they change (see [`crate::base::file_watch`]).

use std::{path::Path, sync::Arc, time::Duration};

use rustls::pki_types::UnixTime;

use super::pem::TlsError;
use super::validity::{Untimeliness, Untimely};
use crate::base::file_watch::{WatchedFiles, WatchedSource};

/// PEM files that something is made of.
pub(crate) trait TlsFiles: Send + 'static {
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
pub(crate) fn inspect(files: &impl TlsFiles) -> Result<Vec<Untimely>, TlsError> {
    make_timely(files, &files.read()?).map(|(_, untimely)| untimely)
}

/// Reads the files, and watches them from now on. An expired certificate is still used: there is nothing better. The caller
/// should [`tell`] of what is untimely.
pub(crate) fn watch<F: TlsFiles>(
    files: F,
    look_every: Duration,
) -> Result<(WatchedFiles<F::Made>, Vec<Untimely>), TlsError> {
    let contents = files.read()?;
    let untimely = files.untimely(&contents, UnixTime::now());
    let made = files.make(&contents)?;
    let watched = WatchedFiles::start("tls-files", files, contents, made, look_every);
    Ok((watched.map_err(TlsError::Thread)?, untimely))
}

/// Logs which certificates are not valid now, or soon will not be.
pub(crate) fn tell(untimely: &[Untimely]) {
    for untimely in untimely {
        tracing::warn!("{untimely}");
    }
}

/// What has expired is as bad as what cannot be read.
fn make_timely<F: TlsFiles>(files: &F, contents: &F::Contents) -> Result<(F::Made, Vec<Untimely>), TlsError> {
    let made = files.make(contents)?;
    let untimely = files.untimely(contents, UnixTime::now());
    match untimely.iter().find(|untimely| matches!(untimely.when, Untimeliness::Expired(_))) {
        Some(expired) => Err(TlsError::Expired(expired.clone())),
        None => Ok((made, untimely)),
    }
}

impl<F: TlsFiles> WatchedSource for F {
    type Contents = F::Contents;
    type Made = F::Made;
    type Error = TlsError;

    fn file(&self) -> Option<&Path> {
        TlsFiles::file(self)
    }

    fn read(&self) -> Result<Self::Contents, TlsError> {
        TlsFiles::read(self)
    }

    fn make(&mut self, contents: &Self::Contents) -> Result<Self::Made, TlsError> {
        let (made, untimely) = make_timely(self, contents)?;
        tell(&untimely);
        Ok(made)
    }

    fn taken(&mut self, _: &Arc<Self::Made>) {
        let file = TlsFiles::file(self).map(|path| tracing::field::display(path.display()));
        tracing::info!(file, "a new certificate is loaded");
    }

    fn refused(&mut self, error: TlsError) {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the new certificate cannot be used; the previous one stays in use"
        );
    }
}
