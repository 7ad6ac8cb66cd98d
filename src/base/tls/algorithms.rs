//! What a certificate is made with, by its name, where this program's cryptography does not have it.

use rustls::pki_types::CertificateDer;
use x509_cert::{
    Certificate,
    der::{Decode as _, Reader as _, SliceReader, asn1::ObjectIdentifier},
};

/// What can be used, for messages.
pub(crate) const SUPPORTED: &str =
    "use RSA of 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519, with SHA-256 or SHA-384";

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ELLIPTIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const CURVES: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), ObjectIdentifier::new_unwrap("1.3.132.0.34")];

/// Source: the registries of the standards that define them, as <https://oidref.com> collects them.
const NAMES: [(&str, &str); 20] = [
    ("1.3.132.0.35", "curve P-521"),
    ("1.3.132.0.33", "curve P-224"),
    ("1.3.132.0.10", "curve secp256k1"),
    ("1.3.36.3.3.2.8.1.1.7", "curve brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "curve brainpoolP384r1"),
    ("1.2.156.10197.1.301", "curve SM2"),
    ("1.3.101.113", "Ed448"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.2.156.10197.1.501", "SM2 with SM3"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
];

fn name(identifier: ObjectIdentifier) -> String {
    let text = identifier.to_string();
    match NAMES.iter().find(|(known, _)| *known == text) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("algorithm {text}"),
    }
}

/// The key of this certificate; `None` where it can be used, or only others can read it.
pub(super) fn unsupported_key(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let algorithm = &certificate.tbs_certificate().subject_public_key_info().algorithm;
    if algorithm.oid != ELLIPTIC {
        return (![RSA, ED25519].contains(&algorithm.oid)).then(|| name(algorithm.oid));
    }
    let curve = algorithm.parameters.as_ref()?.decode_as().ok()?;
    (!CURVES.contains(&curve)).then(|| name(curve))
}

/// An algorithm as rustls has it: what is in its `AlgorithmIdentifier`.
pub(crate) fn named(identifier: &[u8]) -> Option<String> {
    let mut parts = SliceReader::new(identifier).ok()?;
    let algorithm = parts.decode().ok()?;
    // Of a key on a curve, its curve.
    Some(name(if algorithm == ELLIPTIC { parts.decode().ok()? } else { algorithm }))
}
