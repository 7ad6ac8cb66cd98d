//! What the bridge rejects: each kind with its reserved code, its status and its texts.

use http::StatusCode;

use super::{Refusal, ReservedCode};

macro_rules! rejections {
    ($($(#[doc = $doc:literal])* $kind:ident, $name:literal, $code:ident, $status:ident, $message:literal, $hint:expr;)*) => {
        /// Why a request is rejected without asking the decision service. Listed in the order in which they are checked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Rejection { $($(#[doc = $doc])* $kind,)* }

        impl Rejection {
            /// Every kind, in the order in which they are checked.
            pub const ALL: [Self; [$(Self::$kind),*].len()] = [$(Self::$kind),*];

            /// The name in logs and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)* }
            }

            #[must_use]
            pub const fn code(self) -> ReservedCode {
                match self { $(Self::$kind => ReservedCode::$code,)* }
            }

            /// The HTTP status, which is for humans and proxies: OpenIM never looks at it.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status,)* }
            }

            /// `errMsg`: what is wrong. It reaches OpenIM's users.
            pub(crate) const fn message(self) -> &'static str {
                match self { $(Self::$kind => $message,)* }
            }

            /// What would be right, for operators: a header's value, and never part of what OpenIM reads.
            #[must_use]
            pub const fn hint(self) -> Option<&'static str> {
                match self { $(Self::$kind => $hint,)* }
            }
        }
    };
}

rejections! {
    Address, "address", Address, FORBIDDEN,
        "This address may not call",
        Some("`access.allow` lists the addresses that may call");
    Credentials, "credentials", Credentials, UNAUTHORIZED,
        "Credentials are missing or wrong",
        Some("`access.basic_auth_file` lists who may call; OpenIM sends the part before the @ of `url` in webhooks.yml");
    Method, "method", Method, METHOD_NOT_ALLOWED,
        "The method must be POST", None;
    CommandMissing, "command_missing", UnservedCommand, NOT_FOUND,
        "The URL names no callback command",
        Some("expected PREFIX/COMMAND or PREFIX?command=COMMAND; OpenIM appends /COMMAND to the text of `url` in \
              webhooks.yml, where a `#` makes it lose the command");
    CommandSwallowed, "command_swallowed", UnservedCommand, NOT_FOUND,
        "The URL's query has swallowed the callback command",
        Some("OpenIM appends /COMMAND to the text of `url` in webhooks.yml: remove the `?` and everything after it there");
    CommandUnserved, "command_unserved", UnservedCommand, NOT_FOUND,
        "This callback command is not served here",
        Some("disable this callback in webhooks.yml: while it is enabled, OpenIM is told to refuse what it asks about");
    ContentTypeParameter, "content_type_parameter", ContentTypeParameter, BAD_REQUEST,
        "The URL's parameter contenttype must be json",
        Some("if `url` in webhooks.yml holds a `?`: OpenIM appends /COMMAND to its text, so remove the `?` and everything \
              after it there");
    ContentType, "content_type", ContentType, UNSUPPORTED_MEDIA_TYPE,
        "The content type must be application/json",
        Some("OpenIM sends `application/json; charset=utf-8`");
    OperationId, "operation_id", MissingOperationId, BAD_REQUEST,
        "The header operationID is missing or empty",
        Some("OpenIM v3.5 and v3.6 omit an empty one: set `operation_id.missing: generate` to have one made");
    BodyTooLarge, "body_too_large", BodyTooLarge, PAYLOAD_TOO_LARGE,
        "The body is too large",
        Some("`limits.request_bytes` is the limit");
    /// Cut off by the deadline, or by the end of its connection.
    BodyIncomplete, "body_incomplete", MalformedBody, BAD_REQUEST,
        "The body did not arrive whole in time", None;
    BodyMalformed, "body_malformed", MalformedBody, BAD_REQUEST,
        "The body is not this callback's JSON",
        Some("expected a JSON object with this callback's fields, each there once and of its type");
    /// One as a parameter, and another served one in the path.
    CommandAmbiguous, "command_ambiguous", CommandMismatch, BAD_REQUEST,
        "The URL names two different callback commands", None;
    CommandMismatch, "command_mismatch", CommandMismatch, BAD_REQUEST,
        "The command in the body is another than the one in the URL", None;
}

impl Rejection {
    /// Whether it is about what the request holds, and not about who sends it and how. What would lose messages if it were
    /// refused may then go on.
    #[must_use]
    pub const fn is_about_content(self) -> bool {
        matches!(
            self.code(),
            ReservedCode::MalformedBody
                | ReservedCode::CommandMismatch
                | ReservedCode::MissingOperationId
                | ReservedCode::BodyTooLarge
        )
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
        for rejection in Rejection::ALL {
            let Refusal { message, detail, .. } = rejection.refusal();
            assert!(!message.is_empty() && detail.is_empty());
            let hint = rejection.hint().unwrap_or("none");
            assert!(hint.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{hint}");
        }
    }
}
