//! What a command makes of a page: the text between two markers.

use std::{fs, path::Path};

use anyhow::Context as _;

/// Puts `text` between the markers of `command` in the file `docs`.
///
/// # Errors
///
/// When the file cannot be read or written, or does not hold them.
pub fn write(docs: &Path, command: &str, text: &str) -> anyhow::Result<()> {
    let old = fs::read_to_string(docs).with_context(|| format!("cannot read {}", docs.display()))?;
    let (begin, end) = markers(command);
    let new = between(&old, &begin, &end, text)
        .with_context(|| format!("{} does not hold the lines\n{begin}\n{end}", docs.display()))?;
    fs::write(docs, new).with_context(|| format!("cannot write {}", docs.display()))
}

fn markers(command: &str) -> (String, String) {
    (format!("<!-- made by `{command}`: begin -->"), format!("<!-- made by `{command}`: end -->"))
}

fn between(old: &str, begin: &str, end: &str, text: &str) -> Option<String> {
    let (before, rest) = old.split_once(begin)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{begin}\n\n{text}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let (begin, end) = markers("just it");
        let old = format!("# Title\n\n{begin}\nold\n{end}\n\nmore\n");
        let new = between(&old, &begin, &end, "new\n").expect("both markers");
        assert_eq!(new, format!("# Title\n\n{begin}\n\nnew\n\n{end}\n\nmore\n"));
        assert_eq!(between(&new, &begin, &end, "new\n"), Some(new.clone()));
        assert_eq!(between("nothing", &begin, &end, "new"), None);
    }
}
