//! TLS of the mock: with a certificate made on the spot, or with files, which are read once.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::PrivateKeyDer,
    server::WebPkiClientVerifier,
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio_rustls::TlsAcceptor;

use crate::tls_files::{PairFiles, PemFile, TlsError};

/// With which certificate a mock serves by TLS.
#[derive(Debug)]
pub struct Tls {
    certificate: CertifiedKey,
    clients: Option<RootCertStore>,
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

impl Tls {
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
        Ok((Self { certificate, clients: None }, ca))
    }

    /// Reads a certificate and its key, in PEM.
    ///
    /// # Errors
    ///
    /// Where a file cannot be used, or the two are no pair.
    pub fn from_files(cert: PathBuf, key: PathBuf) -> Result<Self, TlsSetupError> {
        let cert = PemFile { key: "--tls-cert", path: cert };
        let files = PairFiles { cert, key: PemFile { key: "--tls-key", path: key } };
        let certificate = files.certificate(&files.read()?, &ring::default_provider())?;
        Ok(Self { certificate, clients: None })
    }

    /// Takes only clients that show a certificate of an authority in this file, in PEM.
    ///
    /// # Errors
    ///
    /// Where the file cannot be used.
    pub fn for_clients_of(mut self, ca: PathBuf) -> Result<Self, TlsSetupError> {
        let file = PemFile { key: "--tls-client-ca", path: ca };
        let mut roots = RootCertStore::empty();
        for certificate in file.certificates(&file.read()?)? {
            let wrong = |source| TlsError::Authority { key: file.key, path: file.path.clone(), source };
            roots.add(certificate).map_err(wrong)?;
        }
        self.clients = Some(roots);
        Ok(self)
    }

    pub(super) fn acceptor(self) -> Result<TlsAcceptor, rustls::Error> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let config =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(rustls::ALL_VERSIONS)?;
        let config = match self.clients {
            None => config.with_no_client_auth(),
            Some(roots) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                config.with_client_cert_verifier(verifier.map_err(|error| rustls::Error::General(error.to_string()))?)
            }
        };
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(self.certificate)));
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}
