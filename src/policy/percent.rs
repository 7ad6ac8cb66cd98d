//! Roll-out: whose callbacks the decision service decides.

use std::hash::Hasher as _;

use fnv::FnvHasher;

/// A share of the owners, from 0 to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent(u8);

/// A number above 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a percentage must be from 0 to 100")]
pub struct InvalidPercent;

impl Percent {
    /// No owner: shadow mode.
    pub const NONE: Self = Self(0);
    pub const ALL: Self = Self(100);

    /// The number, 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether the owner is of this share. Always the same answer for the same owner, in every process and version; who
    /// is of a share is of every larger one.
    #[must_use]
    pub fn includes(self, owner: &str) -> bool {
        bucket(owner) < u64::from(self.0)
    }
}

impl TryFrom<u8> for Percent {
    type Error = InvalidPercent;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number <= 100 { Ok(Self(number)) } else { Err(InvalidPercent) }
    }
}

/// 0 to 99: the 64-bit FNV-1a hash (RFC 9923) of the owner's UTF-8 bytes, modulo 100. Part of the interface: another
/// hash would move users in and out of a running roll-out.
fn bucket(owner: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(owner.as_bytes());
    hasher.finish() % 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn percent(number: u8) -> Percent {
        Percent::try_from(number).expect("a percentage")
    }

    #[test]
    fn the_buckets_are_those_of_every_other_version() {
        // By RFC 9923, of "", "a" and "foobar": cbf29ce484222325, af63dc4c8601ec8c, 85944171f73967e8.
        assert_eq!(bucket(""), 0xcbf2_9ce4_8422_2325 % 100);
        assert_eq!(bucket("a"), 0xaf63_dc4c_8601_ec8c % 100);
        assert_eq!(bucket("foobar"), 0x8594_4171_f739_67e8 % 100);
        assert_eq!(["u1", "u2", "中"].map(bucket), [7, 18, 0]);
    }

    #[test]
    fn nobody_is_of_0_and_everybody_of_100() {
        for owner in (0..1000).map(|number| number.to_string()) {
            assert!(!percent(0).includes(&owner) && percent(100).includes(&owner), "{owner}");
        }
        assert_eq!(Percent::try_from(101), Err(InvalidPercent));
    }

    #[test]
    fn a_share_is_about_as_large_as_it_says_whatever_owners_are_called() {
        for prefix in ["", "u", "user-", "00000000-0000-4000-8000-00000"] {
            for share in [1, 10, 50, 90] {
                let owners = (0..10_000).map(|number| format!("{prefix}{number:04}"));
                let included = owners.filter(|owner| percent(share).includes(owner)).count();
                let expected = usize::from(share) * 100;
                assert!(included.abs_diff(expected) <= 150, "{included} of 10,000 are {share} % of {prefix}…");
            }
        }
    }

    #[test]
    fn who_is_of_a_share_is_of_every_larger_one() {
        for owner in (0..100).map(|number| format!("u{number}")) {
            let first = (0..=100).find(|share| percent(*share).includes(&owner)).expect("everybody is of 100 %");
            assert!((first..=100).all(|share| percent(share).includes(&owner)), "{owner}");
        }
    }
}
