//! HTTPS from OpenIM: the handshake, with a certificate that follows its files (see [`crate::base::tls`]).

use std::{io, path::Path, sync::Arc};

use rustls::{
    Error as TlsFailure, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::UnixTime,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::base::file_watch::{Current, Reloads, WatchedFiles};
use crate::base::tls::{
    self, PairContents, PairFiles, PemFile, TlsError, TlsFiles, Untimely, chain_end, expires_in, inside,
    is_of_certificate,
};
use crate::server::settings::TlsSettings;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// What every worker shakes hands with.
#[derive(Debug)]
pub(in crate::server) struct ListenerTls {
    config: Arc<ServerConfig>,
    certificate: WatchedFiles<CertifiedKey>,
    untimely: Vec<Untimely>,
}

impl ListenerTls {
    /// Reads the certificate, and watches its files from now on.
    pub(in crate::server) fn start(settings: &TlsSettings) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let source = ServerFiles::of(settings, &provider);
        let (certificate, untimely) = tls::watch(source, settings.look_every)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Current<CertifiedKey>>::clone(certificate.current()));
        config.alpn_protocols = vec![HTTP2.to_vec(), HTTP1.to_vec()];
        Ok(Self { config: Arc::new(config), certificate, untimely })
    }

    /// Reads the certificate, and nothing else.
    pub(in crate::server) fn inspect(settings: &TlsSettings) -> Result<Vec<Untimely>, TlsError> {
        tls::inspect(&ServerFiles::of(settings, &Arc::new(ring::default_provider())))
    }

    /// Shakes hands. The caller limits the time.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        TlsAcceptor::from(Arc::clone(&self.config)).accept(stream).await
    }

    /// Logs that the certificate is not valid now, or soon will not be.
    pub(in crate::server) fn tell_untimely(&self) {
        tls::tell(&self.untimely);
    }

    /// Seconds until the certificate in use expires.
    pub(in crate::server) fn expires_in(&self) -> f64 {
        expires_in(chain_end(&self.certificate.current().get().cert))
    }

    pub(in crate::server) fn reloads(&self) -> Reloads {
        self.certificate.counts().now()
    }
}

/// Whether the two have agreed on HTTP/2.
pub(super) fn is_http2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}

impl ResolvesServerCert for Current<CertifiedKey> {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.get())
    }
}

struct ServerFiles {
    files: PairFiles,
    provider: Arc<CryptoProvider>,
}

impl ServerFiles {
    fn of(settings: &TlsSettings, provider: &Arc<CryptoProvider>) -> Self {
        let files = PairFiles {
            cert: PemFile { key: "tls.cert", path: settings.cert.clone() },
            key: PemFile { key: "tls.key", path: settings.key.clone() },
        };
        Self { files, provider: Arc::clone(provider) }
    }
}

impl TlsFiles for ServerFiles {
    type Contents = PairContents;
    type Made = CertifiedKey;

    fn read(&self) -> Result<PairContents, TlsError> {
        self.files.read()
    }

    fn make(&self, contents: &PairContents) -> Result<CertifiedKey, TlsError> {
        self.files.certificate(contents, &self.provider)
    }

    fn untimely(&self, contents: &PairContents, now: UnixTime) -> Vec<Untimely> {
        self.files.untimely(contents, now).into_iter().collect()
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.files.cert.path)
    }
}

/// Why a client has not shaken hands, where an operator can do something about it.
pub(super) fn why_not(error: &io::Error) -> Option<String> {
    match inside(error)? {
        TlsFailure::AlertReceived(alert) if is_of_certificate(*alert) => Some(format!(
            "the client does not accept the certificate in `tls.cert` ({alert:?}): it must be valid now, for the host name in \
             OpenIM's `url`, and signed by an authority that OpenIM's container trusts"
        )),
        TlsFailure::InvalidMessage(_) => {
            Some("the client does not speak TLS: with `tls.cert`, OpenIM's `url` must begin with https://".to_owned())
        }
        _ => None,
    }
}
