//! What a TLS handshake has failed of, out of the error that came of it.

use std::io;

use rustls::{AlertDescription, Error as TlsFailure};

/// What rustls says, without what is around it.
pub(crate) fn inside(error: &io::Error) -> Option<&TlsFailure> {
    error.get_ref()?.downcast_ref()
}

/// The alerts by which a peer turns a certificate down. Go's client sends `BadCertificate` whatever is wrong.
pub(crate) fn is_of_certificate(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;

    matches!(
        alert,
        Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError
    )
}
