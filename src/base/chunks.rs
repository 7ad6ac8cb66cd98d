//! The bytes of a message that comes in pieces.

use bytes::{Bytes, BytesMut};

/// The pieces of a message; the usual single one is not copied.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    first: Bytes,
    rest: BytesMut,
}

impl Chunks {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        if !self.first.is_empty() {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&chunk);
    }

    /// All that has come so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}
