//! The bytes of a message that comes in pieces.

use bytes::Bytes;

/// A message that is said to be no longer gets its memory at once: each time that it moved to a larger place it would leave
/// a gap.
const AT_ONCE: usize = 512 << 10;

/// The pieces of a message; the usual single one is not copied.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    first: Bytes,
    rest: Vec<u8>,
}

impl Chunks {
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// How many bytes of memory all will take once `more` have come. `expected` is the announced length of the message: as
    /// long as it keeps to that, it takes no more.
    pub(crate) fn capacity_with(&self, more: usize, expected: usize) -> usize {
        let needed = self.len() + more;
        if self.len() == 0 || needed <= self.rest.capacity() {
            return needed.max(self.rest.capacity());
        }
        let doubled = needed.max(self.rest.capacity() * 2);
        if expected >= needed { doubled.max(AT_ONCE).min(expected) } else { doubled }
    }

    pub(crate) fn push(&mut self, chunk: Bytes, expected: usize) {
        if self.len() == 0 {
            self.first = chunk;
            return;
        }
        let capacity = self.capacity_with(chunk.len(), expected);
        self.rest.reserve_exact(capacity - self.rest.len());
        self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        self.rest.extend_from_slice(&chunk);
    }

    /// All that has come so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.rest.is_empty() { &self.first } else { &self.rest }
    }

    pub(crate) fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_it_said_it_would() {
        for expected in [0, 1000, 1 << 20] {
            let mut chunks = Chunks::default();
            for length in [10, 0, 500, 7, 4000, 60_000] {
                let said = chunks.capacity_with(length, expected);
                chunks.push(vec![b'x'; length].into(), expected);
                assert!(said >= chunks.len(), "{expected}");
                assert!(chunks.rest.capacity() <= said, "{expected}");
            }
            assert_eq!(chunks.bytes().len(), 64_517);
            assert_eq!(chunks.into_bytes().len(), 64_517);
        }
        let mut exact = Chunks::default();
        exact.push(vec![0; 600].into(), 1000);
        exact.push(vec![0; 400].into(), 1000);
        assert_eq!(exact.rest.capacity(), 1000);
    }
}
