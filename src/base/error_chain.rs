//! An error with what brought it on. A JSON log line would hold no more of an error than its first text.

use std::{error::Error, iter};

/// An error and its sources, the outermost first.
pub(crate) fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

/// All of their texts, in one line.
pub(crate) fn text(error: &(dyn Error + 'static)) -> String {
    sources(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
