//! A message that comes in, counted in the process's memory as it grows.

use std::sync::Arc;

use bytes::Bytes;

use super::error::CallError;
use crate::base::{
    chunks::Chunks,
    memory::{Gauge, Permit, SMALL},
};

/// A message up to here is part of what is held for every callback.
const UNCOUNTED: usize = 1 << 10;

/// What has come of a message, and what it holds of the process's memory once it is long.
#[derive(Debug, Default)]
pub(super) struct IncomingMessage<'a> {
    chunks: Chunks,
    memory: Option<&'a Arc<Gauge>>,
    held: Option<Permit>,
}

impl<'a> IncomingMessage<'a> {
    pub(super) fn counted_in(memory: Option<&'a Arc<Gauge>>) -> Self {
        Self { memory, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// All that has come so far.
    pub(super) fn bytes(&self) -> &[u8] {
        self.chunks.bytes()
    }

    /// Adds a piece, unless the limit leaves no room for it. `expected`: the message's announced length, or 0.
    pub(super) fn push(&mut self, chunk: Bytes, expected: usize) -> Result<(), CallError> {
        let bytes = self.chunks.capacity_with(chunk.len(), expected);
        if let Some(memory) = self.memory.filter(|_| bytes > UNCOUNTED) {
            let held = self.held.get_or_insert_with(|| memory.hold(0));
            if !held.grow_of(bytes > SMALL, bytes.saturating_sub(held.amount())) {
                return Err(CallError::Limit("limits.body_bytes"));
            }
        }
        self.chunks.push(chunk, expected);
        Ok(())
    }

    /// The message, and what it holds for as long as it is there.
    pub(super) fn done(self) -> (Bytes, Option<Permit>) {
        (self.chunks.into_bytes(), self.held)
    }
}
