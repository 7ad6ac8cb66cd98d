//! The layout that the reports of `check` and `doctor` share.

use std::fmt::Write as _;

use super::terminal::{COLUMNS, columns};

/// What is shown under a heading begins here.
pub(super) const INDENT: &str = "          ";

/// `words` in lines under a label, as wide as the terminal is but no wider than can be read.
pub(super) fn wrap(text: &mut String, label: &str, words: &str) {
    wrap_at(columns().min(COLUMNS), text, format!("{INDENT}{label}"), words);
}

/// `words` in lines of so many columns behind `line`, under each other.
pub(super) fn wrap_at(width: usize, text: &mut String, mut line: String, words: &str) {
    let (margin, mut empty) = (line.chars().count(), true);
    for word in words.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > width {
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
