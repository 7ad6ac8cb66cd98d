//! What OpenIM's `url` leads to. OpenIM posts to the text of `url`, a slash and the command, which Go then parses; where Go
//! and the URL standard differ, what is no URL to either is rejected here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::Uri;
use reqwest::Url;

use crate::base::text::without_password;
use crate::callback::Callback;
use crate::openim::UrlCommand;

/// Where OpenIM's chat server (open-im-chat) answers callbacks, at `/callback/open_im`.
const CHAT_PORT: u16 = 10008;

/// What is wrong with the text of a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UrlFault {
    Missing,
    /// There is no `http://` or `https://`.
    NoScheme,
    /// There is another scheme.
    Scheme(String),
    /// A `#` makes the command a fragment, which is never sent.
    Fragment,
    /// A `?` makes the command a part of the query.
    Query,
    Malformed(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub is_https: bool,
    /// The name or address, without brackets.
    pub host: String,
    /// The port, also where it is the scheme's own.
    pub port: u16,
    /// User and password, decoded.
    pub credentials: Option<(String, String)>,
    /// Whether there is a query that OpenIM's command passes unharmed.
    pub has_query: bool,
}

impl Destination {
    /// Where the text of `url` leads to.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str, served: &[Callback]) -> Result<Self, UrlFault> {
        if text.trim().is_empty() {
            return Err(UrlFault::Missing);
        }
        if text.starts_with(char::is_whitespace) || text.contains(char::is_control) || text.contains('\\') {
            let why = "it begins with white space, or holds a backslash or a control character";
            return Err(UrlFault::Malformed(why.to_owned()));
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Err(UrlFault::NoScheme) };
        let scheme = scheme.to_ascii_lowercase();
        if scheme.contains(['/', '.', ':', '?', '#', '@']) {
            return Err(UrlFault::NoScheme);
        }
        if !matches!(&*scheme, "http" | "https") {
            return Err(UrlFault::Scheme(scheme));
        }
        if authority(rest).contains(char::is_whitespace) || host_and_port(authority(rest)).is_empty() {
            return Err(UrlFault::Malformed("there is no host".to_owned()));
        }
        if text.contains('#') {
            return Err(UrlFault::Fragment);
        }
        if text.contains('?') && !served.iter().all(|served| arrives(text, served)) {
            return Err(UrlFault::Query);
        }
        let url = Url::parse(text).map_err(|error| UrlFault::Malformed(error.to_string()))?;
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return Err(UrlFault::Malformed("there is no host".to_owned()));
        };
        let decoded = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
        let credentials = (!url.username().is_empty() || url.password().is_some())
            .then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        Ok(Self {
            is_https: scheme == "https",
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            credentials,
            has_query: text.contains('?'),
        })
    }

    /// Its address, where it is not a name.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }

    /// Whether it is the machine, container or pod itself from which it is called.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let name = self.host.trim_end_matches('.').to_ascii_lowercase();
        let named = name == "localhost" || name.ends_with(".localhost");
        named || self.address().is_some_and(|address| address.is_loopback() || address.is_unspecified())
    }

    /// Host and port, as a URL has them.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        match self.address() {
            Some(address) => SocketAddr::new(address, self.port).to_string(),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether it is OpenIM's chat server, as far as the port tells.
    #[must_use]
    pub const fn is_chat_server(&self) -> bool {
        self.port == CHAT_PORT
    }

    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}

/// The text of a URL without what may be a secret: password, or a user alone, and the values of the query but those that
/// OpenIM's documentation has there.
pub(crate) fn shown(text: &str) -> String {
    let text = without_password(text);
    let (before, behind) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
    let mut shown = match before.split_once("://") {
        Some((scheme, rest)) => match authority(rest).rsplit_once('@') {
            Some((user, _)) if !user.contains(':') => format!("{scheme}://***{}", &rest[user.len()..]),
            _ => before.to_owned(),
        },
        None => before.to_owned(),
    };
    for part in behind.split_inclusive(['?', '&', '#']) {
        let (value, end) = part.split_at(part.trim_end_matches(['?', '&', '#']).len());
        match value.split_once('=') {
            Some(("command" | "contenttype", _)) => shown.push_str(value),
            Some((name, _)) => shown.extend([name, "=***"]),
            None if value.is_empty() => {}
            None => shown.push_str("***"),
        }
        shown.push_str(end);
    }
    shown
}

/// Whether the bridge finds this command in the URL that OpenIM makes of `text`.
fn arrives(text: &str, served: &Callback) -> bool {
    let Ok(uri) = format!("{text}/{}", served.command).parse::<Uri>() else { return false };
    let url = UrlCommand::of(&uri);
    let is_json = url.content_type.as_deref().is_none_or(|value| value.eq_ignore_ascii_case("json"));
    is_json && url.name().is_some_and(|name| served.is_named(name))
}

/// What stands between `://` and the path.
fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

fn host_and_port(authority: &str) -> &str {
    authority.rsplit('@').next().unwrap_or_default()
}

/// `text` with another scheme, host and port; the rest of it stays.
pub(super) fn moved(text: &str, scheme: &str, to: &str) -> Option<String> {
    let (_, rest) = text.split_once("://")?;
    let authority = authority(rest);
    let user = &authority[..authority.len() - host_and_port(authority).len()];
    Some(format!("{scheme}://{user}{to}{}", &rest[authority.len()..]))
}

/// Whether nothing but the machine itself can reach a listener.
pub(super) fn is_only_local(listen: SocketAddr) -> bool {
    listen.ip().to_canonical().is_loopback()
}

/// Whether a URL with this address reaches a listener, as far as addresses tell.
pub(super) fn is_same(address: IpAddr, listen: SocketAddr) -> bool {
    let listen = listen.ip().to_canonical();
    listen.is_unspecified() || listen == address || address == IpAddr::V4(Ipv4Addr::UNSPECIFIED)
}
