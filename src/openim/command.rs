//! Which command a URL names.
//!
//! OpenIM posts to the text `url + "/" + command`, the documented page to `url?command=…&contenttype=json`. So the
//! command is the last segment of the path, under any prefix, or the parameter `command`.

use std::borrow::Cow;

use http::Uri;
use percent_encoding::percent_decode_str;

/// What a URL says of the command, percent-decoded.
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
        let segment = uri.path().rsplit('/').find(|segment| !segment.is_empty());
        let mut found = Self {
            parameter: None,
            segment: segment.map(|segment| percent_decode_str(segment).decode_utf8_lossy()),
            content_type: None,
            swallowed: false,
        };
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
