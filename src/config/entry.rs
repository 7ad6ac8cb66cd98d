//! One value that one layer gives to a setting.

use serde_json::Value as Json;

use super::error::ValueSource;
use super::leaf::Leaf;

/// One value that one layer gives to a setting.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) leaf: &'static Leaf,
    pub(super) value: Json,
    pub(super) source: ValueSource,
}
