//! Why a callback got no decision: what went wrong, and its class.

use std::{fmt, io, sync::Arc, time::Duration};

use http::StatusCode;
use tonic::{Code, Status};

use super::address::Target;
use crate::base::{
    grpc_status,
    text::{one_line, without_quotes},
};
use crate::callback::InvalidDecision;
use crate::openim::{ReservedCode, ServiceCodes};

/// An error that comes with less than this left is a matter of the deadline: a server enforces `grpc-timeout` too, and
/// its CANCELLED races the bridge's own timer.
const DEADLINE_MARGIN: Duration = Duration::from_millis(10);

/// Why there is no decision. The order is the order of the reserved codes 9920 to 9926.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum ErrorClass {
    /// The deadline passed: while waiting, connecting, calling or retrying; or the service returned that status.
    Timeout,
    /// Connecting failed, the connection broke, or the service returned UNAVAILABLE.
    Unavailable,
    /// One of the bridge's own limits, or the service returned `RESOURCE_EXHAUSTED`.
    Overloaded,
    /// `UNAUTHENTICATED` or `PERMISSION_DENIED`: the mesh or the service rejected the bridge, not the user.
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
        f.write_str(self.into_str())
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The deadline passed first.
    #[error("no reply before the deadline")]
    Deadline,
    #[error("{0} is reached")]
    Limit(&'static str),
    /// Every endpoint is ejected.
    #[error("no endpoint of the decision service is healthy")]
    NoEndpoint,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The connection broke, or the peer gave the request up, before there was a reply.
    #[error("the connection to the decision service broke")]
    Broken {
        /// Whether the call may be retried.
        retry: Retry,
        #[source]
        error: Box<h2::Error>,
    },
    /// The service really sent this status.
    #[error("the decision service answered {}", in_words(.0))]
    Status(Box<Status>),
    /// A request could not be forwarded, or its answer not be passed on.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The reply does not decode, or holds no valid decision.
    #[error("the reply holds no valid decision: {0}")]
    InvalidReply(InvalidDecision),
    /// The reply refuses, with a code that is not among `allowed`.
    #[error(
        "the service refuses with code {code}, which is not one of {allowed}: sent as {}; its message: {message}",
        ReservedCode::InvalidReply as i32
    )]
    RefusalCode {
        code: i32,
        allowed: Box<ServiceCodes>,
        /// The beginning of it, without what it repeats of the question.
        message: Box<str>,
    },
    /// A unary reply has one.
    #[error("the reply holds more than one message")]
    TwoMessages,
}

/// How much of a status's message is logged.
const STATUS_MESSAGE: usize = 256;

/// The name of the status and its message, as the service wrote them.
fn in_words(status: &Status) -> String {
    let name = grpc_status::name(status.code());
    match status.message() {
        "" => name.to_owned(),
        message => format!("{name}: {}", one_line(message, STATUS_MESSAGE)),
    }
}

/// Why a forwarded request has no answer that OpenIM could be given.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// The connection broke. The receiver may have read the request.
    #[error("the connection to the receiver broke")]
    Broken(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// A new connection was closed before anything of the request was written.
    #[error("the receiver closed the connection at once")]
    Closed,
    /// OpenIM follows no redirect of a POST.
    #[error("the receiver answered {}, a redirect, which OpenIM does not follow for a POST", .0.as_u16())]
    Redirect(StatusCode),
    #[error("the receiver answered {} without a body", .0.as_u16())]
    NoBody(StatusCode),
    #[error("the receiver's answer is larger than 1 MiB")]
    TooLarge,
    /// The request's own path and query do not go with it.
    #[error("the command does not fit behind `forward.url`")]
    Url,
    /// It was set while the bridge ran.
    #[error("there is no receiver yet: `forward.url` needs a restart")]
    NotStarted,
}

impl ForwardError {
    pub(super) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Broken(Arc::new(error))
    }
}

/// Whether a call may be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The service has not seen it, since its connection was closing: on another one at once, which is no retry.
    Unsent,
    /// The service has not looked at it.
    Free,
    /// The service may have seen it, but nothing of a reply had come: as far as the budget allows.
    Budgeted,
    /// A reply had begun, or the error is the service's own answer.
    Never,
}

impl CallError {
    /// The class, given what was left of the deadline when the error came.
    #[must_use]
    pub fn class(&self, remaining: Duration) -> ErrorClass {
        if remaining < DEADLINE_MARGIN {
            return ErrorClass::Timeout;
        }
        match self {
            Self::Deadline => ErrorClass::Timeout,
            Self::Limit(_) => ErrorClass::Overloaded,
            Self::NoEndpoint
            | Self::Connect(_)
            | Self::Broken { .. }
            | Self::Forward(ForwardError::Broken(_) | ForwardError::Closed | ForwardError::NotStarted) => {
                ErrorClass::Unavailable
            }
            Self::InvalidReply(_)
            | Self::TwoMessages
            | Self::RefusalCode { .. }
            | Self::Forward(ForwardError::Redirect(_) | ForwardError::NoBody(_) | ForwardError::TooLarge) => {
                ErrorClass::InvalidReply
            }
            Self::Forward(ForwardError::Url) => ErrorClass::Internal,
            Self::Status(status) => match status.code() {
                Code::DeadlineExceeded | Code::Cancelled => ErrorClass::Timeout,
                Code::Unavailable => ErrorClass::Unavailable,
                Code::ResourceExhausted => ErrorClass::Overloaded,
                Code::Unauthenticated | Code::PermissionDenied => ErrorClass::Denied,
                Code::Unimplemented => ErrorClass::Unimplemented,
                _ => ErrorClass::Internal,
            },
        }
    }

    /// The reply refuses `question`, with a code that is not allowed.
    pub(crate) fn refusal_code(code: i32, allowed: &ServiceCodes, message: &str, question: &[u8]) -> Self {
        let message = without_quotes(&one_line(message, STATUS_MESSAGE), question).into();
        Self::RefusalCode { code, allowed: Box::new(allowed.clone()), message }
    }

    /// The same where a service's message may repeat what its users wrote, as far as it stands in the question.
    pub(super) fn without_quotes(self, question: &[u8]) -> Self {
        match self {
            Self::Status(status) if !status.message().is_empty() => {
                let message = one_line(status.message(), STATUS_MESSAGE);
                Self::Status(Box::new(Status::new(status.code(), without_quotes(&message, question))))
            }
            error => error,
        }
    }

    /// The status, as gRPC's own clients would report it.
    pub(super) fn code(&self) -> Code {
        match self {
            Self::Deadline => Code::DeadlineExceeded,
            Self::Limit(_) => Code::ResourceExhausted,
            Self::NoEndpoint | Self::Connect(_) | Self::Broken { .. } | Self::Forward(_) => Code::Unavailable,
            Self::Status(status) => status.code(),
            Self::InvalidReply(_) | Self::RefusalCode { .. } => Code::Ok,
            Self::TwoMessages => Code::Internal,
        }
    }

    pub(super) fn retry(&self) -> Retry {
        match self {
            Self::Connect(_) => Retry::Free,
            Self::Broken { retry, .. } => *retry,
            Self::Status(status) if status.code() == Code::Unavailable => Retry::Budgeted,
            _ => Retry::Never,
        }
    }
}

impl ConnectError {
    /// Whether nobody was there: a service that has not started yet looks so.
    pub(super) const fn is_of_network(&self) -> bool {
        matches!(self, Self::Io(..) | Self::Name(_) | Self::NoAddress | Self::Timeout(_))
    }
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum ConnectError {
    /// Name, network or peer.
    #[error("cannot connect to {0}")]
    Io(Target, #[source] Arc<io::Error>),
    /// Its name does not resolve.
    #[error("the receiver's name does not resolve")]
    Name(#[source] Arc<dyn std::error::Error + Send + Sync>),
    #[error("the receiver has no address")]
    NoAddress,
    #[error("cannot connect to {0} in time")]
    Timeout(Target),
    /// The handshake failed: not TLS, a certificate that is not trusted, or one of another name.
    #[error("no TLS connection to {0}: {1}")]
    Tls(Target, Arc<io::Error>),
    /// The peer does not offer HTTP/2 over TLS.
    #[error("{0} did not agree on HTTP/2 (`h2`) by ALPN")]
    Alpn(Target),
    /// The peer did not take the HTTP/2 preface.
    #[error("{0} does not speak HTTP/2")]
    Handshake(Target, #[source] Arc<h2::Error>),
    /// The peer speaks something else.
    #[error("no HTTP/2 connection to {0}")]
    Protocol(Target, #[source] Arc<h2::Error>),
    /// It was made, and closed before anything could be sent on it.
    #[error("{0} closes connections at once (if it expects TLS, its address must begin with https://)")]
    Closed(Target, #[source] Option<Arc<h2::Error>>),
    /// The same, over TLS. In TLS 1.3 a peer looks at the bridge's certificate when the connection is made; why it closes
    /// does not always get through.
    #[error(
        "{0} closes TLS connections at once: does it ask for a certificate, or not accept that in `upstream.tls.cert`?"
    )]
    ClosedTls(Target, #[source] Option<Arc<h2::Error>>),
    #[error("the bridge is stopping")]
    Stopping,
}
