//! What holds for a connection whatever it speaks.

/// The longest head that is read over HTTP/1.1. Operation IDs of 10 kB and more are seen.
pub(super) const HEAD_BYTES: usize = 64 << 10;

/// How a connection ended: for the log alone.
pub(super) type Ended = Result<(), Box<dyn std::error::Error>>;
