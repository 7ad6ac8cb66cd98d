//! Who may call: from which addresses, and with which credentials.
//!
//! Called by `bridge` before anything else of a request is checked. Ignores forwarded headers, since anyone can
//! write one, and never shows a user or a password.

use std::{fmt, net::IpAddr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header::AUTHORIZATION};
use ipnet::IpNet;
use subtle::{Choice, ConstantTimeEq as _};

use crate::openim::Rejection;

/// Who may call. The default is everybody.
#[derive(Debug, Clone, Default)]
pub struct AccessSettings {
    /// The addresses that a peer may have; empty for all. IPv4 as such, never mapped into IPv6.
    pub allow: Vec<IpNet>,
    /// The credentials of which one must be sent; `None` asks for none.
    pub basic_auth: Option<Credentials>,
}

impl AccessSettings {
    /// Whether this peer may call with these headers. An IPv4 address mapped into IPv6 counts as IPv4.
    ///
    /// # Errors
    /// [`Rejection::Address`] or else [`Rejection::Credentials`].
    pub fn check(&self, peer: IpAddr, headers: &HeaderMap) -> Result<(), Rejection> {
        let peer = peer.to_canonical();
        if !self.allow.is_empty() && !self.allow.iter().any(|range| range.contains(&peer)) {
            return Err(Rejection::Address);
        }
        match &self.basic_auth {
            Some(credentials) if !credentials.are_in(headers) => Err(Rejection::Credentials),
            _ => Ok(()),
        }
    }
}

/// The longest `user:password`, in bytes. More costs each request more.
const MAX_BYTES: usize = 256;

/// What the clients of HTTP Basic (RFC 7617) may send.
#[derive(Clone)]
pub struct Credentials(Vec<Secret>);

/// `user:password`, as long as every other, so that comparing takes the same time whatever it is compared with.
#[derive(Clone)]
struct Secret {
    length: u64,
    padded: [u8; MAX_BYTES],
}

/// A line that cannot be read. Never quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub struct InvalidCredentials {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub wrong: WrongLine,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrongLine {
    /// Nothing in front of a colon and something behind it.
    #[error("expected `user:password`, with neither of them empty")]
    NotAPair,
    /// RFC 7617 has no control characters.
    #[error("a control character, which no client may send")]
    ControlCharacter,
    /// Longer than can be compared.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// The whole file has not one.
    #[error("expected at least one `user:password` in the file, so that somebody may call")]
    NoUser,
}

impl Credentials {
    /// Reads one `user:password` a line. Empty lines and those that begin with `#` are ignored; white space counts.
    /// A user who stands twice may use either password.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, InvalidCredentials> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let secrets: Vec<Secret> = lines
            .map(|(line, text)| checked(text).map_err(|wrong| InvalidCredentials { line, wrong }))
            .collect::<Result<_, _>>()?;
        if secrets.is_empty() {
            return Err(InvalidCredentials { line: 1, wrong: WrongLine::NoUser });
        }
        Ok(Self(secrets))
    }

    fn are_in(&self, headers: &HeaderMap) -> bool {
        presented(headers).is_some_and(|presented| {
            // All are compared: an early exit would tell which one it was.
            let found = self.0.iter().fold(Choice::from(0), |found, secret| found | secret.equals(&presented));
            found.into()
        })
    }
}

/// Whether both take the same of clients.
impl PartialEq for Credentials {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(own, others)| own.equals(others).into())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.0.len())
    }
}

fn checked(line: &str) -> Result<Secret, WrongLine> {
    match line.split_once(':') {
        None | Some(("", _) | (_, "")) => Err(WrongLine::NotAPair),
        _ if line.contains(char::is_control) => Err(WrongLine::ControlCharacter),
        _ => Secret::new(line.as_bytes()).ok_or(WrongLine::TooLong),
    }
}

/// The credentials that a request holds; `None` also when it holds several.
fn presented(headers: &HeaderMap) -> Option<Secret> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    Secret::new(&STANDARD.decode(token.trim()).ok()?)
}

impl Secret {
    /// `None` when it is too long.
    fn new(pair: &[u8]) -> Option<Self> {
        let mut padded = [0; MAX_BYTES];
        padded.get_mut(..pair.len())?.copy_from_slice(pair);
        Some(Self { length: pair.len() as u64, padded })
    }

    fn equals(&self, other: &Self) -> Choice {
        self.length.ct_eq(&other.length) & self.padded.ct_eq(&other.padded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(text: &str) -> (usize, WrongLine) {
        let error = Credentials::parse(text).expect_err("wrong");
        (error.line, error.wrong)
    }

    #[test]
    fn a_file_that_is_wrong_names_its_line() {
        assert_eq!(wrong(""), (1, WrongLine::NoUser));
        assert_eq!(wrong("# nobody yet\n\n"), (1, WrongLine::NoUser));
        assert_eq!(wrong("a:b\n\nno colon\n"), (3, WrongLine::NotAPair));
        assert_eq!(wrong("a:b\r\n:b\r\n"), (2, WrongLine::NotAPair));
        assert_eq!(wrong("# first\na:\n"), (2, WrongLine::NotAPair));
        assert_eq!(wrong("   \n"), (1, WrongLine::NotAPair));
        assert_eq!(wrong("a:b\tc\n"), (1, WrongLine::ControlCharacter));
        assert_eq!(wrong(&format!("a:{}", "b".repeat(MAX_BYTES - 1))), (1, WrongLine::TooLong));
        assert!(Credentials::parse(&format!("a:{}", "b".repeat(MAX_BYTES - 2))).is_ok());
    }

    #[test]
    fn nothing_of_it_is_shown() {
        let settings = AccessSettings {
            basic_auth: Some(Credentials::parse("\u{feff}alice:s3cret\nbob:t0psecret").expect("right")),
            ..AccessSettings::default()
        };
        assert_eq!(format!("{settings:?}"), "AccessSettings { allow: [], basic_auth: Some(Credentials(2)) }");
    }

    #[test]
    fn an_address_of_ipv4_counts_as_such_however_the_socket_names_it() {
        let check = |allow: &str, peer: &str| {
            let allow = vec![allow.parse().expect("a range")];
            let settings = AccessSettings { allow, ..AccessSettings::default() };
            settings.check(peer.parse().expect("an address"), &HeaderMap::new())
        };
        for peer in ["192.0.2.7", "::ffff:192.0.2.7"] {
            assert_eq!(check("192.0.2.0/24", peer), Ok(()), "{peer}");
            assert_eq!(check("10.0.0.0/8", peer), Err(Rejection::Address), "{peer}");
            assert_eq!(check("::/0", peer), Err(Rejection::Address), "{peer}");
        }
        assert_eq!(check("::/0", "::1"), Ok(()));
        assert_eq!(check("0.0.0.0/0", "::1"), Err(Rejection::Address));
    }

    #[test]
    fn what_only_begins_or_ends_alike_is_another() {
        let of = |text: &str| Secret::new(text.as_bytes()).expect("short");
        assert!(bool::from(of("a:b").equals(&of("a:b"))));
        for other in ["a:b\0", "a:", "a:c", "A:b", "a:bb", ""] {
            assert!(!bool::from(of("a:b").equals(&of(other))), "{other:?}");
        }
    }
}
