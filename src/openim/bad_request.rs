//! What the bridge turns away, each kind with its reserved code, its status and its text.

use http::StatusCode;

use super::{Refusal, ReservedCode};

/// Why a request is turned away without asking the decision service. Listed in the order in which they are checked.
///
/// The texts are for whoever set OpenIM up, and say nothing about the bridge's inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BadRequest {
    /// The peer's address is not allowed.
    Address,
    /// The credentials are missing or wrong.
    Credentials,
    /// The method is not POST.
    Method,
    /// The URL names no command.
    CommandMissing,
    /// The URL's query has swallowed the command.
    CommandSwallowed,
    /// The URL names a command that is not served.
    CommandUnserved,
    /// The URL's parameter `contenttype` is not `json`.
    ContentTypeParameter,
    /// The content type is missing or not JSON.
    ContentType,
    /// The header `operationID` is missing or empty.
    OperationId,
    /// The body is too large.
    BodyTooLarge,
    /// The body did not come in whole before the deadline, or its connection broke.
    BodyIncomplete,
    /// The body is malformed, or a field is missing or of the wrong type.
    BodyMalformed,
    /// The URL names one command as a parameter, and another served one in its path.
    CommandAmbiguous,
    /// The command in the body is another than the URL's.
    CommandMismatch,
}

impl BadRequest {
    /// Every kind, in the order in which they are checked.
    pub const ALL: [Self; 14] = [
        Self::Address,
        Self::Credentials,
        Self::Method,
        Self::CommandMissing,
        Self::CommandSwallowed,
        Self::CommandUnserved,
        Self::ContentTypeParameter,
        Self::ContentType,
        Self::OperationId,
        Self::BodyTooLarge,
        Self::BodyIncomplete,
        Self::BodyMalformed,
        Self::CommandAmbiguous,
        Self::CommandMismatch,
    ];

    /// The name in logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Credentials => "credentials",
            Self::Method => "method",
            Self::CommandMissing => "command_missing",
            Self::CommandSwallowed => "command_swallowed",
            Self::CommandUnserved => "command_unserved",
            Self::CommandAmbiguous => "command_ambiguous",
            Self::ContentTypeParameter => "content_type_parameter",
            Self::ContentType => "content_type",
            Self::OperationId => "operation_id",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyIncomplete => "body_incomplete",
            Self::BodyMalformed => "body_malformed",
            Self::CommandMismatch => "command_mismatch",
        }
    }

    /// `errCode`.
    #[must_use]
    pub const fn code(self) -> ReservedCode {
        match self {
            Self::Address => ReservedCode::Address,
            Self::Credentials => ReservedCode::Credentials,
            Self::Method => ReservedCode::Method,
            Self::CommandMissing | Self::CommandSwallowed | Self::CommandUnserved => ReservedCode::UnservedCommand,
            Self::ContentTypeParameter => ReservedCode::ContentTypeParameter,
            Self::ContentType => ReservedCode::ContentType,
            Self::OperationId => ReservedCode::MissingOperationId,
            Self::BodyTooLarge => ReservedCode::BodyTooLarge,
            Self::BodyIncomplete | Self::BodyMalformed => ReservedCode::MalformedBody,
            Self::CommandAmbiguous | Self::CommandMismatch => ReservedCode::CommandMismatch,
        }
    }

    /// The HTTP status, which is for people and proxies: OpenIM never looks at it.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Address => StatusCode::FORBIDDEN,
            Self::Credentials => StatusCode::UNAUTHORIZED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::CommandMissing | Self::CommandSwallowed | Self::CommandUnserved => StatusCode::NOT_FOUND,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::CommandAmbiguous
            | Self::ContentTypeParameter
            | Self::OperationId
            | Self::BodyIncomplete
            | Self::BodyMalformed
            | Self::CommandMismatch => StatusCode::BAD_REQUEST,
        }
    }

    /// `errMsg` and `errDlt`: what is wrong, and what would be right.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::Address => ("This address may not call", ""),
            Self::Credentials => ("Credentials are missing or wrong", ""),
            Self::Method => ("The method must be POST", ""),
            Self::CommandMissing => (
                "The URL names no callback command",
                "Expected PREFIX/COMMAND or PREFIX?command=COMMAND; OpenIM appends /COMMAND to the text of `url` in \
                 webhooks.yml, where a `#` would make it lose the command",
            ),
            Self::CommandSwallowed => (
                "The URL's query has swallowed the callback command",
                "OpenIM appends /COMMAND to the text of `url` in webhooks.yml: remove the `?` and all behind it there",
            ),
            Self::CommandUnserved => (
                "This callback command is not served here",
                "Disable the callback in webhooks.yml, or set `commands.unserved: allow`",
            ),
            Self::CommandAmbiguous => ("The URL names two different callback commands", ""),
            Self::ContentTypeParameter => (
                "The URL's parameter contenttype must be json",
                "If `url` in webhooks.yml holds a `?`: OpenIM appends /COMMAND to its text, so remove the `?` and all \
                 behind it there",
            ),
            Self::ContentType => ("The content type must be application/json", ""),
            Self::OperationId => ("The header operationID is missing or empty", ""),
            Self::BodyTooLarge => ("The body is too large", ""),
            Self::BodyIncomplete => ("The body did not arrive whole in time", ""),
            Self::BodyMalformed => (
                "The body is not this callback's JSON",
                "Expected a JSON object with this callback's fields, each there once and of its type",
            ),
            Self::CommandMismatch => ("The command in the body is another than the one in the URL", ""),
        }
    }

    /// The refusal that OpenIM is told.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        let (message, detail) = self.texts();
        Refusal { code: self.code().into(), message: message.to_owned(), detail: detail.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_name() {
        let mut names = BadRequest::ALL.map(BadRequest::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), BadRequest::ALL.len());
    }

    #[test]
    fn no_refusal_is_without_a_text() {
        assert!(BadRequest::ALL.iter().all(|bad| !bad.refusal().message.is_empty()));
    }
}
