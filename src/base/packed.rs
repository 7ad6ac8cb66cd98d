//! Texts that `build.rs` packs, so that the program is smaller by what is only ever shown.

use std::io::Read as _;

use flate2::read::GzDecoder;

/// A text as it was before it was packed with gzip; empty where it was none, which the tests of what is packed exclude.
pub(crate) fn text_of(packed: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(packed).read_to_string(&mut text).map_or_else(|_| String::new(), |_| text)
}
