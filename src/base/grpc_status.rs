//! The names of the gRPC statuses, as every language writes them.

use tonic::Code;

/// In the order of their numbers. Source: <https://grpc.io/docs/guides/status-codes/>.
pub(crate) const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

pub(crate) const fn name(code: Code) -> &'static str {
    NAMES[code as usize]
}

/// The status with this name, in any case.
pub(crate) fn named(name: &str) -> Option<Code> {
    let number = NAMES.iter().position(|known| known.eq_ignore_ascii_case(name))?;
    i32::try_from(number).ok().map(Code::from_i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_name() {
        for (number, expected) in NAMES.iter().enumerate() {
            let code = named(expected).expect("a status");
            assert_eq!(code as usize, number);
            assert_eq!(name(code), *expected);
            // tonic spells them `DeadlineExceeded`.
            assert_eq!(format!("{code:?}").to_ascii_uppercase(), expected.replace('_', ""));
        }
        assert_eq!(named("Unavailable"), Some(Code::Unavailable));
        assert_eq!(named(""), None);
        assert_eq!(named("TEAPOT"), None);
    }
}
