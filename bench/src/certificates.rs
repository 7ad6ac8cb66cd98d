//! Certificates for both sides of the bridge, in folders that change as Kubernetes changes those of a secret: the files
//! are reached by a symlink, which is swapped.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use tempfile::TempDir;
use time::OffsetDateTime;
use tokio_rustls::TlsConnector;

/// Signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    cert: String,
    key: String,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    ///
    /// When there is no randomness for its key.
    pub fn new(name: &str) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// A certificate of `name`, a host name or an IP address, from a minute ago until `until`.
    ///
    /// # Errors
    ///
    /// When the name is none, or there is no randomness for its key.
    pub fn sign(&self, name: &str, until: SystemTime) -> anyhow::Result<Pair> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        let until = OffsetDateTime::from(until);
        params.not_before = until.min(OffsetDateTime::now_utc()) - Duration::from_mins(1);
        params.not_after = until;
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { cert, key: key.serialize_pem() })
    }

    /// What trusts it, for a client of HTTP/1.1.
    ///
    /// # Errors
    ///
    /// When the cryptography lacks what TLS needs.
    pub fn trusting_client(&self) -> anyhow::Result<TlsConnector> {
        self.trusting_client_of("http/1.1")
    }

    /// The same, for a client of this protocol, as ALPN names it.
    ///
    /// # Errors
    ///
    /// When the cryptography lacks what TLS needs.
    pub fn trusting_client_of(&self, protocol: &str) -> anyhow::Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes())?)?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// The files `ca.pem`, `cert.pem` and `key.pem`, as a secret that is mounted.
#[derive(Debug)]
pub struct Secret {
    folder: TempDir,
    version: usize,
}

impl Secret {
    /// A folder with these.
    ///
    /// # Errors
    ///
    /// When files cannot be written.
    pub fn new(authority: &Authority, pair: &Pair) -> anyhow::Result<Self> {
        let mut secret = Self { folder: tempfile::tempdir()?, version: 0 };
        secret.put(authority, pair)?;
        Ok(secret)
    }

    /// Replaces all of them at once.
    ///
    /// # Errors
    ///
    /// When files cannot be written.
    pub fn put(&mut self, authority: &Authority, pair: &Pair) -> anyhow::Result<()> {
        self.swap(&authority.pem, &pair.cert, &pair.key)
    }

    /// Replaces all of them by what is no certificate.
    ///
    /// # Errors
    ///
    /// When files cannot be written.
    pub fn put_rubbish(&mut self) -> anyhow::Result<()> {
        self.swap("rubbish", "rubbish", "rubbish")
    }

    fn swap(&mut self, ca: &str, cert: &str, key: &str) -> anyhow::Result<()> {
        self.version += 1;
        let name = format!("version-{}", self.version);
        let version = self.folder.path().join(&name);
        fs::create_dir(&version)?;
        for (file, text) in [("ca.pem", ca), ("cert.pem", cert), ("key.pem", key)] {
            fs::write(version.join(file), text)?;
        }
        let new = self.folder.path().join("new");
        symlink(name, &new)?;
        fs::rename(new, self.data())?;
        Ok(())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The path of one of the files, through the symlink.
    #[must_use]
    pub fn path(&self, file: impl AsRef<Path>) -> String {
        self.data().join(file).display().to_string()
    }
}
