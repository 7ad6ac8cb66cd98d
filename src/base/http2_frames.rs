//! The heads of HTTP/2 frames (RFC 9113, section 4.1), read off the bytes of a connection without the payloads. HTTP/2
//! itself is h2's: this is for what h2 has no setting for.
//!
//! Called by the listener and by the connections to the decision service, for every byte that they read.

/// The bytes of a frame's head.
pub(crate) const HEAD: usize = 9;

// RFC 9113, section 6.
pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const GOAWAY: u8 = 0x7;
pub(crate) const CONTINUATION: u8 = 0x9;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// What a client sends before its first frame.
pub(crate) const PREFACE_BYTES: u32 = 24;

/// A frame without its stream and its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Of the payload, in bytes.
    pub(crate) length: u32,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
}

impl FrameHead {
    pub(crate) const fn of(bytes: [u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, ..] = bytes;
        Self { length: u32::from_be_bytes([0, a, b, c]), kind, flags }
    }

    /// Whether it is a DATA frame with nothing in it, that ends nothing.
    pub(crate) const fn says_nothing(self) -> bool {
        self.length == 0 && self.kind == DATA && self.flags & END_STREAM == 0
    }
}

/// Follows the bytes of one side of a connection from frame to frame.
#[derive(Debug)]
pub(crate) struct FrameHeads {
    /// So many bytes come before the next head.
    skip: u32,
    /// The beginning of a head whose rest has not come.
    head: [u8; HEAD],
    /// How many bytes of it are there.
    there: usize,
}

impl FrameHeads {
    /// From the start of a connection on which a client speaks.
    pub(crate) const fn of_client() -> Self {
        Self { skip: PREFACE_BYTES, head: [0; HEAD], there: 0 }
    }

    /// Tells `each` of the frames that begin in `bytes`, which come next.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHead)) {
        loop {
            let skipped = bytes.len().min(self.skip as usize);
            bytes = &bytes[skipped..];
            // At most what it was.
            self.skip -= u32::try_from(skipped).unwrap_or(self.skip);
            if bytes.is_empty() {
                return;
            }
            let head = match bytes.first_chunk::<HEAD>() {
                Some(head) if self.there == 0 => {
                    bytes = &bytes[HEAD..];
                    *head
                }
                _ => {
                    let taken = bytes.len().min(HEAD - self.there);
                    self.head[self.there..][..taken].copy_from_slice(&bytes[..taken]);
                    self.there += taken;
                    if self.there < HEAD {
                        return;
                    }
                    bytes = &bytes[taken..];
                    self.there = 0;
                    self.head
                }
            };
            let head = FrameHead::of(head);
            self.skip = head.length;
            each(head);
        }
    }

    /// Whether the next byte is the first one of a frame.
    pub(crate) const fn is_between(&self) -> bool {
        self.skip == 0 && self.there == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    #[test]
    fn every_frame_is_seen_however_its_bytes_come() {
        let bytes = [
            vec![b'x'; PREFACE_BYTES as usize],
            frame(SETTINGS, 0, &[]),
            frame(HEADERS, END_HEADERS, &[7; 300]),
            frame(DATA, 0, &[]),
            frame(DATA, END_STREAM, &[8; 3]),
        ]
        .concat();
        for step in 1..=bytes.len() {
            let (mut heads, mut seen) = (FrameHeads::of_client(), Vec::new());
            for part in bytes.chunks(step) {
                heads.read(part, |head| seen.push((head.kind, head.length, head.says_nothing())));
            }
            assert_eq!(seen, [(4, 0, false), (1, 300, false), (0, 0, true), (0, 3, false)], "{step}");
            assert!(heads.is_between());
        }
    }
}
