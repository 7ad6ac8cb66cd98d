//! The URL of the receiver that requests are forwarded to, as it is configured.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;

use super::address::UpstreamAddress;

/// Such as `http://old-receiver:8080/callback`: the text that OpenIM had as its `url`.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardUrl {
    /// Never a socket in the file system.
    pub(super) address: UpstreamAddress,
    /// Scheme and authority, without user info.
    origin: String,
    /// Path and query, as they are written.
    path: String,
    /// What its user info says, as the value of `Authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

/// Why a text is no [`ForwardUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a URL such as http://old-receiver:8080/callback, without a fragment")]
pub struct InvalidForwardUrl;

impl FromStr for ForwardUrl {
    type Err = InvalidForwardUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or(InvalidForwardUrl)
    }
}

fn parse(text: &str) -> Option<ForwardUrl> {
    let (scheme, rest) = text.split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (user_info, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    let origin = format!("{scheme}://{host}");
    let address: UpstreamAddress = origin.parse().ok()?;
    // OpenIM would lose the command behind a fragment.
    let is_right = matches!(address, UpstreamAddress::Http { .. }) && !path.contains('#');
    let authorization = match user_info {
        Some(user_info) => Some(basic(user_info)?),
        None => None,
    };
    let url = ForwardUrl { address, origin, path: path.to_owned(), authorization };
    let joins = url.join("callback", None).is_some();
    (is_right && joins).then_some(url)
}

/// The value of `Authorization`, as Go's client makes it of a URL's user info.
fn basic(user_info: &str) -> Option<HeaderValue> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decoded = |text| percent_decode_str(text).collect::<Vec<u8>>();
    let credentials = [decoded(user), decoded(password)].join(&b':');
    authorization(&credentials)
}

/// `user:password` as the value of `Authorization`.
pub(super) fn authorization(credentials: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(credentials))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl ForwardUrl {
    /// With a command behind it, as OpenIM joins the two: by text. `None` where the result is no URL.
    #[must_use]
    pub fn join(&self, command: &str, query: Option<&str>) -> Option<Uri> {
        let Self { origin, path, .. } = self;
        let slash = if command.is_empty() { "" } else { "/" };
        let between = if path.contains('?') { '&' } else { '?' };
        let url = match query {
            Some(query) => format!("{origin}{path}{slash}{command}{between}{query}"),
            None => format!("{origin}{path}{slash}{command}"),
        };
        url.parse().ok()
    }
}

impl fmt::Display for ForwardUrl {
    /// Without what may be a secret: user info, and the values of the query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin =
            if self.authorization.is_some() { self.origin.replacen("://", "://...@", 1) } else { self.origin.clone() };
        let (path, query) = self.path.split_once('?').map_or((&*self.path, None), |(path, query)| (path, Some(query)));
        write!(f, "{origin}{path}")?;
        for (number, parameter) in query.into_iter().flat_map(|query| query.split('&')).enumerate() {
            let name = parameter.split_once('=').map(|(name, _)| format!("{name}=")).unwrap_or_default();
            write!(f, "{}{name}...", if number == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}

impl fmt::Debug for ForwardUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> ForwardUrl {
        text.parse().expect("a URL")
    }

    #[test]
    fn a_command_is_joined_as_openim_joins_it() {
        for (text, query, joined) in [
            ("http://old:8080/callback", None, "http://old:8080/callback/callbackX"),
            ("http://old:8080/callback/", None, "http://old:8080/callback//callbackX"),
            ("http://old", None, "http://old/callbackX"),
            ("http://old/cb", Some("key=b2s="), "http://old/cb/callbackX?key=b2s="),
            ("http://old/cb?t=1", Some("key=b2s="), "http://old/cb?t=1/callbackX&key=b2s="),
            ("https://u:p@[::1]:8443/cb", None, "https://[::1]:8443/cb/callbackX"),
        ] {
            assert_eq!(url(text).join("callbackX", query).expect("a URL").to_string(), joined, "{text}");
        }
        // The command may be in the query.
        let joined = url("http://old/cb").join("", Some("command=callbackX")).expect("a URL");
        assert_eq!(joined.to_string(), "http://old/cb?command=callbackX");
    }

    #[test]
    fn user_info_becomes_basic_credentials_and_is_never_shown() {
        let url = url("http://open%40im:p%3Ass@old:1/cb?token=s3cret&plain");
        assert_eq!(url.authorization.as_ref().expect("credentials"), "Basic b3BlbkBpbTpwOnNz");
        assert_eq!(format!("{url} {url:?}"), ["http://...@old:1/cb?token=...&..."; 2].join(" "));
    }

    #[test]
    fn what_is_no_url_of_a_receiver() {
        for text in
            ["", "old:8080", "ftp://old/cb", "unix:///run/old", "http:///cb", "http://old/cb#x", "http://old/a b"]
        {
            assert_eq!(text.parse::<ForwardUrl>(), Err(InvalidForwardUrl), "{text}");
        }
    }
}
