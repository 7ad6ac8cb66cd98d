//! The one encoder of every byte that OpenIM reads.
//!
//! OpenIM never looks at the status. It decodes the body into int32 and string fields, and anything else there fails
//! its user's action. It refuses if `actionCode` is 0 *and* `nextCode` is 1; `actionCode` 1 means *go on* from v3.7 on,
//! so no other than 0 is ever sent.

use bytes::Bytes;

use super::Refusal;

/// The fields that a callback adds to an answer that lets OpenIM go on, such as `remark`.
pub type Fields = Vec<(&'static str, String)>;

/// What OpenIM is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Go on, with these fields.
    GoOn(Fields),
    /// Do not go on.
    Refuse(Refusal),
}

/// How `nextCode` is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NextCodeForm {
    /// `0` or `1`, the only form that OpenIM Server reads (it decodes an int32).
    #[default]
    Integer,
    /// `"0"` or `"1"`, the documented page's literal form, for receivers built to the page. OpenIM Server fails on it.
    String,
}

impl Verdict {
    /// The body of the response: a JSON object.
    #[must_use]
    pub fn encode(&self, form: NextCodeForm) -> Bytes {
        let mut body = Vec::with_capacity(128 + self.text_bytes());
        let (code, message, detail, next) = match self {
            Self::GoOn(_) => (0, "Success", "", 0),
            Self::Refuse(refusal) => (refusal.code.get(), &*refusal.message, &*refusal.detail, 1),
        };
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
        match self {
            Self::GoOn(fields) => {
                for (name, value) in fields {
                    body.extend_from_slice(b",\"");
                    body.extend_from_slice(name.as_bytes());
                    body.extend_from_slice(b"\":");
                    json(&mut body, value.as_str());
                }
            }
            // As the documented page shows it; OpenIM takes an empty one for "no change".
            Self::Refuse(_) => body.extend_from_slice(b",\"remark\":\"\""),
        }
        body.push(b'}');
        body.into()
    }

    fn text_bytes(&self) -> usize {
        match self {
            Self::GoOn(fields) => fields.iter().map(|(name, value)| name.len() + value.len() + 6).sum(),
            Self::Refuse(refusal) => refusal.message.len() + refusal.detail.len(),
        }
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

    #[test]
    fn go_on_is_as_documented_but_for_the_type_of_next_code() {
        let verdict = Verdict::GoOn(vec![("remark", "My \"Best\"\n朋友\0".to_owned())]);
        insta::assert_snapshot!(text(&verdict, NextCodeForm::Integer), @r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0,"remark":"My \"Best\"\n朋友\u0000"}"#);
        insta::assert_snapshot!(text(&verdict, NextCodeForm::String), @r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":"0","remark":"My \"Best\"\n朋友\u0000"}"#);
    }

    #[test]
    fn going_on_without_fields_leaves_them_out() {
        insta::assert_snapshot!(text(&Verdict::GoOn(vec![]), NextCodeForm::Integer), @r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0}"#);
    }

    #[test]
    fn a_refusal_never_sends_another_action_code() {
        let code = RefusalCode::from_app(5001).expect("5001");
        let verdict = Verdict::Refuse(Refusal { code, message: "no".to_owned(), detail: "why".to_owned() });
        insta::assert_snapshot!(text(&verdict, NextCodeForm::Integer), @r#"{"actionCode":0,"errCode":5001,"errMsg":"no","errDlt":"why","nextCode":1,"remark":""}"#);
        insta::assert_snapshot!(text(&verdict, NextCodeForm::String), @r#"{"actionCode":0,"errCode":5001,"errMsg":"no","errDlt":"why","nextCode":"1","remark":""}"#);
    }
}
