//! The one encoder of every byte that OpenIM reads.
//!
//! OpenIM never looks at the status. It decodes the body into int32 and string fields, and anything else there fails
//! its user's action. It refuses if `actionCode` is 0 *and* `nextCode` is 1; `actionCode` 1 means *go on* from v3.7 on,
//! so no other than 0 is ever sent.

use bytes::Bytes;

use super::Refusal;

/// What an answer says beside its verdict, such as `"remark":"pal"`: the members of a JSON object, as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// None yet, with room for so many that are short.
    #[must_use]
    pub fn with_capacity(members: usize) -> Self {
        Self(Vec::with_capacity(members * 64))
    }

    /// Adds a member. `json` is its value, which is JSON.
    pub fn push(&mut self, key: &str, json: &str) {
        self.0.reserve(key.len() + json.len() + 4);
        self.push_with(key, |value| value.extend_from_slice(json.as_bytes()));
    }

    /// Adds a member, whose value is written in UTF-8.
    pub fn push_with(&mut self, key: &str, write: impl FnOnce(&mut Vec<u8>)) {
        self.0.extend_from_slice(if self.0.is_empty() { b"\"" } else { b",\"" });
        self.0.extend_from_slice(key.as_bytes());
        self.0.extend_from_slice(b"\":");
        write(&mut self.0);
    }

    /// Their bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The members, with a comma between each two.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What OpenIM is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `None`: go on.
    pub refusal: Option<Refusal>,
    pub fields: Fields,
}

/// How `nextCode` is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextCodeForm {
    /// `0` or `1`, the only form that OpenIM Server reads (it decodes an int32).
    #[default]
    Integer,
    /// `"0"` or `"1"`, as on OpenIM's documentation page, for receivers that follow it literally. OpenIM Server fails on it.
    String,
}

impl Verdict {
    /// Go on.
    #[must_use]
    pub const fn go_on(fields: Fields) -> Self {
        Self { refusal: None, fields }
    }

    /// The body of the response: a JSON object.
    #[must_use]
    pub fn encode(&self, form: NextCodeForm) -> Bytes {
        let (code, message, detail, next) = match &self.refusal {
            None => (0, "Success", "", 0),
            Some(refusal) => (refusal.code.get(), &*refusal.message, &*refusal.detail, 1),
        };
        let mut body = Vec::with_capacity(128 + message.len() + detail.len() + self.fields.0.len());
        body.extend_from_slice(b"{\"actionCode\":0,\"errCode\":");
        json(&mut body, &code);
        body.extend_from_slice(b",\"errMsg\":");
        json(&mut body, message);
        body.extend_from_slice(b",\"errDlt\":");
        json(&mut body, detail);
        body.extend_from_slice(b",\"nextCode\":");
        match form {
            NextCodeForm::Integer => json(&mut body, &next),
            NextCodeForm::String => json(&mut body, if next == 0 { "0" } else { "1" }),
        }
        if !self.fields.0.is_empty() {
            body.push(b',');
            body.extend_from_slice(&self.fields.0);
        }
        body.push(b'}');
        body.into()
    }
}

/// Appends a number or a string, which cannot fail in a `Vec`.
fn json<T: serde::Serialize + ?Sized>(body: &mut Vec<u8>, value: &T) {
    let written = serde_json::to_writer(body, value);
    debug_assert!(written.is_ok(), "numbers and strings always encode");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openim::RefusalCode;

    fn text(verdict: &Verdict, form: NextCodeForm) -> String {
        String::from_utf8(verdict.encode(form).to_vec()).expect("UTF-8")
    }

    fn remark(json: &str) -> Fields {
        let mut fields = Fields::default();
        fields.push("remark", json);
        fields
    }

    #[test]
    fn go_on_is_as_documented_but_for_the_type_of_next_code() {
        let verdict = Verdict::go_on(remark(r#""My \"Best\" 朋友""#));
        insta::assert_snapshot!(text(&verdict, NextCodeForm::Integer), @r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0,"remark":"My \"Best\" 朋友"}"#);
        insta::assert_snapshot!(text(&verdict, NextCodeForm::String), @r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":"0","remark":"My \"Best\" 朋友"}"#);
    }

    #[test]
    fn going_on_without_fields_leaves_them_out() {
        insta::assert_snapshot!(text(&Verdict::go_on(Fields::default()), NextCodeForm::Integer), @r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0}"#);
    }

    #[test]
    fn a_refusal_never_sends_another_action_code() {
        let code = RefusalCode::from_app(5001).expect("5001");
        let refusal = Refusal { code, message: "no".to_owned(), detail: "why".to_owned() };
        let mut fields = remark(r#""pal""#);
        fields.push("ex", "null");
        let verdict = Verdict { refusal: Some(refusal), fields };
        insta::assert_snapshot!(text(&verdict, NextCodeForm::Integer), @r#"{"actionCode":0,"errCode":5001,"errMsg":"no","errDlt":"why","nextCode":1,"remark":"pal","ex":null}"#);
        insta::assert_snapshot!(text(&verdict, NextCodeForm::String), @r#"{"actionCode":0,"errCode":5001,"errMsg":"no","errDlt":"why","nextCode":"1","remark":"pal","ex":null}"#);
    }
}
