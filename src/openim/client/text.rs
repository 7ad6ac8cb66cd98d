//! A JSON string as OpenIM may send it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::value::RawValue;

/// The value of a JSON string, with escapes of lone surrogates (`\ud800`), which JSON can carry but UTF-8 cannot,
/// as U+FFFD each, which is how OpenIM itself (Go's `encoding/json`) reads them.
///
/// Deserializes only from `serde_json`, and only from text that outlives it: [`serde_json::from_str`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The raw text has been checked: whatever fails from here on is no string, or holds a lone surrogate.
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        if !raw.starts_with('"') {
            return Err(D::Error::custom("expected a string"));
        }
        serde_json::from_str(raw).map(Self).or_else(|_| with_surrogates(raw)).map_err(D::Error::custom)
    }
}

/// Asked for bytes, `serde_json` passes lone surrogates on.
fn with_surrogates(raw: &str) -> serde_json::Result<Text> {
    struct Bytes;

    impl Visitor<'_> for Bytes {
        type Value = Text;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Text, E> {
            Ok(Text(replace_surrogates(bytes)))
        }
    }

    serde_json::Deserializer::from_str(raw).deserialize_bytes(Bytes)
}

/// A lone surrogate comes as three bytes (0xED, then 0xA0 to 0xBF, then one more), of which none is valid: one U+FFFD
/// for the three.
fn replace_surrogates(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let mut surrogate_bytes = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.valid().is_empty() {
            surrogate_bytes = 0;
        }
        if !chunk.invalid().is_empty() {
            if surrogate_bytes % 3 == 0 {
                text.push(char::REPLACEMENT_CHARACTER);
            }
            surrogate_bytes += chunk.invalid().len();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> String {
        serde_json::from_str::<Text>(json).expect("JSON").0
    }

    #[test]
    fn reads_a_string() {
        assert_eq!(read(r#""a\u0000\"é 😀""#), "a\0\"é 😀");
        assert_eq!(read(r#""\ud83d\ude00""#), "😀");
    }

    #[test]
    fn a_lone_surrogate_is_one_replacement_character() {
        assert_eq!(read(r#""a\ud800b\udc00""#), "a\u{fffd}b\u{fffd}");
        assert_eq!(read(r#""\ud800\ud800""#), "\u{fffd}\u{fffd}");
        assert_eq!(read(r#""\udfff\ud83d\ude00""#), "\u{fffd}😀");
    }

    #[test]
    fn a_raw_control_character_is_no_json() {
        for json in ["\"a\nb\"", "\"\0\"", "\"\\ud800\n\""] {
            assert!(serde_json::from_str::<Text>(json).is_err(), "{json:?}");
        }
    }

    #[test]
    fn nothing_else_is_a_string() {
        for json in ["1", "null", "true", "[97]", "{}"] {
            assert!(serde_json::from_str::<Text>(json).is_err(), "{json}");
        }
    }
}
