//! HTTPS from OpenIM: the handshake, and the certificate, which is read again when its files change.
//!
//! The files' contents are looked at every few seconds, which sees whatever way of replacing them, Kubernetes' swap of a
//! symlink included, and needs nothing of the system. A thread of its own does it: no callback waits for a disk.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
};

use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject as _},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::config::TlsSettings;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";
/// No more of a file is read. A chain of certificates is some kilobytes.
const MAX_BYTES: u64 = 1 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or not to be read.
    #[error("`{key}` ({}) cannot be read", path.display())]
    Unreadable {
        /// The setting that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("`{key}` ({}) holds no {expected} in PEM", path.display())]
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
    /// Each may be right, but not the two together.
    #[error("`tls.cert` ({}) and `tls.key` ({}) make no certificate", cert.display(), key.display())]
    Pair {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
    /// This cryptography cannot do TLS 1.2 and 1.3.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    /// No thread to watch the files.
    #[error("cannot watch the certificate's files")]
    Thread(#[source] io::Error),
}

/// How often a certificate was read again since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reloads {
    /// New ones, in use since.
    pub taken: u64,
    /// Bad ones, in whose place the one before stays.
    pub refused: u64,
}

/// What every worker shakes hands with.
#[derive(Debug)]
pub(super) struct Tls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    /// Dropped, it ends the thread that watches the files.
    _watched: Sender<()>,
}

/// The certificate in use.
#[derive(Debug)]
struct Current {
    certificate: RwLock<Arc<CertifiedKey>>,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Tls {
    /// Reads the certificate, and watches its files from now on.
    pub(super) fn start(settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let contents = Contents::read(settings)?;
        let current = Arc::new(Current {
            certificate: RwLock::new(Arc::new(contents.certificate(settings, &provider)?)),
            taken: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current>::clone(&current));
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];

        let (watched, ended) = mpsc::channel();
        let mut watch = FileWatch {
            settings: settings.clone(),
            provider,
            seen: Some(contents),
            problem: None,
            current: Arc::clone(&current),
        };
        let look_every = settings.look_every;
        let watching = move || {
            while ended.recv_timeout(look_every) == Err(RecvTimeoutError::Timeout) {
                watch.look();
            }
        };
        thread::Builder::new().name("tls-files".to_owned()).spawn(watching).map_err(TlsError::Thread)?;
        Ok(Self { config: Arc::new(config), current, _watched: watched })
    }

    /// Shakes hands. The caller limits the time.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await
    }

    pub(super) fn reloads(&self) -> Reloads {
        Reloads { taken: self.current.taken.load(Relaxed), refused: self.current.refused.load(Relaxed) }
    }
}

/// Whether the two have agreed on HTTP/2.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.certificate.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What the two files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Contents {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let read = |key, path: &Path| {
            let mut bytes = Vec::new();
            let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
            read.map(|_| bytes).map_err(|source| TlsError::Unreadable { key, path: path.to_owned(), source })
        };
        Ok(Self { cert: read("tls.cert", &settings.cert)?, key: read("tls.key", &settings.key)? })
    }

    fn certificate(&self, settings: &TlsSettings, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let TlsSettings { cert, key, .. } = settings;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.cert).collect();
        let chain = chain
            .and_then(|chain| if chain.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(chain) })
            .map_err(|source| TlsError::Pem { key: "tls.cert", path: cert.clone(), expected: "certificate", source })?;
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(|source| TlsError::Pem {
            key: "tls.key",
            path: key.clone(),
            expected: "unencrypted private key",
            source,
        })?;
        CertifiedKey::from_der(chain, private, provider).map_err(|source| TlsError::Pair {
            cert: cert.clone(),
            key: key.clone(),
            source,
        })
    }
}

/// What the thread that watches the files knows.
struct FileWatch {
    settings: TlsSettings,
    provider: Arc<CryptoProvider>,
    /// At the look before; `None` when they could not be read.
    seen: Option<Contents>,
    /// What was wrong with them then, until it is told.
    problem: Option<TlsError>,
    current: Arc<Current>,
}

impl FileWatch {
    /// New files are used at once. Bad ones are told when they are still the same at the next look: before, only one of
    /// the two may have been replaced.
    fn look(&mut self) {
        let found = Contents::read(&self.settings);
        if found.as_ref().ok() == self.seen.as_ref() {
            if let Some(problem) = self.problem.take() {
                self.current.refused.fetch_add(1, Relaxed);
                tracing::error!(
                    error = &problem as &dyn std::error::Error,
                    "the new certificate cannot be used; the one before stays in use"
                );
            }
            return;
        }
        let (seen, certificate) = match found {
            Ok(contents) => {
                let certificate = contents.certificate(&self.settings, &self.provider);
                (Some(contents), certificate)
            }
            Err(unreadable) => (None, Err(unreadable)),
        };
        self.seen = seen;
        self.problem = match certificate {
            Ok(certificate) => {
                *self.current.certificate.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(certificate);
                self.current.taken.fetch_add(1, Relaxed);
                tracing::info!(file = %self.settings.cert.display(), "a new certificate is in use");
                None
            }
            Err(problem) => Some(problem),
        };
    }
}
