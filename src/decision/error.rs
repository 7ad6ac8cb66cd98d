//! The error classes: why a callback got no decision from the App.

use std::fmt;

use crate::openim::ReservedCode;

/// Why there is no decision. The order is the order of the reserved codes 9920 to 9926.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorClass {
    /// The deadline passed: while waiting, connecting, calling or retrying; or the service said so.
    Timeout,
    /// No connection could be had, the connection broke, or the service said UNAVAILABLE.
    Unavailable,
    /// One of the bridge's own limits, or the service said `RESOURCE_EXHAUSTED`.
    Overloaded,
    /// `UNAUTHENTICATED` or `PERMISSION_DENIED`: the mesh or the service turned the bridge away, not the user.
    Denied,
    /// The service lacks this rpc.
    Unimplemented,
    /// A reply that does not decode, or that holds no valid decision.
    InvalidReply,
    /// Every other status; a panic in the bridge.
    Internal,
}

impl ErrorClass {
    /// Every class, in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Timeout,
        Self::Unavailable,
        Self::Overloaded,
        Self::Denied,
        Self::Unimplemented,
        Self::InvalidReply,
        Self::Internal,
    ];

    /// The name in configuration, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Overloaded => "overloaded",
            Self::Denied => "denied",
            Self::Unimplemented => "unimplemented",
            Self::InvalidReply => "invalid_reply",
            Self::Internal => "internal",
        }
    }

    /// The reserved code of a fallback refusal.
    #[must_use]
    pub const fn code(self) -> ReservedCode {
        match self {
            Self::Timeout => ReservedCode::Timeout,
            Self::Unavailable => ReservedCode::Unavailable,
            Self::Overloaded => ReservedCode::Overloaded,
            Self::Denied => ReservedCode::Denied,
            Self::Unimplemented => ReservedCode::Unimplemented,
            Self::InvalidReply => ReservedCode::InvalidReply,
            Self::Internal => ReservedCode::Internal,
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
