//! Reads JSON (RFC 8259) a value at a time. Everything is `None` that is no JSON, or not what was asked for.

use std::borrow::Cow;

/// How deep arrays and objects may lie in each other.
pub(crate) const NESTING: usize = 128;

/// A place in a JSON text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

/// A JSON string, without its quotes. It has been checked.
#[derive(Clone, Copy)]
pub(crate) struct JsonString<'a> {
    raw: &'a str,
    has_escapes: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next value begins, or what else comes next.
    pub(crate) fn place(&mut self) -> usize {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.as_bytes().get(self.at) {
            self.at += 1;
        }
        self.at
    }

    /// Where what was read last ended.
    pub(crate) const fn end(&self) -> usize {
        self.at
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Whether this comes next.
    pub(crate) fn place_is(&mut self, byte: u8) -> bool {
        self.place();
        self.byte() == Some(byte)
    }

    /// Whether this comes next; then it is read.
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        self.place();
        let is_next = self.byte() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Option<()> {
        self.take(byte).then_some(())
    }

    /// Whether this literal comes next; then it is read.
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        let at = self.place();
        let is_next = self.text.as_bytes().get(at..).is_some_and(|rest| rest.starts_with(word.as_bytes()));
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.place() == self.text.len()
    }

    pub(crate) fn string(&mut self) -> Option<JsonString<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut has_escapes = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..)?;
            self.at += plain_length(rest)?;
            match self.byte()? {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    self.at += 1;
                    match self.byte()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at + 1..self.at + 5)?;
                            digits.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                            self.at += 5;
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
        let raw = self.text.get(start..self.at)?;
        self.at += 1;
        Some(JsonString { raw, has_escapes })
    }

    /// A whole number, without fraction and exponent.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let start = self.place();
        self.number()?;
        self.text.get(start..self.at)?.parse().ok()
    }

    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.byte() == Some(b'-'));
        match self.byte()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    /// Passes over a value in which arrays and objects lie no deeper than so many. Needs no stack of its own.
    pub(crate) fn skip(&mut self, most: usize) -> Option<()> {
        // A bit for each that is open: 1 for an object.
        let (mut open, mut depth) = (0_u128, 0);
        loop {
            self.place();
            match self.byte()? {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    depth += 1;
                    (depth <= most).then_some(())?;
                    let is_object = bracket == b'{';
                    open = open << 1 | u128::from(is_object);
                    self.place();
                    if self.byte()? != closing(is_object) {
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                }
                b'"' => _ = self.string()?,
                b't' => self.take_word("true").then_some(())?,
                b'f' => self.take_word("false").then_some(())?,
                b'n' => self.take_word("null").then_some(())?,
                _ => self.number()?,
            }
            // After a value, what is open may close, and something else begin.
            loop {
                if depth == 0 {
                    return Some(());
                }
                let is_object = open & 1 == 1;
                if self.take(closing(is_object)) {
                    depth -= 1;
                    open >>= 1;
                    continue;
                }
                self.expect(b',')?;
                if is_object {
                    self.key()?;
                }
                break;
            }
        }
    }

    /// The key of an object's next member, and the colon.
    pub(crate) fn key(&mut self) -> Option<JsonString<'a>> {
        let key = self.string()?;
        self.expect(b':')?;
        Some(key)
    }
}

/// How many bytes of a string come before its end, an escape or what must not be there. `None`: all of them.
///
/// Looks at eight at a time: most JSON is text.
fn plain_length(text: &[u8]) -> Option<usize> {
    // Each byte's highest bit tells whether it is less than `least`, up to the first one that is.
    let less = |eight: u64, least: u8| eight.wrapping_sub(EACH * u64::from(least)) & !eight & (EACH << 7);
    let is = |eight: u64, byte: u8| less(eight ^ (EACH * u64::from(byte)), 1);
    let (chunks, rest) = text.as_chunks();
    for (number, chunk) in chunks.iter().enumerate() {
        let eight = u64::from_le_bytes(*chunk);
        let found = is(eight, b'"') | is(eight, b'\\') | less(eight, b' ');
        if found != 0 {
            return Some(number * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let last = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '))?;
    Some(chunks.len() * 8 + last)
}

/// 1 in each of eight bytes.
const EACH: u64 = u64::from_ne_bytes([1; 8]);

const fn closing(is_object: bool) -> u8 {
    if is_object { b'}' } else { b']' }
}

impl<'a> JsonString<'a> {
    pub(crate) fn is(self, text: &str) -> bool {
        // Nothing becomes longer.
        self.raw == text || (self.has_escapes && self.raw.len() > text.len() && self.decoded() == text)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// The text as it stands there, where nothing is escaped in it.
    pub(crate) fn plain(self) -> Option<&'a str> {
        (!self.has_escapes).then_some(self.raw)
    }

    pub(crate) fn decoded(self) -> Cow<'a, str> {
        if !self.has_escapes {
            return Cow::Borrowed(self.raw);
        }
        let mut decoded = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some((plain, escape)) = rest.split_once('\\') {
            decoded.push_str(plain);
            let (character, length) = unescaped(escape);
            decoded.push(character);
            rest = escape.get(length..).unwrap_or_default();
        }
        decoded.push_str(rest);
        Cow::Owned(decoded)
    }
}

/// What stands behind a backslash, and how long it is. A surrogate without its other half is U+FFFD, which is how Go's
/// `encoding/json` reads it.
fn unescaped(escape: &str) -> (char, usize) {
    let unit = |at: usize| escape.get(at..at + 4).and_then(|digits| u16::from_str_radix(digits, 16).ok());
    match escape.as_bytes().first() {
        Some(b'b') => ('\u{8}', 1),
        Some(b'f') => ('\u{c}', 1),
        Some(b'n') => ('\n', 1),
        Some(b'r') => ('\r', 1),
        Some(b't') => ('\t', 1),
        Some(b'u') => {
            let first = unit(1).unwrap_or_default();
            let second = escape.get(5..7).filter(|next| *next == "\\u").and_then(|_| unit(7));
            let pair = char::decode_utf16([first].into_iter().chain(second)).next();
            match pair {
                Some(Ok(character)) => (character, if character.len_utf16() == 2 { 11 } else { 5 }),
                _ => (char::REPLACEMENT_CHARACTER, 5),
            }
        }
        Some(other) => (char::from(*other), 1),
        None => (char::REPLACEMENT_CHARACTER, 0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;

    use super::*;

    fn string(json: &str) -> Option<String> {
        let mut scanner = Scanner::new(json);
        let string = scanner.string()?.decoded().into_owned();
        scanner.is_at_end().then_some(string)
    }

    #[test]
    fn a_string_is_what_go_would_read() {
        for (json, text) in [
            (r#""a\u0000\"é 😀""#, "a\0\"é 😀"),
            (r#""\b\f\n\r\t\/\\""#, "\u{8}\u{c}\n\r\t/\\"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""a\ud800b\udc00""#, "a\u{fffd}b\u{fffd}"),
            (r#""\ud800\ud800""#, "\u{fffd}\u{fffd}"),
            (r#""\udfff\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud800\u0041""#, "\u{fffd}A"),
            (r#""\ud800\n""#, "\u{fffd}\n"),
        ] {
            assert_eq!(string(json).as_deref(), Some(text), "{json}");
        }
        for json in
            ["\"a\nb\"", "\"\0\"", "\"\\ud800\n\"", r#""\ud80""#, r#""\x""#, r#"""#, r#""\"#, "1", "null", "[97]"]
        {
            assert_eq!(string(json), None, "{json:?}");
        }
    }

    #[test]
    fn nesting_is_limited_and_counted_outside_of_strings() {
        let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
        for inner in ["1", r#""[{""#, r#""\"[","\\",{}"#, "[],{},[]"] {
            let own = usize::from(inner.contains("{}"));
            assert!(Scanner::new(&nested(NESTING - own, inner)).skip(NESTING).is_some(), "{inner}");
            assert!(Scanner::new(&nested(NESTING - own + 1, inner)).skip(NESTING).is_none(), "{inner}");
        }
    }

    proptest::proptest! {
        #[test]
        fn plain_text_ends_where_it_does_byte_by_byte(plain in vec(b'#'..=u8::MAX, 0..24), rest: Vec<u8>) {
            let text = [plain, rest].concat();
            let one_by_one = text.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..b' '));
            proptest::prop_assert_eq!(plain_length(&text), one_by_one);
        }

        /// What serde_json takes for JSON, and nothing else.
        #[test]
        fn json_is_what_it_is_for_others(json in r#"[ \[\]{},:"a\\u0d8-9.eE+truefalsn-]{0,24}"#) {
            let mut scanner = Scanner::new(&json);
            let is_json = scanner.skip(NESTING).is_some() && scanner.is_at_end();
            // Which reads the texts, and so minds surrogates; passed over, they are not minded.
            proptest::prop_assert_eq!(is_json, serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok());
        }
    }
}
