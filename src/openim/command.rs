//! Which command a URL names.
//!
//! OpenIM posts to the text `url + "/" + command`, the documented page to `url?command=…&contenttype=json`. So the
//! command is the last segment of the path, under any prefix, or the parameter `command`.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::percent_decode_str;

/// The command in a URL, percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlCommand<'a> {
    /// The parameter `command`, where it is there and not empty.
    pub parameter: Option<Cow<'a, str>>,
    /// The last segment of the path that is not empty.
    pub segment: Option<Cow<'a, str>>,
    /// The parameter `contenttype`, where it is there.
    pub content_type: Option<Cow<'a, str>>,
    /// The query, when it has swallowed something like a command: `url` in webhooks.yml holds a `?`.
    pub swallowed: bool,
}

impl<'a> UrlCommand<'a> {
    /// Reads a request's URL. Never fails: what is not there is `None`.
    #[must_use]
    pub fn of(uri: &'a Uri) -> Self {
        let mut found =
            Self { parameter: None, segment: last_segment(uri).map(decoded), content_type: None, swallowed: false };
        let Some(query) = uri.query() else { return found };
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "command" if found.parameter.is_none() && !value.is_empty() => found.parameter = Some(value),
                "contenttype" if found.content_type.is_none() => found.content_type = Some(value),
                _ => {}
            }
        }
        found.swallowed = query.contains("/callback");
        found
    }

    /// The command that the URL asks for: the parameter, or else the last segment.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.parameter.as_deref().or(self.segment.as_deref())
    }
}

/// Of the path, as it stands there; it is not empty.
#[must_use]
pub fn last_segment(uri: &Uri) -> Option<&str> {
    let path = uri.path().trim_end_matches('/');
    let start = path.bytes().rposition(|byte| byte == b'/').map_or(0, |slash| slash + 1);
    path.get(start..).filter(|segment| !segment.is_empty())
}

/// Mostly there is nothing to decode, which is quickly seen.
fn decoded(segment: &str) -> Cow<'_, str> {
    if segment.contains('%') { percent_decode_str(segment).decode_utf8_lossy() } else { Cow::Borrowed(segment) }
}

/// The URL as a log may hold it. Teams put tokens into it, so of the query only the values that OpenIM's documentation
/// knows are left, and of an absolute URL the path.
#[must_use]
pub fn without_secrets(uri: &Uri) -> String {
    let mut url = uri.path().to_owned();
    for (number, parameter) in uri.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        url.push(if number == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some(("command" | "contenttype", _)) => url.push_str(parameter),
            Some((name, _)) => {
                url.push_str(name);
                url.push_str("=...");
            }
            None => url.push_str("..."),
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_that_could_be_a_secret_is_left_in_a_url() {
        for (url, shown) in [
            ("/callbackExample/callbackX", "/callbackExample/callbackX"),
            ("/a?command=callbackX&contenttype=json", "/a?command=callbackX&contenttype=json"),
            ("/a?token=s3cret&command=callbackX", "/a?token=...&command=callbackX"),
            ("/a?s3cret", "/a?..."),
            ("http://openim:s3cret@bridge/a?token=s3cret/callbackX", "/a?token=..."),
        ] {
            assert_eq!(without_secrets(&url.parse().expect("a URL")), shown);
        }
    }
}
