//! What goes wrong with TLS to the decision service, in words for operators: what is wrong, and what would be right.

use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsFailure};

use crate::base::tls::{SUPPORTED, date, inside, is_of_certificate, named};

/// The same error of a connection to the decision service, explained.
pub(crate) fn explained(error: io::Error) -> io::Error {
    match inside(&error).and_then(of_service) {
        Some(text) => io::Error::new(error.kind(), text),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            io::Error::new(error.kind(), "it closed the connection")
        }
        None => error,
    }
}

/// "It" is the decision service. Says nothing that changes from one attempt to the next, so that it is logged once.
fn of_service(error: &TlsFailure) -> Option<String> {
    use AlertDescription as Alert;

    Some(match error {
        TlsFailure::InvalidCertificate(wrong) => match wrong {
            CertificateError::Expired => "its certificate has expired: renew it there".to_owned(),
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("its certificate has expired on {}: renew it there", date(*not_after))
            }
            CertificateError::NotValidYet => "its certificate is not valid yet: check the clocks of both".to_owned(),
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("its certificate is not valid before {}: check the clocks of both", date(*not_before))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("{wrong}: have it issued for that name, or set `upstream.tls.server_name`")
            }
            CertificateError::UnknownIssuer => {
                "its certificate is signed by a CA that is not trusted: add that CA to `upstream.tls.ca`".to_owned()
            }
            CertificateError::UnsupportedSignatureAlgorithmContext { signature_algorithm_id, .. } => {
                format!(
                    "its certificate is signed by {}, which is not supported: {SUPPORTED}",
                    named(signature_algorithm_id)?
                )
            }
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id,
                public_key_algorithm_id,
            } => format!(
                "its certificate is signed by {} with a key of {}, which is not supported together: {SUPPORTED}",
                named(signature_algorithm_id)?,
                named(public_key_algorithm_id)?
            ),
            wrong => format!("its certificate cannot be used: {wrong}"),
        },
        TlsFailure::AlertReceived(Alert::CertificateRequired) => {
            "it asks for a certificate: set `upstream.tls.cert` and `upstream.tls.key`".to_owned()
        }
        TlsFailure::AlertReceived(alert) if is_of_certificate(*alert) => format!(
            "it does not accept the certificate of the bridge ({alert:?}): check `upstream.tls.cert` and the CAs that it trusts"
        ),
        TlsFailure::AlertReceived(Alert::HandshakeFailure) => {
            format!("it has no certificate and no cipher that the bridge supports: {SUPPORTED}")
        }
        TlsFailure::AlertReceived(Alert::NoApplicationProtocol) => "it does not offer HTTP/2 (`h2`) by ALPN".to_owned(),
        TlsFailure::InvalidMessage(_) => "it does not speak TLS: its address must begin with http://".to_owned(),
        _ => return None,
    })
}
