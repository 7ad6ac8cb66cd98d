//! Texts for people: the layout that reports of `check` and `doctor` share, and what others have written, safe to print.

use std::fmt::Write as _;

/// What is shown under a heading begins here.
pub(super) const INDENT: &str = "          ";
/// Columns of a line.
const WIDTH: usize = 110;

/// `words` in lines under a label.
pub(super) fn wrap(text: &mut String, label: &str, words: &str) {
    let mut line = format!("{INDENT}{label}");
    let (margin, mut empty) = (line.chars().count(), true);
    for word in words.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = " ".repeat(margin);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(text, "{line}");
}

/// At most `limit` characters of `text`, in one line, with those escaped that could steer a terminal or the order of
/// what is read. What is cut off ends in `…`.
pub(super) fn safe(text: &str, limit: usize) -> String {
    let mut safe = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == limit {
            safe.push('…');
            break;
        }
        let steers = matches!(char, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
        if char.is_control() || steers {
            let _ = write!(safe, "{}", char.escape_default());
        } else {
            safe.push(char);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_bounded_line_that_steers_nothing() {
        assert_eq!(safe("a\n\x1b[2J\u{9b}\u{202e}é", 99), r"a\n\u{1b}[2J\u{9b}\u{202e}é");
        assert_eq!(safe("äöü", 3), "äöü");
        assert_eq!(safe("äöü", 2), "äö…");
    }
}
