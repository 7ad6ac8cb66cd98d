//! A JSON string as OpenIM may send it.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::value::RawValue;

use crate::base::json::Scanner;

/// The value of a JSON string, with escapes of lone surrogates (`\ud800`), which JSON can carry but UTF-8 cannot,
/// as U+FFFD each, which is how OpenIM itself (Go's `encoding/json`) reads them.
///
/// Deserializes only from `serde_json`, and only from text that outlives it: [`serde_json::from_str`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = Scanner::new(raw).string().ok_or_else(|| D::Error::custom("expected a string"))?;
        Ok(Self(text.decoded().into_owned()))
    }
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
