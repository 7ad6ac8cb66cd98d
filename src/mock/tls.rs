//! TLS of the mock: with a certificate made on the spot, or with files, which are read again when they change.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{PrivateKeyDer, UnixTime},
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};

use crate::base::file_watch::{LOOK_EVERY, WatchedFiles};
use crate::base::tls::{self, PairContents, PairFiles, PemFile, TlsError, TlsFiles, Untimely};

/// With which certificate a mock serves by TLS.
#[derive(Debug)]
pub struct MockTls {
    certificate: MockCertificate,
    clients: Option<PemFile>,
}

#[derive(Debug)]
enum MockCertificate {
    Made(CertifiedKey),
    Files(PairFiles),
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsSetupError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] TlsError),
    /// It cannot be made.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// What was made cannot be used.
    #[error("cannot use the certificate that was made")]
    Use(#[from] rustls::Error),
}

impl MockTls {
    /// Makes an authority, and by it a certificate for these addresses, the loopback addresses and `localhost`. Also
    /// returns the authority's certificate, in PEM: who trusts it trusts this mock.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub fn made_on_the_spot(addresses: &[IpAddr]) -> Result<(Self, String), TlsSetupError> {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name = DistinguishedName::new();
        authority.distinguished_name.push(DnType::CommonName, "openim-bridge mock");
        let authority_key = KeyPair::generate()?;
        let ca = authority.self_signed(&authority_key)?.pem();

        let always = ["127.0.0.1", "::1", "localhost"].map(str::to_owned);
        let names: Vec<String> = addresses.iter().map(IpAddr::to_string).chain(always).collect();
        let key = KeyPair::generate()?;
        let mut certificate = CertificateParams::new(names)?;
        certificate.distinguished_name = DistinguishedName::new();
        certificate.distinguished_name.push(DnType::CommonName, "localhost");
        certificate.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let made = certificate.signed_by(&key, &Issuer::new(authority, authority_key))?;
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let certificate = CertifiedKey::from_der(vec![made.der().clone()], key, &ring::default_provider())?;
        Ok((Self { certificate: MockCertificate::Made(certificate), clients: None }, ca))
    }

    /// A certificate and its key, in PEM, also when they change.
    ///
    /// # Errors
    ///
    /// Where a file cannot be used, or the two are no pair.
    pub fn from_files(cert: PathBuf, key: PathBuf) -> Result<Self, TlsSetupError> {
        let cert = PemFile { key: "--tls-cert", path: cert };
        let files = PairFiles { cert, key: PemFile { key: "--tls-key", path: key } };
        files.certificate(&files.read()?, &ring::default_provider())?;
        Ok(Self { certificate: MockCertificate::Files(files), clients: None })
    }

    /// Takes only clients that show a certificate of an authority in this file, in PEM.
    ///
    /// # Errors
    ///
    /// Where the file cannot be used.
    pub fn for_clients_of(mut self, ca: PathBuf) -> Result<Self, TlsSetupError> {
        let file = PemFile { key: "--tls-client-ca", path: ca };
        authorities(&file, &file.read()?)?;
        self.clients = Some(file);
        Ok(self)
    }

    /// Watches the files from now on.
    pub(super) fn watch(self) -> Result<WatchedFiles<ServerConfig>, TlsError> {
        Ok(tls::watch(MockFiles(self), LOOK_EVERY)?.0)
    }
}

fn authorities(file: &PemFile, bytes: &[u8]) -> Result<Arc<RootCertStore>, TlsError> {
    Ok(Arc::new(file.authorities(file.certificates(bytes)?)?))
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct MockContents {
    pair: Option<PairContents>,
    clients: Option<Vec<u8>>,
}

struct MockFiles(MockTls);

impl TlsFiles for MockFiles {
    type Contents = MockContents;
    type Made = ServerConfig;

    fn read(&self) -> Result<MockContents, TlsError> {
        let pair = match &self.0.certificate {
            MockCertificate::Made(_) => None,
            MockCertificate::Files(files) => Some(files.read()?),
        };
        Ok(MockContents { pair, clients: self.0.clients.as_ref().map(PemFile::read).transpose()? })
    }

    fn make(&self, contents: &MockContents) -> Result<ServerConfig, TlsError> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(TlsError::Setup)?;
        let config = match self.0.clients.as_ref().zip(contents.clients.as_deref()) {
            None => config.with_no_client_auth(),
            Some((file, bytes)) => {
                let roots = authorities(file, bytes)?;
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
                let wrong = |error: rustls::server::VerifierBuilderError| rustls::Error::General(error.to_string());
                config.with_client_cert_verifier(verifier.map_err(|error| TlsError::Setup(wrong(error)))?)
            }
        };
        let certificate = match (&self.0.certificate, &contents.pair) {
            (MockCertificate::Files(files), Some(pair)) => files.certificate(pair, &provider)?,
            (MockCertificate::Files(files), None) => files.certificate(&files.read()?, &provider)?,
            (MockCertificate::Made(certificate), _) => certificate.clone(),
        };
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// A test may want an expired certificate: whatever it is given is shown.
    fn untimely(&self, _contents: &MockContents, _now: UnixTime) -> Vec<Untimely> {
        vec![]
    }

    fn file(&self) -> Option<&Path> {
        match &self.0.certificate {
            MockCertificate::Files(files) => Some(&files.cert.path),
            MockCertificate::Made(_) => self.0.clients.as_ref().map(|file| &*file.path),
        }
    }
}
