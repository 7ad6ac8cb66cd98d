//! What the bridge rejects, each kind with its reserved code, its status and its text.

use http::StatusCode;

use super::{Refusal, ReservedCode};

/// Why a request is rejected without asking the decision service. Listed in the order in which they are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rejection {
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

impl Rejection {
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

    /// `errMsg`: what is wrong. It reaches OpenIM's users.
    const fn message(self) -> &'static str {
        match self {
            Self::Address => "This address may not call",
            Self::Credentials => "Credentials are missing or wrong",
            Self::Method => "The method must be POST",
            Self::CommandMissing => "The URL names no callback command",
            Self::CommandSwallowed => "The URL's query has swallowed the callback command",
            Self::CommandUnserved => "This callback command is not served here",
            Self::CommandAmbiguous => "The URL names two different callback commands",
            Self::ContentTypeParameter => "The URL's parameter contenttype must be json",
            Self::ContentType => "The content type must be application/json",
            Self::OperationId => "The header operationID is missing or empty",
            Self::BodyTooLarge => "The body is too large",
            Self::BodyIncomplete => "The body did not arrive whole in time",
            Self::BodyMalformed => "The body is not this callback's JSON",
            Self::CommandMismatch => "The command in the body is another than the one in the URL",
        }
    }

    /// What would be right, for operators: a header's value, and never part of what OpenIM reads.
    #[must_use]
    pub const fn hint(self) -> Option<&'static str> {
        match self {
            Self::Address => Some("`access.allow` lists the addresses that may call"),
            Self::Credentials => Some(
                "`access.basic_auth_file` lists who may call; OpenIM sends what stands before the @ of `url` in \
                 webhooks.yml",
            ),
            Self::CommandMissing => Some(
                "expected PREFIX/COMMAND or PREFIX?command=COMMAND; OpenIM appends /COMMAND to the text of `url` in \
                 webhooks.yml, where a `#` makes it lose the command",
            ),
            Self::CommandSwallowed => Some(
                "OpenIM appends /COMMAND to the text of `url` in webhooks.yml: remove the `?` and all behind it there",
            ),
            Self::CommandUnserved => Some(
                "disable this callback in webhooks.yml: while it is enabled, OpenIM is told to refuse what it asks about",
            ),
            Self::ContentTypeParameter => Some(
                "if `url` in webhooks.yml holds a `?`: OpenIM appends /COMMAND to its text, so remove the `?` and all \
                 behind it there",
            ),
            Self::OperationId => Some("OpenIM v3.6 sends none: `operation_id.missing: generate` makes one up"),
            Self::BodyTooLarge => Some("`limits.request_bytes` is the limit"),
            Self::BodyMalformed => {
                Some("expected a JSON object with this callback's fields, each there once and of its type")
            }
            Self::ContentType => Some("OpenIM sends `application/json; charset=utf-8`"),
            Self::Method | Self::BodyIncomplete | Self::CommandAmbiguous | Self::CommandMismatch => None,
        }
    }

    /// The refusal that OpenIM is told.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        Refusal { code: self.code().into(), message: self.message().to_owned(), detail: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_own_name() {
        let mut names = Rejection::ALL.map(Rejection::name).to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rejection::ALL.len());
    }

    #[test]
    fn every_refusal_has_a_text_for_users_and_what_is_for_operators_fits_into_a_header() {
        for bad in Rejection::ALL {
            let Refusal { message, detail, .. } = bad.refusal();
            assert!(!message.is_empty() && detail.is_empty());
            let hint = bad.hint().unwrap_or("none");
            assert!(hint.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{hint}");
        }
    }
}
