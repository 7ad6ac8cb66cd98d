//! From when and until when the certificates of a file are valid.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_cert::{Certificate, der::Decode as _};

/// A certificate that ends so soon is told.
const SOON: Duration = Duration::from_hours(14 * 24);

/// What is wrong with a certificate's time, or soon will be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` ({}) {when}", path.display())]
pub struct Untimely {
    pub key: &'static str,
    pub path: PathBuf,
    pub when: Untimeliness,
}

/// Where now is, seen from a certificate's time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untimeliness {
    /// Its time is over.
    #[error("has expired on {0}: renew it")]
    Expired(String),
    /// Its time has not come.
    #[error("is not valid before {0}: check this machine's clock")]
    NotYet(String),
    /// Its time is over within 14 days.
    #[error("expires on {0}: renew it by then")]
    Soon(String),
}

/// The time of certificates, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validity {
    from: u64,
    until: u64,
}

impl Validity {
    /// `None` for what only others can read.
    fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let validity = certificate.tbs_certificate().validity();
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        Some(Self { from: seconds(validity.not_before), until: seconds(validity.not_after) })
    }

    pub(super) fn common(chain: &[CertificateDer<'_>]) -> Option<Self> {
        let all = chain.iter().filter_map(Self::of);
        all.reduce(|one, other| Self { from: one.from.max(other.from), until: one.until.min(other.until) })
    }

    /// Of the one of these authorities that is valid the longest.
    pub(super) fn last(authorities: &[CertificateDer<'_>]) -> Option<Self> {
        authorities.iter().filter_map(Self::of).max_by_key(|validity| validity.until)
    }

    pub(super) fn seen_at(self, now: UnixTime) -> Option<Untimeliness> {
        let (now, date) = (now.as_secs(), |seconds| date(UnixTime::since_unix_epoch(Duration::from_secs(seconds))));
        if now > self.until {
            Some(Untimeliness::Expired(date(self.until)))
        } else if now < self.from {
            Some(Untimeliness::NotYet(date(self.from)))
        } else if now + SOON.as_secs() > self.until {
            Some(Untimeliness::Soon(date(self.until)))
        } else {
            None
        }
    }
}

/// When the first of a chain expires, in Unix time. `None` where only others can read it.
pub(crate) fn chain_end(chain: &[CertificateDer<'_>]) -> Option<u64> {
    Validity::common(chain).map(|validity| validity.until)
}

/// When the last of these authorities expires, in Unix time. `None` where only others can read it.
pub(crate) fn authorities_end(all: &[CertificateDer<'_>]) -> Option<u64> {
    Validity::last(all).map(|validity| validity.until)
}

/// Seconds from now, negative where it was; not a number where it cannot be told.
#[allow(clippy::cast_precision_loss)] // good for 285 million years
pub(crate) fn expires_in(end: Option<u64>) -> f64 {
    end.map_or(f64::NAN, |end| end as f64 - UnixTime::now().as_secs() as f64)
}

/// Such as `2026-01-31T12:00:00Z`.
pub(crate) fn date(time: UnixTime) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(time.as_secs()));
    time.map_or_else(|| "a date that is no date".to_owned(), |time| humantime::format_rfc3339_seconds(time).to_string())
}
