//! Texts that `build.rs` packs, so that the program is smaller by what is only ever shown.

use std::io::Read as _;

use flate2::read::GzDecoder;

/// A text as it was before it was packed with gzip; empty where it was none, which a test of each one's holds off.
pub(crate) fn text_of(packed: &[u8]) -> String {
    let mut text = String::new();
    match GzDecoder::new(packed).read_to_string(&mut text) {
        Ok(_) => text,
        Err(_) => String::new(),
    }
}
