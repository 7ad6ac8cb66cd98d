//! TLS to the decision service: whom to trust and what to show, which follow their files (see [`crate::base::tls`]).
//! Connections that are open stay as they are; new ones use what is new.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::{CryptoProvider, ring},
    pki_types::{ServerName, UnixTime},
    sign::SingleCertAndKey,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::settings::{HTTP2, TlsKeys, UpstreamTlsSettings};
use super::stream::Stream;
use super::tls_words::explained;
use crate::base::file_watch::WatchedFiles;
use crate::base::tls::{
    self, PairContents, PairFiles, PemFile, TlsError, TlsFiles, Untimely, authorities_end, chain_end,
};

/// What connections are secured with.
pub(super) type ClientFiles = WatchedFiles<ClientTls>;

/// What the files make.
#[derive(Debug)]
pub(super) struct ClientTls {
    config: Arc<ClientConfig>,
    /// When the first of them expires, in Unix time. `None`: they hold nothing that does.
    end: Option<u64>,
}

/// Reads the files, and watches them from now on.
pub(super) fn start(settings: &UpstreamTlsSettings) -> Result<ClientFiles, TlsError> {
    let (files, untimely) = tls::watch(ClientSources::of(settings)?, settings.look_every)?;
    tls::tell(&untimely);
    Ok(files)
}

/// Reads the files, and nothing else.
pub(super) fn inspect(settings: &UpstreamTlsSettings) -> Result<Vec<Untimely>, TlsError> {
    tls::inspect(&ClientSources::of(settings)?)
}

fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(Arc::new(roots)) }
}

struct ClientSources {
    ca: Trust,
    client: Option<PairFiles>,
    keys: TlsKeys,
    provider: Arc<CryptoProvider>,
}

enum Trust {
    System(Arc<RootCertStore>),
    File(PemFile),
}

#[derive(PartialEq, Eq)]
struct ClientContents {
    ca: Option<Vec<u8>>,
    client: Option<PairContents>,
}

impl ClientSources {
    fn of(settings: &UpstreamTlsSettings) -> Result<Self, TlsError> {
        let ca = match &settings.ca {
            Some(path) => Trust::File(PemFile { key: settings.keys.ca, path: path.clone() }),
            None => Trust::System(system_roots()?),
        };
        let client = settings.client.clone().map(|(cert, key)| PairFiles {
            cert: PemFile { key: settings.keys.cert, path: cert },
            key: PemFile { key: settings.keys.key, path: key },
        });
        Ok(Self { ca, client, keys: settings.keys, provider: Arc::new(ring::default_provider()) })
    }
}

/// Seconds until the first of the files in use expires; infinite where they hold nothing that does.
pub(super) fn expires_in(files: &ClientFiles) -> f64 {
    files.current().get().end.map_or(f64::INFINITY, |end| tls::expires_in(Some(end)))
}

impl TlsFiles for ClientSources {
    type Contents = ClientContents;
    type Made = ClientTls;

    fn read(&self) -> Result<ClientContents, TlsError> {
        let ca = match &self.ca {
            Trust::System(_) => None,
            Trust::File(file) => Some(file.read()?),
        };
        Ok(ClientContents { ca, client: self.client.as_ref().map(PairFiles::read).transpose()? })
    }

    fn make(&self, contents: &ClientContents) -> Result<ClientTls, TlsError> {
        let mut ends = Vec::new();
        let roots = match &self.ca {
            Trust::System(roots) => Arc::clone(roots),
            Trust::File(file) => {
                let authorities = file.certificates(contents.ca.as_deref().unwrap_or_default())?;
                ends.extend(authorities_end(&authorities));
                Arc::new(file.authorities(authorities)?)
            }
        };
        let config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(TlsError::Setup)?
            .with_root_certificates(roots);
        let mut config = match self.client.as_ref().zip(contents.client.as_ref()) {
            Some((files, contents)) => {
                let certificate = files.certificate(contents, &self.provider)?;
                ends.extend(chain_end(&certificate.cert));
                config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)))
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = self.keys.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(ClientTls { config: Arc::new(config), end: ends.into_iter().min() })
    }

    fn untimely(&self, contents: &ClientContents, now: UnixTime) -> Vec<Untimely> {
        let authorities = match (&self.ca, &contents.ca) {
            (Trust::File(file), Some(bytes)) => {
                file.certificates(bytes).ok().and_then(|all| file.untimely_authorities(&all, now))
            }
            _ => None,
        };
        let client = self.client.as_ref().zip(contents.client.as_ref());
        authorities.into_iter().chain(client.and_then(|(files, contents)| files.untimely(contents, now))).collect()
    }

    fn file(&self) -> Option<&Path> {
        match (&self.client, &self.ca) {
            (Some(files), _) => Some(&files.cert.path),
            (None, Trust::File(file)) => Some(&file.path),
            (None, Trust::System(_)) => None,
        }
    }
}

/// How one endpoint's connections are secured.
#[derive(Debug)]
pub(super) struct Secured {
    pub(super) files: Arc<ClientFiles>,
    /// The name in its certificate.
    pub(super) name: ServerName<'static>,
}

impl Secured {
    /// Shakes hands. The caller limits the time.
    pub(super) async fn connect(&self, stream: Stream) -> io::Result<TlsStream<Stream>> {
        let connector = TlsConnector::from(Arc::clone(&self.files.current().get().config));
        connector.connect(self.name.clone(), stream).await.map_err(explained)
    }
}

/// Whether the two have agreed on HTTP/2.
pub(super) fn is_http2(stream: &TlsStream<Stream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(HTTP2)
}
