//! What OpenIM would make of an answer's body.

use serde::Deserialize;

/// What OpenIM would make of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// To go on with the remark: the decision service's decision.
    Decided,
    /// A refusal with this code, which is that of a fallback.
    FellBack(i32),
    /// Nothing that it should have been told.
    Wrong(String),
    /// Nothing at all.
    Missing(String),
}

/// An answer's body in the types that OpenIM decodes it to; it looks at no status.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Body {
    action_code: i32,
    err_code: i32,
    err_msg: String,
    #[serde(rename = "errDlt")]
    _err_dlt: String,
    next_code: i32,
    /// Not there where the callback was not read.
    #[serde(default)]
    remark: String,
}

/// What OpenIM is told by this body where it asked about `remark`.
#[must_use]
pub fn told(body: &[u8], remark: &str) -> Told {
    match serde_json::from_slice(body) {
        Ok(Body { action_code: 0, err_code: 0, next_code: 0, remark: answered, .. }) if answered == remark => {
            Told::Decided
        }
        Ok(Body { action_code: 0, err_code: code @ 9920..=9926, next_code: 1, err_msg, .. }) if !err_msg.is_empty() => {
            Told::FellBack(code)
        }
        Ok(_) | Err(_) => Told::Wrong(body.escape_ascii().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: i32, next: &str, remark: &str) -> String {
        format!(
            "{{\"actionCode\":0,\"errCode\":{code},\"errMsg\":\"x\",\"errDlt\":\"\",\"nextCode\":{next},\
             \"remark\":\"{remark}\"}}"
        )
    }

    #[test]
    fn only_whole_answers_in_openim_s_types_count() {
        assert_eq!(told(answer(0, "0", "pal").as_bytes(), "pal"), Told::Decided);
        assert_eq!(told(answer(9921, "1", "").as_bytes(), "pal"), Told::FellBack(9921));
        for wrong in [answer(0, "0", "other"), answer(0, "\"0\"", "pal"), answer(9900, "1", ""), "{}".to_owned()] {
            assert!(matches!(told(wrong.as_bytes(), "pal"), Told::Wrong(_)), "{wrong}");
        }
    }
}
