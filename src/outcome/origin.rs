//! Where an answer came from, for whoever looks at the header of it: `send`, `helm test`, curl, proxies. OpenIM looks at no
//! header. What is told here is for operators, and never reaches OpenIM's users, as `errMsg` and `errDlt` do.

use http::HeaderName;

use crate::openim::ReservedCode;
use crate::upstream::ErrorClass;

/// On every response: where it came from.
pub const ORIGIN_HEADER: HeaderName = HeaderName::from_static("openim-bridge");
/// On a response to a rejected request: what would be right.
pub const HINT_HEADER: HeaderName = HeaderName::from_static("openim-bridge-hint");

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The decision service decided.
    Decision,
    /// The fallback policy decided, as there was no decision.
    Fallback(ErrorClass),
    /// The callback is allowed by `decision.enforce_percent`, whatever the service decides.
    Shadow,
    /// OpenIM only tells, and the service is told in the background.
    Queued,
    /// Another receiver answered, which the team already has.
    Forwarded,
    /// The configuration decided, without asking anybody.
    Route,
    /// The request is no callback that the bridge can serve.
    Rejected(ReservedCode),
}

impl Origin {
    /// The value of [`ORIGIN_HEADER`].
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Decision => "decision",
            Self::Shadow => "shadow",
            Self::Queued => "queued",
            Self::Forwarded => "forwarded",
            Self::Route => "route",
            Self::Fallback(class) => match class {
                ErrorClass::Timeout => "fallback; class=timeout",
                ErrorClass::Unavailable => "fallback; class=unavailable",
                ErrorClass::Overloaded => "fallback; class=overloaded",
                ErrorClass::Denied => "fallback; class=denied",
                ErrorClass::Unimplemented => "fallback; class=unimplemented",
                ErrorClass::InvalidReply => "fallback; class=invalid_reply",
                ErrorClass::Internal => "fallback; class=internal",
            },
            Self::Rejected(code) => match code {
                ReservedCode::MalformedBody => "rejected; code=9900",
                ReservedCode::UnservedCommand => "rejected; code=9901",
                ReservedCode::CommandMismatch => "rejected; code=9902",
                ReservedCode::MissingOperationId => "rejected; code=9903",
                ReservedCode::BodyTooLarge => "rejected; code=9904",
                ReservedCode::ContentType => "rejected; code=9905",
                ReservedCode::Method => "rejected; code=9906",
                ReservedCode::Credentials => "rejected; code=9907",
                ReservedCode::ContentTypeParameter => "rejected; code=9908",
                ReservedCode::Address => "rejected; code=9909",
                // Those of fallbacks.
                _ => "rejected",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openim::Rejection;

    #[test]
    fn a_header_has_the_class_or_the_code() {
        for class in ErrorClass::ALL {
            assert_eq!(Origin::Fallback(class).header(), format!("fallback; class={class}"));
        }
        for code in Rejection::ALL.map(Rejection::code) {
            assert_eq!(Origin::Rejected(code).header(), format!("rejected; code={}", code as i32));
        }
    }
}
