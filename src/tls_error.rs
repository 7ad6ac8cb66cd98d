//! What goes wrong with TLS, in words for operators: what is wrong, and what would be right.

use std::{
    io,
    time::{Duration, SystemTime},
};

use rustls::{AlertDescription, CertificateError, Error as TlsError, pki_types::UnixTime};

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
fn of_service(error: &TlsError) -> Option<String> {
    use AlertDescription as Alert;

    Some(match error {
        TlsError::InvalidCertificate(wrong) => match wrong {
            CertificateError::Expired => "its certificate has expired: renew it there".to_owned(),
            CertificateError::ExpiredContext { not_after, .. } => {
                format!("its certificate has expired on {}: renew it there", date(*not_after))
            }
            CertificateError::NotValidYet => "its certificate is not valid yet: look at the clocks of both".to_owned(),
            CertificateError::NotValidYetContext { not_before, .. } => {
                format!("its certificate is not valid before {}: look at the clocks of both", date(*not_before))
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("{wrong}: have it issued for that name, or set `upstream.tls.server_name`")
            }
            CertificateError::UnknownIssuer => {
                "its certificate is signed by no authority that is trusted: add the one \
                                                that has signed it to `upstream.tls.ca`"
                    .to_owned()
            }
            wrong => format!("its certificate cannot be used: {wrong}"),
        },
        TlsError::AlertReceived(Alert::CertificateRequired) => {
            "it asks for a certificate: set `upstream.tls.cert` and `upstream.tls.key`".to_owned()
        }
        TlsError::AlertReceived(alert) if is_of_certificate(*alert) => format!(
            "it does not accept the certificate of the bridge ({alert:?}): see `upstream.tls.cert` and whom it trusts"
        ),
        TlsError::AlertReceived(Alert::NoApplicationProtocol) => "it does not offer HTTP/2 (`h2`) by ALPN".to_owned(),
        TlsError::InvalidMessage(_) => "it does not speak TLS: is its address an http:// one?".to_owned(),
        _ => return None,
    })
}

/// Why a client has not shaken hands, where an operator can do something about it.
pub(crate) fn of_client(error: &io::Error) -> Option<String> {
    match inside(error)? {
        TlsError::AlertReceived(alert) if is_of_certificate(*alert) => Some(format!(
            "it does not accept the certificate in `tls.cert` ({alert:?}): that must be valid now, for the host name in \
             OpenIM's `url`, and signed by an authority that OpenIM's container trusts"
        )),
        TlsError::InvalidMessage(_) => {
            Some("it does not speak TLS: with `tls.cert`, OpenIM's `url` must begin with https://".to_owned())
        }
        _ => None,
    }
}

/// What rustls says, without what is around it.
fn inside(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// The alerts by which a peer turns a certificate down. Go's client sends `BadCertificate` whatever is wrong.
fn is_of_certificate(alert: AlertDescription) -> bool {
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

/// Such as `2026-01-31T12:00:00Z`.
pub(crate) fn date(time: UnixTime) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
    time.map_or_else(|| "a date that is no date".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
}
