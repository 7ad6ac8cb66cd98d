//! The URL of the receiver that requests are forwarded to, as it is configured.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderValue, Request, Uri, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use percent_encoding::percent_decode_str;

use super::address::UpstreamAddress;

/// Such as `http://old-receiver:8080/callback`: the text that OpenIM had as its `url`.
#[derive(Clone, PartialEq, Eq)]
pub struct ForwardUrl {
    /// Never a socket in the file system.
    pub(super) address: UpstreamAddress,
    scheme: Scheme,
    /// Without user info.
    authority: Authority,
    /// The authority as the header `Host`.
    host: HeaderValue,
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
    let address: UpstreamAddress = format!("{scheme}://{host}").parse().ok()?;
    // OpenIM would lose the command behind a fragment.
    let is_right = matches!(address, UpstreamAddress::Http { .. }) && !path.contains('#');
    let authorization = match user_info {
        Some(user_info) => Some(basic(user_info)?),
        None => None,
    };
    let url = ForwardUrl {
        address,
        scheme: scheme.parse().ok()?,
        authority: host.parse().ok()?,
        host: host.parse().ok()?,
        path: path.to_owned(),
        authorization,
    };
    let joins = url.path("callback", None).is_some();
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
    #[must_use]
    pub fn is_secured(&self) -> bool {
        self.address.is_secured()
    }

    /// Path and query with a command behind them, as OpenIM joins the two: by text. `None` where the result is no URL.
    #[must_use]
    pub(super) fn path(&self, command: &str, query: Option<&str>) -> Option<PathAndQuery> {
        let path = &*self.path;
        let slash = if command.is_empty() { "" } else { "/" };
        let joined = match query {
            Some(query) => [path, slash, command, if path.contains('?') { "&" } else { "?" }, query].concat(),
            None => [path, slash, command].concat(),
        };
        joined.try_into().ok()
    }

    /// Without user info, path and query.
    pub(super) fn origin(&self) -> Uri {
        let mut uri = http::uri::Parts::default();
        (uri.scheme, uri.authority) = (Some(self.scheme.clone()), Some(self.authority.clone()));
        uri.path_and_query = Some(PathAndQuery::from_static("/"));
        Uri::from_parts(uri).unwrap_or_default()
    }

    /// Directs a request there: HTTP/2 has the authority in the URL, and HTTP/1.1 in `Host`.
    pub(super) fn address<B>(&self, request: &mut Request<B>, path: PathAndQuery, is_http2: bool) {
        let mut uri = http::uri::Parts::default();
        if is_http2 {
            uri = self.origin().into_parts();
            request.headers_mut().remove(header::HOST);
        } else {
            request.headers_mut().insert(header::HOST, self.host.clone());
        }
        uri.path_and_query = Some(path);
        *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    }
}

impl fmt::Display for ForwardUrl {
    /// Without what may be a secret: user info, and the values of the query.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user_info = if self.authorization.is_some() { "...@" } else { "" };
        let origin = format_args!("{}://{user_info}{}", self.scheme, self.authority);
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

    /// As HTTP/2 has it.
    fn joined_by(url: &ForwardUrl, command: &str, query: Option<&str>) -> String {
        let mut request = Request::new(());
        url.address(&mut request, url.path(command, query).expect("a path"), true);
        request.uri().to_string()
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
            assert_eq!(joined_by(&url(text), "callbackX", query), joined, "{text}");
        }
        // The command may be in the query.
        let joined = joined_by(&url("http://old/cb"), "", Some("command=callbackX"));
        assert_eq!(joined, "http://old/cb?command=callbackX");
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
