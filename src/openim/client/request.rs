//! The request that OpenIM Server makes of a callback, for `send`, `demo` and tests.

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};

use crate::openim::OPERATION_ID_HEADER;

/// How a request's URL is made from `url` in webhooks.yml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UrlForm {
    /// `url/COMMAND`, which is what OpenIM Server does.
    #[default]
    Path,
    /// `url?command=COMMAND&contenttype=json`, which is what the documented page says.
    Query,
}

/// A callback as OpenIM Server sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRequest {
    /// The command that the URL names.
    pub command: &'static str,
    /// What is posted, see [`go_body`].
    pub body: Bytes,
    pub operation_id: HeaderValue,
    /// How the URL is made.
    pub form: UrlForm,
}

impl CallbackRequest {
    /// The URL that is posted to. As OpenIM does, this only joins texts: it does not parse `base`.
    #[must_use]
    pub fn url(&self, base: &str) -> String {
        match self.form {
            UrlForm::Path => format!("{base}/{}", self.command),
            UrlForm::Query => {
                let mark = if base.contains('?') { '&' } else { '?' };
                format!("{base}{mark}command={}&contenttype=json", self.command)
            }
        }
    }

    /// The headers that OpenIM sets; the client adds `Host`, `Content-Length` and credentials.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([
            (USER_AGENT, HeaderValue::from_static("Go-http-client/1.1")),
            (CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8")),
            (OPERATION_ID_HEADER, self.operation_id.clone()),
            (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
        ])
    }
}

/// A JSON object as Go's `json.Encoder` writes it: five characters escaped that JSON would not ask for, and a newline at the
/// end.
#[must_use]
pub fn go_body(json: &str) -> Bytes {
    // These characters only ever occur inside strings.
    let mut text = String::with_capacity(json.len() + 1);
    for char in json.chars() {
        match char {
            '<' => text.push_str("\\u003c"),
            '>' => text.push_str("\\u003e"),
            '&' => text.push_str("\\u0026"),
            '\u{2028}' => text.push_str("\\u2028"),
            '\u{2029}' => text.push_str("\\u2029"),
            char => text.push(char),
        }
    }
    text.push('\n');
    text.into()
}
