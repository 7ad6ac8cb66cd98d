//! The frame in which gRPC sends a message: a flag for compression, which is never set here, and the message's length.
//! Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use bytes::Bytes;

/// What stands before a message.
pub(crate) const HEAD: usize = 5;

/// A frame that awaits its message, with room for one of so many bytes.
pub(crate) fn begun(capacity: usize) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + capacity);
    frame.extend_from_slice(&[0; HEAD]);
    frame
}

/// The frame, with its message written behind the head.
pub(crate) fn ended(mut frame: Vec<u8>) -> Bytes {
    // No message here is that long.
    let length = u32::try_from(frame.len() - HEAD).unwrap_or(u32::MAX);
    frame[1..HEAD].copy_from_slice(&length.to_be_bytes());
    frame.into()
}

/// A message in its frame.
pub(crate) fn of(message: &[u8]) -> Bytes {
    let mut frame = begun(message.len());
    frame.extend_from_slice(message);
    ended(frame)
}
