//! The request that OpenIM Server makes of a callback, for `send`, `demo` and tests.

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};

use crate::openim::OPERATION_ID_HEADER;

/// The command of the callback before setting a friend's remark.
pub const BEFORE_SET_FRIEND_REMARK: &str = "callbackBeforeSetFriendRemarkCommand";

/// How a request's URL is made from `url` in webhooks.yml.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UrlForm {
    /// `url/COMMAND`, which is what OpenIM Server does.
    #[default]
    Path,
    /// `url?command=COMMAND&contenttype=json`, which is what the documented page says.
    Query,
}

/// A callback before setting a friend's remark, as OpenIM Server sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRequest {
    /// Whose friend it is: `ownerUserID`.
    pub owner: String,
    /// Who gets the remark: `friendUserID`.
    pub friend: String,
    /// What the user typed. May be empty.
    pub remark: String,
    pub operation_id: HeaderValue,
    /// How the URL is made.
    pub form: UrlForm,
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct RemarkBody<'a> {
    callback_command: &'static str,
    #[serde(rename = "ownerUserID")]
    owner_user_id: &'a str,
    #[serde(rename = "friendUserID")]
    friend_user_id: &'a str,
    remark: &'a str,
}

impl CallbackRequest {
    /// The URL that is posted to. As OpenIM does, this only joins texts: it does not parse `base`.
    #[must_use]
    pub fn url(&self, base: &str) -> String {
        match self.form {
            UrlForm::Path => format!("{base}/{BEFORE_SET_FRIEND_REMARK}"),
            UrlForm::Query => {
                let mark = if base.contains('?') { '&' } else { '?' };
                format!("{base}{mark}command={BEFORE_SET_FRIEND_REMARK}&contenttype=json")
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

    /// The body as Go's `json.Encoder` writes it: five characters escaped that JSON would not ask for, and a newline at
    /// the end.
    #[must_use]
    pub fn body(&self) -> String {
        let body = RemarkBody {
            callback_command: BEFORE_SET_FRIEND_REMARK,
            owner_user_id: &self.owner,
            friend_user_id: &self.friend,
            remark: &self.remark,
        };
        let json = serde_json::to_string(&body);
        debug_assert!(json.is_ok(), "strings always encode");
        // These characters only ever occur inside strings.
        let mut text = String::with_capacity(128);
        for char in json.unwrap_or_default().chars() {
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
        text
    }
}
