//! The layout that the reports of `check` and `doctor` share.

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
