//! The error codes of refusals.
//!
//! OpenIM reserves 5000-9999 for Apps. The bridge keeps 9900-9999 of them for itself, so that whoever sees such a
//! code knows that it is not a decision of the service. This file is the one place where they are defined.

/// A refusal's `errCode`: 5000 to 9999, since OpenIM misreads codes below 100 and owns the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefusalCode(i32);

/// A number outside 5000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a refusal's code must be from 5000 to 9999")]
pub struct InvalidRefusalCode;

impl RefusalCode {
    /// The code of a refusal that set none, unless configured.
    pub const DEFAULT: Self = Self(5000);

    /// A code that a decision service may give: 5000 to 9899.
    #[must_use]
    pub const fn from_app(code: i32) -> Option<Self> {
        match code {
            5000..=9899 => Some(Self(code)),
            _ => None,
        }
    }

    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }
}

impl TryFrom<i32> for RefusalCode {
    type Error = InvalidRefusalCode;

    fn try_from(code: i32) -> Result<Self, Self::Error> {
        match code {
            5000..=9999 => Ok(Self(code)),
            _ => Err(InvalidRefusalCode),
        }
    }
}

/// The bridge's own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ReservedCode {
    /// The body is malformed, or a field is missing or of the wrong type.
    MalformedBody = 9900,
    /// The URL names no command, or one that is not served.
    UnservedCommand = 9901,
    /// The command in the body is another than the URL's.
    CommandMismatch = 9902,
    /// The header `operationID` is missing or empty.
    MissingOperationId = 9903,
    /// The body is too large.
    BodyTooLarge = 9904,
    /// The content type is missing or not JSON.
    ContentType = 9905,
    /// The method is not POST.
    Method = 9906,
    /// The credentials are missing or wrong.
    Credentials = 9907,
    /// The URL's parameter `contenttype` is not `json`.
    ContentTypeParameter = 9908,
    /// The peer's address is not allowed.
    Address = 9909,
    /// The configuration refuses this callback: `route: refuse`.
    Route = 9910,
    /// Fallback: the deadline passed.
    Timeout = 9920,
    /// Fallback: the decision service could not be reached.
    Unavailable = 9921,
    /// Fallback: overloaded.
    Overloaded = 9922,
    /// Fallback: the decision service turned the bridge away.
    Denied = 9923,
    /// Fallback: the decision service lacks the rpc.
    Unimplemented = 9924,
    /// Fallback, or a refusal whose code was outside the service's range.
    InvalidReply = 9925,
    /// Fallback: any other failure.
    Internal = 9926,
}

impl From<ReservedCode> for RefusalCode {
    fn from(code: ReservedCode) -> Self {
        Self(code as i32)
    }
}

/// A refusal as OpenIM is told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: RefusalCode,
    /// `errMsg`: reaches the user. Never empty, since OpenIM passes an empty one on as such.
    pub message: String,
    /// `errDlt`: reaches the API's caller. May be empty.
    pub detail: String,
}

/// What completes a refusal that left its code or its message unset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalDefaults {
    /// For a code of 0.
    pub code: RefusalCode,
    /// For an empty message. Never empty itself.
    pub message: String,
}

impl Default for RefusalDefaults {
    fn default() -> Self {
        Self { code: RefusalCode::DEFAULT, message: "This is not allowed".to_owned() }
    }
}
