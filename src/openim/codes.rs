//! The error codes of refusals.
//!
//! OpenIM reserves 5000-9999 for Apps. The bridge keeps 9900-9999 of them for itself, so that whoever sees such a
//! code knows that it is not a decision of the service. This file is the one place where they are defined.

use std::{fmt, str::FromStr};

/// A refusal's `errCode`: 5000 to 9999, or what [`ServiceCodes`] allow beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefusalCode(i32);

/// A number outside 5000 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a refusal's code must be from 5000 to 9999")]
pub struct InvalidRefusalCode;

impl RefusalCode {
    /// The code of a refusal that set none, unless configured.
    pub const DEFAULT: Self = Self(5000);

    /// A code that every decision service may give: 5000 to 9899.
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

/// The codes of the decision service's refusals: 5000 to 9899, and the ranges that the configuration adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceCodes(pub Vec<CodeRange>);

impl ServiceCodes {
    /// The code as OpenIM is told it; `None` for one that is not allowed.
    #[must_use]
    pub fn allowed(&self, code: i32) -> Option<RefusalCode> {
        let added =
            || self.0.iter().any(|range| (range.first..=range.last).contains(&code)).then_some(RefusalCode(code));
        RefusalCode::from_app(code).or_else(added)
    }
}

impl fmt::Display for ServiceCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("5000 to 9899")?;
        self.0.iter().try_for_each(|CodeRange { first, last }| write!(f, ", {first} to {last}"))
    }
}

/// Codes beyond 5000 to 9899, such as `73001` or `100-499`: of 100 and more, since OpenIM misreads smaller ones, and none
/// of OpenIM's own or the bridge's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRange {
    first: i32,
    last: i32,
}

/// A text that is no [`CodeRange`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a code or a range of codes from 100 on, without 1000 to 1999, 9900 to 9999 and 90000 to 90999")]
pub struct InvalidCodeRange;

impl CodeRange {
    /// Codes with a meaning: OpenIM's own, and the bridge's.
    const TAKEN: [(i32, i32); 3] = [(1000, 1999), (9900, 9999), (90000, 90999)];
}

impl FromStr for CodeRange {
    type Err = InvalidCodeRange;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<u32>().ok().and_then(|number| i32::try_from(number).ok());
        let (first, last) = number(first).zip(number(last)).ok_or(InvalidCodeRange)?;
        let is_free = Self::TAKEN.iter().all(|(from, to)| last < *from || *to < first);
        if 100 <= first && first <= last && is_free { Ok(Self { first, last }) } else { Err(InvalidCodeRange) }
    }
}

impl fmt::Display for CodeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
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
    /// Which codes a refusal may have.
    pub codes: ServiceCodes,
}

impl Default for RefusalDefaults {
    fn default() -> Self {
        Self { code: RefusalCode::DEFAULT, message: "This is not allowed".to_owned(), codes: ServiceCodes::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_codes_are_read_where_nobody_else_has_them() {
        for good in ["100", "73001", "100-499", "2000-9899", "73000-73999"] {
            assert_eq!(good.parse::<CodeRange>().map(|range| range.to_string()), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "-",
            "99",
            "0-200",
            "500-400",
            "1004",
            "900-1000",
            "9899-9900",
            "90500",
            "-5",
            "+",
            "4e3",
            "3000000000",
        ] {
            assert_eq!(bad.parse::<CodeRange>(), Err(InvalidCodeRange), "{bad}");
        }
    }

    #[test]
    fn further_codes_are_allowed_besides_the_services_own() {
        let codes = ServiceCodes(vec!["100-499".parse().unwrap(), "73001".parse().unwrap()]);
        let allowed = |code| codes.allowed(code).map(RefusalCode::get);
        for code in [100, 403, 499, 5000, 9899, 73001] {
            assert_eq!(allowed(code), Some(code));
        }
        for code in [-1, 0, 99, 500, 9900, 73000] {
            assert_eq!(allowed(code), None);
        }
        assert_eq!(codes.to_string(), "5000 to 9899, 100 to 499, 73001 to 73001");
    }
}
