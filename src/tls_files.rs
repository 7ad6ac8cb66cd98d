//! The PEM files of TLS, on both sides of the bridge, which are read again when they change (see [`crate::file_watch`]).

mod validity;

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};

pub use validity::{Untimely, When};
pub(crate) use validity::{authorities_end, chain_end, expires_in};

use crate::file_watch::{self, Current, Reloads};

/// No more of a file is read. A chain of certificates is some kilobytes, a bundle of all public roots some hundred.
const MAX_BYTES: u64 = 1 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or not to be read.
    #[error("`{key}` ({}) cannot be read: name a file that is there, and that this process may read", path.display())]
    Unreadable {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{key}` ({}) holds no {expected} in PEM: it must have one between BEGIN and END lines", path.display())]
    Pem {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What was found.
        source: pem::Error,
    },
    /// A file's certificate is none that others can be checked with.
    #[error("`{key}` ({}) holds a certificate that is no authority's: name the one that has signed", path.display())]
    Authority {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// Each may be right, but not the two together.
    #[error(
        "`{}` ({}) and `{}` ({}) are no pair: name the key that the certificate was issued for",
        cert.key, cert.path.display(), key.key, key.path.display()
    )]
    Pair {
        /// The certificate's file.
        cert: Box<PemFile>,
        /// The key's file.
        key: Box<PemFile>,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// A file's certificate is of no use any more.
    #[error(transparent)]
    Expired(Untimely),
    /// Nothing to check the decision service's certificate with.
    #[error("the system has no root certificates: name the decision service's authority by `upstream.tls.ca`")]
    NoRoots,
    /// This cryptography cannot do TLS 1.2 and 1.3.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    /// No thread to watch the files.
    #[error("cannot watch the certificate's files")]
    Thread(#[source] io::Error),
}

/// A file that a setting names.
#[derive(Debug, Clone)]
pub struct PemFile {
    /// The setting.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
}

impl PemFile {
    pub(crate) fn read(&self) -> Result<Vec<u8>, TlsError> {
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
        read.map(|_| bytes).map_err(|source| TlsError::Unreadable { key: self.key, path: self.path.clone(), source })
    }

    /// At least one.
    pub(crate) fn certificates(&self, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        found
            .and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) })
            .map_err(|source| self.wrong("certificate", source))
    }

    /// These certificates of the file, to check others' certificates with.
    pub(crate) fn authorities(&self, certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates {
            roots.add(certificate).map_err(|source| TlsError::Authority {
                key: self.key,
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(roots)
    }

    fn private_key(&self, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(bytes).map_err(|source| self.wrong("unencrypted private key", source))
    }

    fn wrong(&self, expected: &'static str, source: pem::Error) -> TlsError {
        TlsError::Pem { key: self.key, path: self.path.clone(), expected, source }
    }
}

/// The files of a certificate and of its key.
#[derive(Debug, Clone)]
pub(crate) struct PairFiles {
    pub(crate) cert: PemFile,
    pub(crate) key: PemFile,
}

/// What the two hold. Never shown: one is a private key.
#[derive(PartialEq, Eq)]
pub(crate) struct PairContents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl PairFiles {
    pub(crate) fn read(&self) -> Result<PairContents, TlsError> {
        Ok(PairContents { cert: self.cert.read()?, key: self.key.read()? })
    }

    pub(crate) fn untimely(&self, contents: &PairContents, now: UnixTime) -> Option<Untimely> {
        self.cert.untimely_chain(&self.cert.certificates(&contents.cert).ok()?, now)
    }

    pub(crate) fn certificate(
        &self,
        contents: &PairContents,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, TlsError> {
        let chain = self.cert.certificates(&contents.cert)?;
        let private = self.key.private_key(&contents.key)?;
        CertifiedKey::from_der(chain, private, provider).map_err(|source| TlsError::Pair {
            cert: Box::new(self.cert.clone()),
            key: Box::new(self.key.clone()),
            source,
        })
    }
}

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
