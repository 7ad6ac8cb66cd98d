//! User IDs under another name, for logs: `log.ids: hash`.
//!
//! The name is the beginning of the ID's HMAC-SHA-256 under a key. User IDs can be guessed (phone numbers, counters), so a
//! hash without a key would hide nothing: whoever has the log would hash all guesses. Whoever has the key still can.

use std::{fmt, sync::OnceLock};

use ring::{error::Unspecified, hmac, rand::SystemRandom};

/// Shorter ones could be guessed too.
const LEAST_BYTES: usize = 16;

/// So many bytes of the HMAC are shown: short in a line, and among a hundred million users hardly ever the same twice.
const SHOWN_BYTES: usize = 8;

/// What gives each ID its name.
#[derive(Clone)]
pub struct PseudonymKey(hmac::Key);

/// A key that is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected at least {LEAST_BYTES} bytes, such as `openssl rand -hex 32` writes, and there are {bytes}")]
pub struct ShortKey {
    /// How many there are, not counting line breaks at the end.
    pub bytes: usize,
}

impl PseudonymKey {
    /// Reads a key; trailing line breaks are ignored.
    ///
    /// # Errors
    /// When it is shorter than 16 bytes.
    pub fn parse(text: &str) -> Result<Self, ShortKey> {
        let key = text.trim_end_matches(['\r', '\n']).as_bytes();
        if key.len() < LEAST_BYTES {
            return Err(ShortKey { bytes: key.len() });
        }
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, key)))
    }

    /// One that nobody knows, the same for as long as the process runs.
    ///
    /// # Errors
    /// When the system gives no random numbers.
    pub fn of_process() -> Result<Self, Unspecified> {
        static KEY: OnceLock<PseudonymKey> = OnceLock::new();
        match KEY.get() {
            Some(key) => Ok(key.clone()),
            None => Self::random().map(|key| KEY.get_or_init(|| key).clone()),
        }
    }

    fn random() -> Result<Self, Unspecified> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map(Self)
    }

    /// The ID's name: 16 hexadecimal digits.
    #[must_use]
    pub fn name(&self, id: &str) -> String {
        let tag = hmac::sign(&self.0, id.as_bytes());
        let beginning = tag.as_ref().iter().take(SHOWN_BYTES).fold(0, |bytes, byte| bytes << 8 | u64::from(*byte));
        format!("{beginning:016x}")
    }
}

/// Whether both give the same names.
impl PartialEq for PseudonymKey {
    fn eq(&self, other: &Self) -> bool {
        let tag = |key: &Self| hmac::sign(&key.0, b"");
        tag(self).as_ref() == tag(other).as_ref()
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_openssl_says_of_id_and_key() {
        // printf %s user123 | openssl dgst -sha256 -hmac 0123456789abcdef
        let key = PseudonymKey::parse("0123456789abcdef\n").expect("long enough");
        assert_eq!(key.name("user123"), "15765ed1c7aef275");
    }

    #[test]
    fn random_keys_give_other_names() {
        let [one, other] = [(); 2].map(|()| PseudonymKey::random().expect("random numbers").name("user123"));
        assert_ne!(one, other);
    }

    #[test]
    fn that_of_the_process_stays_when_the_configuration_is_read_again() {
        let [one, again] = [(); 2].map(|()| PseudonymKey::of_process().expect("random numbers").name("user123"));
        assert_eq!(one, again);
    }

    #[test]
    fn a_key_that_could_be_guessed_is_refused() {
        assert_eq!(PseudonymKey::parse("0123456789abcde\r\n").err(), Some(ShortKey { bytes: 15 }));
    }
}
