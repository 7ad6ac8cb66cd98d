//! PEM files that settings name: what they hold, and why it cannot be used.

use std::{io, path::PathBuf};

use rustls::{
    RootCertStore,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, UnixTime,
        pem::{self, PemObject as _},
    },
    sign::CertifiedKey,
};

use super::algorithms::{SUPPORTED, unsupported_key};
use super::validity::{Untimely, Validity};
use crate::base::bounded_file;

/// No more of a file is read. A chain of certificates is a few kilobytes, a bundle of all public roots a few hundred.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there, or not to be read.
    #[error("`{key}` ({}) cannot be read: name a file that is there, and that this process may read", path.display())]
    Unreadable { key: &'static str, path: PathBuf, source: io::Error },
    /// A file does not hold what it should.
    #[error("`{key}` ({}) holds no {expected} in PEM: it must have one between BEGIN and END lines", path.display())]
    Pem { key: &'static str, path: PathBuf, expected: &'static str, source: pem::Error },
    /// A file's certificate is none that others can be checked with.
    #[error("`{key}` ({}) holds a certificate that is not a CA's: name the CA certificate that signed it", path.display())]
    Authority { key: &'static str, path: PathBuf, source: rustls::Error },
    /// Each may be right, but not the two together.
    #[error(
        "`{}` ({}) and `{}` ({}) are no pair: name the key that the certificate was issued for",
        cert.key, cert.path.display(), key.key, key.path.display()
    )]
    Pair { cert: Box<PemFile>, key: Box<PemFile>, source: rustls::Error },
    /// This program's cryptography does not have what a certificate is made with.
    #[error("`{key}` ({}) holds a certificate whose key is of a kind that is not supported, {algorithm}: {SUPPORTED}", path.display())]
    Algorithm { key: &'static str, path: PathBuf, algorithm: String },
    /// A file's certificate is of no use any more.
    #[error(transparent)]
    Expired(Untimely),
    /// Nothing to check the decision service's certificate with.
    #[error("the system has no root certificates: set `upstream.tls.ca` to the CA of the decision service")]
    NoRoots,
    /// This cryptography cannot do TLS 1.2 and 1.3.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
    #[error("cannot watch the certificate's files")]
    Thread(#[source] io::Error),
}

/// A file that a setting names.
#[derive(Debug, Clone)]
pub struct PemFile {
    pub key: &'static str,
    pub path: PathBuf,
}

impl PemFile {
    pub(crate) fn read(&self) -> Result<Vec<u8>, TlsError> {
        let read = bounded_file::read(&self.path, MAX_BYTES);
        read.map_err(|source| TlsError::Unreadable { key: self.key, path: self.path.clone(), source })
    }

    pub(crate) fn certificates(&self, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
        found
            .and_then(|found| if found.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(found) })
            .map_err(|source| self.wrong("certificate", source))
    }

    /// These certificates of the file, to check others' certificates with.
    pub(crate) fn authorities(&self, certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        // One that is right is enough: a bundle may hold others.
        let unsupported: Option<Vec<String>> = certificates.iter().map(unsupported_key).collect();
        if let Some(algorithm) = unsupported.and_then(|all| all.into_iter().next()) {
            return Err(TlsError::Algorithm { key: self.key, path: self.path.clone(), algorithm });
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|source| TlsError::Authority {
                key: self.key,
                path: self.path.clone(),
                source,
            })?;
        }
        Ok(roots)
    }

    /// Of a chain: all of it must be valid.
    pub(crate) fn untimely_chain(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Option<Untimely> {
        self.untimely(Validity::common(chain)?, now)
    }

    /// Of authorities: one that is valid is enough. A new one may stand beside the old one, and either may be it.
    pub(crate) fn untimely_authorities(&self, all: &[CertificateDer<'_>], now: UnixTime) -> Option<Untimely> {
        self.untimely(Validity::last(all)?, now)
    }

    fn untimely(&self, validity: Validity, now: UnixTime) -> Option<Untimely> {
        let when = validity.seen_at(now)?;
        Some(Untimely { key: self.key, path: self.path.clone(), when })
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
        if let Some(algorithm) = chain.first().and_then(unsupported_key) {
            return Err(TlsError::Algorithm { key: self.cert.key, path: self.cert.path.clone(), algorithm });
        }
        let private = self.key.private_key(&contents.key)?;
        CertifiedKey::from_der(chain, private, provider).map_err(|source| TlsError::Pair {
            cert: Box::new(self.cert.clone()),
            key: Box::new(self.key.clone()),
            source,
        })
    }
}
