//! What is asked: OpenIM's callbacks in the bytes of a real server, each with something of its own, and what OpenIM must be
//! told about each.

use std::{borrow::Cow, fmt::Write as _, net::SocketAddr};

use anyhow::{Context as _, bail, ensure};
use openim_bridge_bench::{
    answer::{Told, told},
    callback,
};
use serde::Deserialize;

macro_rules! captured {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/callbacks/", $name, ".http"))
    };
}

/// A callback that is sent over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The short callback of all that is not about messages.
    Remark,
    /// beforeSendSingleMsg, as captured.
    Message,
    /// The same with a body of 4 KiB.
    LongMessage,
    /// beforeMsgModify, whose content the decision service changes.
    Modify,
    /// beforeSetGroupInfoEx, whose answer repeats what was asked.
    Echo,
    /// beforeOnlinePush.
    Push,
}

/// The size of [`Kind::LongMessage`]'s body.
const LONG: usize = 4096;

/// What the captured message says, which has a number's place.
const SAID: &str = "single one";
/// What the group is called.
const NAMED: &str = "Group 1c";

/// How a kind is sent and what it is answered.
#[derive(Debug)]
pub(crate) struct Callbacks {
    kind: Kind,
    host: SocketAddr,
    /// The request, cut where its numbers stand.
    head: Vec<String>,
    body: Vec<String>,
}

/// An answer in the types that OpenIM decodes it to, with the fields of all kinds.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Answer<'a> {
    action_code: i32,
    err_code: i32,
    #[serde(borrow)]
    err_msg: Cow<'a, str>,
    #[serde(borrow)]
    err_dlt: Cow<'a, str>,
    next_code: i32,
    content: Option<String>,
    #[serde(rename = "groupID")]
    group_id: Option<String>,
    group_name: Option<String>,
    introduction: Option<String>,
    #[serde(rename = "faceURL")]
    face_url: Option<String>,
    ex: Option<String>,
    need_verification: Option<i32>,
    look_member_info: Option<i32>,
    apply_member_friend: Option<i32>,
}

/// Codes of the bridge's fallbacks, which the other contenders have as well.
const FALLBACKS: std::ops::RangeInclusive<i32> = 9920..=9926;

impl Kind {
    fn captured(self) -> &'static str {
        match self {
            // Made by `callback::request`, as recorded.
            Self::Remark => "",
            Self::Message | Self::LongMessage => captured!("beforeSendSingleMsg"),
            Self::Modify => captured!("beforeMsgModify"),
            Self::Echo => captured!("beforeSetGroupInfoEx"),
            Self::Push => captured!("beforeOnlinePush"),
        }
    }

    /// What stands in place of the captured text: `#` is the number.
    fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::Modify => (SAID, "edit #"),
            Self::Echo => (NAMED, "Group #"),
            _ => (SAID, "text #"),
        }
    }
}

impl Callbacks {
    pub(crate) fn new(kind: Kind, host: SocketAddr) -> anyhow::Result<Self> {
        let (mut head, mut body) = (Vec::new(), Vec::new());
        if kind != Kind::Remark {
            let (captured_head, captured_body) = kind.captured().split_once("\r\n\r\n").context("a whole request")?;
            let operation_id = captured_head.lines().find_map(|line| line.strip_prefix("Operationid: "));
            let operation_id = operation_id.context("an operation ID")?;
            let (captured, text) = kind.text();
            let mut text = text.to_owned();
            if kind == Kind::LongMessage {
                // The body's other parts, and a number of ten digits for the ID and the text each.
                let rest = captured_body.len() - captured.len() + text.len() + 2 * WIDTH - operation_id.len() - 1;
                text.extend("and so on, and on; ".chars().cycle().take(LONG.saturating_sub(rest)));
            }
            let cut = |part: &str| part.split('#').map(str::to_owned).collect();
            body = cut(&captured_body.replace(operation_id, "#").replace(captured, &text));
            let length = captured_head.lines().find(|line| line.starts_with("Content-Length: "));
            let length = length.context("a length")?;
            let size = body.iter().map(String::len).sum::<usize>() + WIDTH * (body.len() - 1);
            let host_line = "Host: 127.0.0.1:10006";
            ensure!(captured_head.contains(host_line), "another host was captured");
            let headers = captured_head.replace(host_line, &format!("Host: {host}"));
            head = cut(&headers.replace(length, &format!("Content-Length: {size}")).replace(operation_id, "#"));
        }
        Ok(Self { kind, host, head, body })
    }

    pub(crate) fn host(&self) -> SocketAddr {
        self.host
    }

    /// Number `number`'s request.
    pub(crate) fn request(&self, number: u64) -> Vec<u8> {
        if self.kind == Kind::Remark {
            return callback::request(self.host, &format!("compare-{number}"), &remark(number));
        }
        let size = self.head.iter().chain(&self.body).map(String::len).sum::<usize>();
        let mut request = String::with_capacity(size + 8 * WIDTH);
        fill(&mut request, &self.head, number);
        request.push_str("\r\n\r\n");
        fill(&mut request, &self.body, number);
        request.into_bytes()
    }

    /// Whether this body tells OpenIM the decision service's decision about callback `number`, and nothing else.
    ///
    /// # Errors
    ///
    /// What it is instead.
    pub(crate) fn check(&self, number: u64, body: &[u8]) -> anyhow::Result<()> {
        if self.kind == Kind::Remark {
            return match told(body, &remark(number)) {
                Told::Decided => Ok(()),
                Told::FellBack(code) => bail!("a fallback, {code}"),
                Told::Wrong(body) | Told::Missing(body) => bail!("a wrong answer to callback {number}: {body}"),
            };
        }
        match serde_json::from_slice::<Answer<'_>>(body) {
            Ok(answer) if answer == self.right(number) => Ok(()),
            Ok(answer) if FALLBACKS.contains(&answer.err_code) => bail!("a fallback, {}", answer.err_code),
            Ok(_) | Err(_) => bail!("a wrong answer to callback {number}: {}", body.escape_ascii()),
        }
    }

    fn right(&self, number: u64) -> Answer<'static> {
        let success = Answer { err_msg: "Success".into(), ..Answer::default() };
        match self.kind {
            Kind::Modify => Answer { content: Some(format!("{{\"content\":\"edited {number:0WIDTH$}\"}}")), ..success },
            Kind::Echo => Answer {
                group_id: Some("g1".to_owned()),
                group_name: Some(format!("Group {number:0WIDTH$}")),
                ..success
            },
            _ => success,
        }
    }
}

/// Digits of every number, so that each request is as long as the next.
const WIDTH: usize = 10;

fn remark(number: u64) -> String {
    format!("pal {number}")
}

/// Puts the number between the parts.
fn fill(request: &mut String, parts: &[String], number: u64) {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            let _infallible = write!(request, "{number:0WIDTH$}");
        }
        request.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: [Kind; 5] = [Kind::Message, Kind::LongMessage, Kind::Modify, Kind::Echo, Kind::Push];

    fn callbacks(kind: Kind) -> Callbacks {
        Callbacks::new(kind, SocketAddr::from(([127, 0, 0, 1], 10006))).expect("captured")
    }

    fn parts(kind: Kind) -> (String, String) {
        let request = String::from_utf8(callbacks(kind).request(42)).expect("UTF-8");
        let (head, body) = request.split_once("\r\n\r\n").expect("whole");
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn a_request_is_as_captured_but_for_its_numbers() {
        for kind in CAPTURED {
            let (head, body) = parts(kind);
            let length = format!("Content-Length: {}", body.len());
            assert!(head.lines().any(|line| line == length), "{kind:?}: {head}");
            let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
            let (_, captured) = kind.captured().split_once("\r\n\r\n").expect("whole");
            let (sent, captured) = (json(&body), json(captured));
            let (sent, captured) = (sent.as_object().expect("an object"), captured.as_object().expect("an object"));
            let others: Vec<_> = captured.keys().filter(|key| sent.get(*key) != captured.get(*key)).collect();
            let expected: &[&str] = match kind {
                Kind::Push => &["operationID"],
                Kind::Echo => &["groupName"],
                _ => &["content", "operationID"],
            };
            assert_eq!(others, expected, "{kind:?}");
            assert_eq!(sent.len(), captured.len(), "{kind:?}");
        }
    }

    #[test]
    fn messages_have_the_sizes_that_their_scenarios_say() {
        let (head, body) = parts(Kind::Message);
        assert!((650..800).contains(&(head.len() + body.len())), "{}", head.len() + body.len());
        assert_eq!(parts(Kind::LongMessage).1.len(), LONG);
    }

    const SUCCESS: &str = "{\"actionCode\":0,\"errCode\":0,\"errMsg\":\"Success\",\"errDlt\":\"\",\"nextCode\":0}";

    fn with(fields: &str) -> String {
        SUCCESS.replace('}', &format!(",{fields}}}"))
    }

    #[test]
    fn only_the_right_answer_to_this_very_callback_counts() {
        let modified = |number: &str| with(&format!("\"content\":\"{{\\\"content\\\":\\\"edited {number}\\\"}}\""));
        let echoed = |name: &str| with(&format!("\"groupID\":\"g1\",\"groupName\":\"{name}\",\"ex\":null"));
        let right = [
            (Kind::Message, SUCCESS.to_owned()),
            (Kind::Push, SUCCESS.to_owned()),
            (Kind::Modify, modified("0000000042")),
            (Kind::Echo, echoed("Group 0000000042")),
            (Kind::Remark, with("\"remark\":\"pal 42\"")),
        ];
        for (kind, body) in right {
            callbacks(kind).check(42, body.as_bytes()).expect("right");
        }
        let wrong = [
            (Kind::Message, with("\"content\":\"changed\"")),
            (Kind::Message, with("\"unknown\":1")),
            (Kind::Message, SUCCESS.replace("\"nextCode\":0", "\"nextCode\":1")),
            (Kind::Message, SUCCESS.replace("Success", "")),
            (Kind::Modify, SUCCESS.to_owned()),
            (Kind::Modify, modified("0000000043")),
            (Kind::Echo, SUCCESS.to_owned()),
            (Kind::Echo, echoed("Group 0000000043")),
            (Kind::Echo, echoed("Group 0000000042").replace("\"ex\":null", "\"ex\":\"\"")),
            (Kind::Remark, with("\"remark\":\"pal 43\"")),
        ];
        for (kind, body) in wrong {
            assert!(callbacks(kind).check(42, body.as_bytes()).is_err(), "{kind:?}: {body}");
        }
        let fallback = SUCCESS.replace("\"errCode\":0", "\"errCode\":9920").replace("\"nextCode\":0", "\"nextCode\":1");
        let error = callbacks(Kind::Push).check(42, fallback.as_bytes()).expect_err("a fallback");
        assert_eq!(error.to_string(), "a fallback, 9920");
    }
}
