//! Texts that others have written, safe to show: in one line, bounded, steering no terminal, and without passwords.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// At most `limit` bytes of `text`, in one line. What could steer a terminal or the order of what is read is escaped. What
/// is cut off ends in `…`.
pub(crate) fn one_line(text: &str, limit: usize) -> Cow<'_, str> {
    let cut = &text[..text.floor_char_boundary(limit)];
    if cut.len() == text.len() && !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(cut.len());
    for char in cut.chars() {
        if steers(char) {
            let _ = write!(line, "{}", char.escape_default());
        } else {
            line.push(char);
        }
    }
    if cut.len() < text.len() {
        line.push('…');
    }
    Cow::Owned(line)
}

/// `text` in as many lines as it has. What else could steer a terminal or the order of what is read is escaped as JSON would:
/// JSON stays what it is.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    let is_to_be_escaped = |char| steers(char) && !matches!(char, '\n' | '\t');
    if !text.contains(is_to_be_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 5);
    for char in text.chars() {
        if is_to_be_escaped(char) {
            let _ = write!(shown, "\\u{:04x}", u32::from(char));
        } else {
            shown.push(char);
        }
    }
    Cow::Owned(shown)
}

/// Control characters, line separators, and those that turn the direction of writing.
fn steers(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// The same in quotes, with everything escaped that nobody would see, and how long the whole is where it was cut.
pub(crate) fn quoted(text: &str, limit: usize) -> String {
    let cut = &text[..text.floor_char_boundary(limit)];
    if cut.len() < text.len() { format!("{cut:?}… ({} bytes)", text.len()) } else { format!("{cut:?}") }
}

/// What stands beside the name most like `name`, if one is alike.
pub(crate) fn nearest<T>(name: &str, candidates: impl Iterator<Item = (String, T)>) -> Option<T> {
    /// Below this, a name is not alike but another one.
    const ALIKE: f64 = 0.75;
    let plain = |name: &str| name.to_lowercase().replace(['.', '-'], "_");
    candidates
        .map(|(candidate, value)| (strsim::normalized_damerau_levenshtein(&plain(name), &plain(&candidate)), value))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, value)| value)
}

/// A duration for a line that people read: three digits are enough, and what takes time is never 0.
pub(crate) fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1e3;
    let digits = if millis < 1.0 { 2 } else { usize::from(millis < 10.0) };
    format!("{millis:.digits$} ms")
}

/// A longer source is not searched.
const LONGEST_SOURCE: usize = 64 << 10;
/// What two texts have in common by chance is shorter: six letters, or two Chinese characters.
const COMMON: usize = 6;

/// `text` with `***` in the place of whatever it repeats of `source`, a message in protobuf: a part of six bytes or more, or a
/// shorter value as a word. All of it is, where `source` is too long to be searched.
pub(crate) fn without_quotes(text: &str, source: &[u8]) -> String {
    const HIDDEN: &str = "***";
    if source.len() > LONGEST_SOURCE {
        return HIDDEN.to_owned();
    }
    let key = |part: &[u8]| part.iter().fold(0, |key, byte| key << 8 | u64::from(*byte));
    let mut parts: Vec<(u64, usize)> = text.as_bytes().windows(COMMON).map(key).zip(0..).collect();
    parts.sort_unstable();
    let mut is_hidden = vec![false; text.len()];
    for part in source.windows(COMMON).map(key) {
        let first = parts.partition_point(|(other, _)| *other < part);
        for (_, at) in parts[first..].iter().take_while(|(other, _)| *other == part) {
            is_hidden[*at..*at + COMMON].fill(true);
        }
    }
    for word in text.split(|char: char| !char.is_alphanumeric()).filter(|word| (1..COMMON).contains(&word.len())) {
        // As protobuf has it: its length, and itself.
        let is_value = |found: &[u8]| usize::from(found[0]) == word.len() && found[1..] == *word.as_bytes();
        if source.windows(word.len() + 1).any(is_value) {
            let at = word.as_ptr().addr() - text.as_ptr().addr();
            is_hidden[at..at + word.len()].fill(true);
        }
    }
    let mut shown = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        if !is_hidden[at..at + char.len_utf8()].contains(&true) {
            shown.push(char);
        } else if !shown.ends_with(HIDDEN) {
            shown.push_str(HIDDEN);
        }
    }
    shown
}

/// A URL with `***` in the place of its password. Other texts are as they were.
#[must_use]
pub fn without_password(url: &str) -> String {
    let (start, rest) = url.split_once("://").map_or((0, url), |(scheme, rest)| (scheme.len() + 3, rest));
    // A password may hold what ends an authority, when it is not encoded as it should be.
    let Some(at) = rest.rfind('@') else { return url.to_owned() };
    match rest[..at].find(':') {
        Some(colon) => format!("{}:***{}", &url[..start + colon], &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_bounded_and_steers_nothing() {
        assert_eq!(one_line("a\n\x1b[2J\u{9b}\u{202e}é\u{200f}", 99), r"a\n\u{1b}[2J\u{9b}\u{202e}é\u{200f}");
        assert!(matches!(one_line("äöü", 6), Cow::Borrowed("äöü")));
        assert_eq!(one_line("äöü", 5), "äö…");
        assert_eq!(one_line("a\nb", 2), r"a\n…");
    }

    #[test]
    fn lines_stay_and_what_steers_a_terminal_is_seen() {
        assert_eq!(visible("a\n\tb\r\x1b[2J\u{9b}\u{202e}é"), "a\n\tb\\u000d\\u001b[2J\\u009b\\u202eé");
        let json = serde_json::json!({ "a": "\x1b\u{7f}\u{9b}\u{202e}" });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&visible(&format!("{json:#}"))).expect("JSON"), json);
        assert!(matches!(visible("a\nb"), Cow::Borrowed(_)));
    }

    #[test]
    fn what_repeats_the_question_is_hidden_and_nothing_else() {
        let question = b"\x0a\x02u1\x12\x03Bob\x1a\x0eMy Best Friend\x22\x09\xe4\xbd\xa0\xe5\xa5\xbd\xe5\x90\x97";
        for (text, shown) in [
            ("no row for u1 in db-2, Bob", "no row for *** in db-2, ***"),
            ("cannot store `My Best Friend`: disk full", "cannot store `***`: disk full"),
            ("too long: My Best Fr…", "too long: ***…"),
            ("\u{4f60}\u{597d} is not allowed", "*** is not allowed"),
            ("dial tcp 10.0.0.7:3306: connection refused", "dial tcp 10.0.0.7:3306: connection refused"),
            ("", ""),
        ] {
            assert_eq!(without_quotes(text, question), shown);
        }
        assert_eq!(without_quotes("anything", &vec![0; LONGEST_SOURCE + 1]), "***");
    }

    #[test]
    fn a_short_time_is_not_shown_as_none() {
        for (micros, shown) in
            [(42, "0.04 ms"), (300, "0.30 ms"), (1_250, "1.2 ms"), (12_600, "13 ms"), (2_000_000, "2000 ms")]
        {
            assert_eq!(millis(Duration::from_micros(micros)), shown);
        }
    }

    #[test]
    fn what_is_quoted_says_how_long_it_was() {
        assert_eq!(quoted("a\n\x1b[2J\u{202e}é\u{200d}", 99), r#""a\n\u{1b}[2J\u{202e}é\u{200d}""#);
        assert_eq!(quoted(&"a".repeat(10_240), 3), "\"aaa\"… (10240 bytes)");
    }
}
