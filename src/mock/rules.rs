//! The rules file: which calls get which answer.
//!
//! ```yaml
//! rules:
//!   - when: { callback: beforeSendGroupMsg, groupID: g1, content: { regex: "(?i)casino" } }
//!     then: { refuse: { code: 5001, message: "No ads", detail: "word list" } }
//!     delay: 100ms
//!   - when: { callback: beforeCreateGroup, initMemberList.userID: u9 }
//!     then: { change: { groupName: "Colleagues" } }
//! ```
//!
//! The first rule whose `when` holds is followed; where none does, the call is allowed. In `when`, all that is given must hold:
//! the `callback`, by its name, and fields of its request, by their names in JSON. A dot leads into an object, and of a list one
//! item must hold. A text, a number or true and false must be equal; a `regex` must be found somewhere in the text (a search:
//! anchor it as `^…$` to match the whole). A rule without `callback` is for those that have all fields and changes that it
//! names. `then` is one of `allow`, `refuse: {…}`, `change: {…}`, `hang`, `status: NAME` and `invalid: unset|code|empty`. `delay` is
//! waited first.
//!
//! In place of `then`, `sequence` has a list of answers, which the rule's calls are given one after the other. The last
//! one is given to all calls after it, or with `repeat: true` the list begins again.
//!
//! `examples/mock-rules.yaml` shows all of it; `when` says which calls a rule is for, and `remark` has the short names.

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use super::{
    answer::{MockAnswer, MockReply},
    command,
    when::{RuleWhen, WrittenWhen},
};
use crate::base::{bounded_file, yaml};
use crate::callback::Callback;

/// What would be right, under every error: the error before it names what is wrong, but often not the alternatives.
const SHAPE: &str = "\
A rules file reads:
  rules:
    - when: { callback: NAME, FIELD: VALUE, FIELD: { regex: PATTERN } }   # each is optional; FIELD as in OpenIM's JSON
      then: ANSWER
      delay: 250ms                                                        # optional
    - sequence: [ANSWER, ANSWER]                                          # one after the other; the last is given on
      repeat: true                                                        # optional: after the last, the first again
where ANSWER is one of: allow | { refuse: { code: NUMBER, message: TEXT, detail: TEXT } } | { change: { KEY: VALUE } } | hang |
{ status: UNAVAILABLE } | { invalid: unset } | { invalid: code } | { invalid: empty }
The remark's fields are also called owner and friend, and { replace: TEXT } changes it.";

/// What a rules file may hold at most: 1 MiB.
pub(crate) const MAX_BYTES: usize = 1 << 20;

/// Which calls get which answer. The default has no rules, so that every call is allowed.
///
/// Texts such as `mock:refuse` come before any rule.
#[derive(Debug)]
pub struct Rules {
    rules: Vec<Rule>,
    /// As they were written.
    text: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self { rules: vec![], text: "rules: []\n".to_owned() }
    }
}

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("cannot read the rules file {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The text is not valid. The message names line, column and key, and shows the place.
    #[error("the rules in {origin} are not valid\n{message}\n\n{SHAPE}")]
    Invalid {
        /// The name of what holds them.
        origin: String,
        /// What is wrong, where, and what would be right.
        message: String,
    },
}

impl Rules {
    /// Reads a rules file.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or is not valid.
    pub fn load(path: &Path) -> Result<Self, RulesError> {
        Self::parse(&path.display().to_string(), &read(path)?)
    }

    /// Reads rules from YAML; `origin` names it in errors.
    ///
    /// # Errors
    ///
    /// Where the text is not valid.
    pub fn parse(origin: &str, yaml: &str) -> Result<Self, RulesError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Parsed {
            rules: Vec<Rule>,
        }
        // A nickname may be `N`, or `no`.
        let options = serde_saphyr::options! { strict_booleans: true };
        let parsed = serde_saphyr::from_str_with_options(yaml, options)
            .map_err(|error| RulesError::Invalid { origin: origin.to_owned(), message: yaml::shown(&error, origin) });
        parsed.map(|Parsed { rules }| Self { rules, text: yaml.to_owned() })
    }

    /// The YAML that they were read from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Every sequence begins again.
    pub(super) fn restart(&self) {
        for rule in &self.rules {
            if let Answers::Sequence(sequence) = &rule.answers {
                sequence.restart();
            }
        }
    }

    /// What the mock does with a call, whose request this is in JSON. A rule's sequence is one answer further after it.
    #[must_use]
    pub fn answer(&self, callback: &'static Callback, request: &Value) -> MockAnswer {
        let mut answer = command::answer(callback, request)
            .or_else(|| self.rules.iter().find(|rule| rule.when.holds(callback, request)).map(Rule::answer))
            .unwrap_or_else(|| MockReply::Allow.into());
        if callback.is_after() && answer.reply.decides() {
            answer.reply = MockReply::Allow;
        }
        answer
    }
}

/// What a rules file holds, for [`Rules::parse`].
pub(super) fn read(path: &Path) -> Result<String, RulesError> {
    let read = || {
        let text = bounded_file::read(path, MAX_BYTES as u64 + 1)?;
        let text = String::from_utf8(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        if text.len() > MAX_BYTES { Err(io::Error::other("it is larger than 1 MiB")) } else { Ok(text) }
    };
    read().map_err(|source| RulesError::Read { path: path.to_owned(), source })
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
struct Rule {
    when: RuleWhen,
    answers: Answers,
    delay: Duration,
}

/// A rule as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    when: WrittenWhen,
    then: Option<MockReply>,
    sequence: Option<Vec<MockReply>>,
    repeat: Option<bool>,
    #[serde(default, deserialize_with = "delay")]
    delay: Duration,
}

impl TryFrom<Written> for Rule {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { when, then, sequence, repeat, delay } = written;
        let answers = match (then, sequence, repeat) {
            (Some(reply), None, None) => Answers::Always(reply),
            (None, Some(replies), repeat) => Answers::Sequence(Sequence::new(replies, repeat.unwrap_or(false))?),
            (Some(_), None, Some(_)) => {
                return Err("`repeat` is for a `sequence`, and `then` is always repeated".to_owned());
            }
            (Some(_), Some(_), _) => return Err("a rule has `then` or `sequence`, not both".to_owned()),
            (None, None, _) => return Err("a rule needs `then: ANSWER` or `sequence: [ANSWER, …]`".to_owned()),
        };
        let when = when.read(answers.all())?;
        Ok(Self { when, answers, delay })
    }
}

impl Rule {
    fn answer(&self) -> MockAnswer {
        let reply = match &self.answers {
            Answers::Always(reply) => reply,
            Answers::Sequence(sequence) => sequence.next(),
        };
        MockAnswer { delay: self.delay, reply: reply.clone() }
    }
}

#[derive(Debug)]
enum Answers {
    Always(MockReply),
    Sequence(Sequence),
}

impl Answers {
    fn all(&self) -> impl Iterator<Item = &MockReply> {
        let (first, others) = match self {
            Self::Always(reply) => (reply, [].as_slice()),
            Self::Sequence(sequence) => (&sequence.first, &*sequence.others),
        };
        std::iter::once(first).chain(others)
    }
}

/// Answers that are given one after the other.
#[derive(Debug)]
struct Sequence {
    first: MockReply,
    others: Vec<MockReply>,
    repeat: bool,
    /// How many answers were given.
    given: AtomicUsize,
}

impl Sequence {
    fn new(replies: Vec<MockReply>, repeat: bool) -> Result<Self, &'static str> {
        let mut others = replies.into_iter();
        let first = others.next().ok_or("`sequence` needs an answer at least")?;
        let others = others.collect();
        Ok(Self { first, others, repeat, given: AtomicUsize::new(0) })
    }

    fn next(&self) -> &MockReply {
        let given = self.given.fetch_add(1, Relaxed);
        let last = self.others.len();
        let position = if self.repeat { given % (last + 1) } else { given.min(last) };
        position.checked_sub(1).and_then(|index| self.others.get(index)).unwrap_or(&self.first)
    }

    /// The next answer is the first one.
    fn restart(&self) {
        self.given.store(0, Relaxed);
    }
}

fn delay<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|error| D::Error::custom(format_args!("`delay`: expected a duration such as 250ms or 2s: {error}")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use tonic::Code;

    use super::*;
    use crate::mock::{answer::MockInvalid, contract::callback_named};

    /// What the mock does with a remark's callback.
    fn answered(rules: &Rules, owner: &str, friend: &str, remark: &str) -> MockAnswer {
        let request = json!({ "ownerUserID": owner, "friendUserID": friend, "remark": remark });
        rules.answer(named("beforeSetFriendRemark"), &request)
    }

    fn named(name: &str) -> &'static Callback {
        callback_named(name).expect("a callback")
    }

    fn rules(yaml: &str) -> Rules {
        Rules::parse("rules.yaml", yaml).expect("valid rules")
    }

    fn complaint(yaml: &str) -> String {
        let text = Rules::parse("rules.yaml", yaml).expect_err("invalid rules").to_string();
        let text = text.strip_prefix("the rules in rules.yaml are not valid\n").expect("names the file");
        text.strip_suffix(SHAPE)
            .and_then(|text| text.strip_suffix("\n\n"))
            .expect("shows what would be right")
            .to_owned()
    }

    fn reply(rules: &Rules, owner: &str, friend: &str, remark: &str) -> MockReply {
        answered(rules, owner, friend, remark).reply
    }

    #[test]
    fn the_first_rule_that_holds_is_followed() {
        let rules = rules(
            r#"
rules:
  - when: { owner: u1, remark: { regex: "(?i)spam" } }
    then: { refuse: { code: 5001, message: "No spam", detail: "word list" } }
    delay: 100ms
  - when: { owner: u1 }
    then: { replace: Colleague }
  - then: hang
"#,
        );
        let refusal = MockReply::Refuse { code: 5001, message: "No spam".to_owned(), detail: "word list".to_owned() };
        let answer = MockAnswer { delay: Duration::from_millis(100), reply: refusal };
        assert_eq!(answered(&rules, "u1", "u2", "some SPAM here"), answer);
        assert_eq!(reply(&rules, "u1", "u2", "some ham here"), MockReply::Replace("Colleague".to_owned()));
        assert_eq!(reply(&rules, "u2", "u1", "some spam here"), MockReply::Hang);
    }

    #[test]
    fn equality_is_of_the_whole_and_a_regex_is_a_search() {
        let rules = rules(
            r"
rules:
  - when: { friend: u9 }
    then: { status: NOT_FOUND }
  - when: { friend: { regex: '^bot-\d+$' } }
    then: { invalid: unset }
  - when: { friend: { regex: oo } }
    then: { invalid: code }
  - when: { remark: '' }
    then: { invalid: empty }
",
        );
        assert_eq!(reply(&rules, "u1", "u9", "r"), MockReply::Status(Code::NotFound));
        assert_eq!(reply(&rules, "u1", "u99", "r"), MockReply::Allow);
        assert_eq!(reply(&rules, "u1", "bot-7", "r"), MockReply::Invalid(MockInvalid::Unset));
        assert_eq!(reply(&rules, "u1", "bot-7x", "r"), MockReply::Allow);
        assert_eq!(reply(&rules, "u1", "foot", "r"), MockReply::Invalid(MockInvalid::Code));
        assert_eq!(reply(&rules, "u1", "u2", ""), MockReply::Invalid(MockInvalid::Empty));
    }

    #[test]
    fn a_sequence_gives_its_answers_in_turn_and_then_the_last_one_on() {
        let rules = rules("rules: [{ when: { owner: u1 }, sequence: [allow, { status: UNAVAILABLE }, hang] }]");
        assert_eq!(reply(&rules, "u1", "u2", ""), MockReply::Allow);
        assert_eq!(reply(&rules, "u1", "u2", ""), MockReply::Status(Code::Unavailable));
        // Calls that the rule is not for, and commands, are not counted.
        assert_eq!(reply(&rules, "u9", "u2", ""), MockReply::Allow);
        assert_eq!(reply(&rules, "u1", "u2", "mock:allow"), MockReply::Allow);
        assert_eq!(reply(&rules, "u1", "u2", ""), MockReply::Hang);
        assert_eq!(reply(&rules, "u1", "u2", ""), MockReply::Hang);
        rules.restart();
        assert_eq!(reply(&rules, "u1", "u2", ""), MockReply::Allow);
    }

    #[test]
    fn a_sequence_with_repeat_begins_again() {
        let rules = rules("rules: [{ sequence: [allow, hang, { replace: x }], repeat: true }]");
        let cycle = [MockReply::Allow, MockReply::Hang, MockReply::Replace("x".to_owned())];
        for expected in cycle.iter().chain(&cycle) {
            assert_eq!(reply(&rules, "u1", "u2", ""), *expected);
        }
    }

    #[test]
    fn rules_may_be_json() {
        let rules = rules(r#"{"rules": [{"when": {"remark": {"regex": "^a"}}, "then": {"replace": "\u00e9"}}]}"#);
        assert_eq!(reply(&rules, "u1", "u2", "ab"), MockReply::Replace("é".to_owned()));
    }

    #[test]
    fn remark_commands_come_before_the_rules() {
        let rules = rules("rules: [{ then: hang }]");
        assert_eq!(reply(&rules, "u1", "u2", "mock:allow"), MockReply::Allow);
        assert_eq!(reply(&rules, "u1", "u2", "Allow"), MockReply::Hang);
    }

    #[test]
    fn a_refusal_may_leave_everything_unset_or_be_wrong_on_purpose() {
        let unset = MockReply::Refuse { code: 0, message: String::new(), detail: String::new() };
        assert_eq!(reply(&rules("rules: [{ then: { refuse: {} } }]"), "u1", "u2", ""), unset);
        let wrong = MockReply::Refuse { code: -7, message: String::new(), detail: String::new() };
        assert_eq!(reply(&rules("rules: [{ then: { refuse: { code: -7 } } }]"), "u1", "u2", ""), wrong);
    }

    #[test]
    fn an_error_in_when_names_the_place_the_key_and_what_would_be_right() {
        insta::assert_snapshot!(complaint("rules:\n  - wen: { owner: u1 }\n    then: allow\n"), @r#"
        error: line 2 column 5: unknown field `wen`, expected one of when, then, sequence, repeat, delay
         --> rules.yaml:2:5
          |
        1 | rules:
        2 |   - wen: { owner: u1 }
          |     ^ unknown field `wen`, expected one of when, then, sequence, repeat, delay
        3 |     then: allow
          |
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - when: { sender: u1 }\n    then: allow\n"), @"
        error: line 2 column 5: `sender` is no field of any callback
         --> rules.yaml:2:5
          |
        1 | rules:
        2 |   - when: { sender: u1 }
          |     ^ `sender` is no field of any callback
        3 |     then: allow
          |
        ");
        insta::assert_snapshot!(complaint("rules:\n  - when: { owner: 007 }\n    then: allow\n"), @r#"
        error: line 2 column 13: invalid type: floating point `7.0`, expected a text (in quotes, where it looks like a number), a whole number, true, false or { regex: "…" }
         --> rules.yaml:2:13
          |
        1 | rules:
        2 |   - when: { owner: 007 }
          |             ^ invalid type: floating point `7.0`, expected a text (in quotes, where it looks like a number), a whole number, true, false or { regex: "…" }
        3 |     then: allow
          |
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - when: { owner: }\n    then: allow\n"), @r#"
        error: line 2 column 13: invalid type: unit value, expected a text (in quotes, where it looks like a number), a whole number, true, false or { regex: "…" }
         --> rules.yaml:2:13
          |
        1 | rules:
        2 |   - when: { owner: }
          |             ^ invalid type: unit value, expected a text (in quotes, where it looks like a number), a whole number, true, false or { regex: "…" }
        3 |     then: allow
          |
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - when: { owner: { like: u } }\n    then: allow\n"), @r#"
        error: line 2 column 22: unknown field `like`, expected one of regex
         --> rules.yaml:2:22
          |
        1 | rules:
        2 |   - when: { owner: { like: u } }
          |                      ^ unknown field `like`, expected one of regex
        3 |     then: allow
          |
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - when: { owner: { regex: a, like: b } }\n    then: allow\n"), @r#"
        error: line 2 column 32: unknown field `like`, expected one of regex
         --> rules.yaml:2:32
          |
        1 | rules:
        2 |   - when: { owner: { regex: a, like: b } }
          |                                ^ unknown field `like`, expected one of regex
        3 |     then: allow
          |
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - when: { remark: { regex: '(' } }\n    then: allow\n"), @"
        error: line 2 column 30: `regex` is no regular expression: found open group without closing ')'
         --> rules.yaml:2:30
          |
        1 | rules:
        2 |   - when: { remark: { regex: '(' } }
          |                              ^ `regex` is no regular expression: found open group without closing ')'
        3 |     then: allow
          |
        ");
    }

    #[test]
    fn an_error_in_then_names_the_place_the_key_and_what_would_be_right() {
        insta::assert_snapshot!(complaint("rules:\n  - when: { owner: u1 }\n"), @r#"
        error: line 2 column 5: a rule needs `then: ANSWER` or `sequence: [ANSWER, …]`
         --> rules.yaml:2:5
          |
        1 | rules:
        2 |   - when: { owner: u1 }
          |     ^ a rule needs `then: ANSWER` or `sequence: [ANSWER, …]`
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: deny\n"), @"
        error: line 2 column 11: unknown variant `deny`, expected one of allow, refuse, change, replace, hang, status, invalid
         --> rules.yaml:2:11
          |
        1 | rules:
        2 |   - then: deny
          |           ^ unknown variant `deny`, expected one of allow, refuse, change, replace, hang, status, invalid
        ");
        insta::assert_snapshot!(complaint("rules:\n  - then: refuse\n"), @r#"
        error: line 3 column 1: expected mapping start
         --> rules.yaml:2:18
          |
        1 | rules:
        2 |   - then: refuse
          |                 ^ expected mapping start
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: { refuse: { cod: 5001 } }\n"), @r#"
        error: line 2 column 23: unknown field `cod`, expected one of code, message, detail
         --> rules.yaml:2:23
          |
        1 | rules:
        2 |   - then: { refuse: { cod: 5001 } }
          |                       ^ unknown field `cod`, expected one of code, message, detail
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: { refuse: { code: many } }\n"), @r#"
        error: line 2 column 29: invalid i32
         --> rules.yaml:2:29
          |
        1 | rules:
        2 |   - then: { refuse: { code: many } }
          |                             ^ invalid i32
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: { replace: x, status: OK }\n"), @r#"
        error: line 2 column 25: expected end of mapping after enum variant value
         --> rules.yaml:2:25
          |
        1 | rules:
        2 |   - then: { replace: x, status: OK }
          |                         ^ expected end of mapping after enum variant value
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: { replace: '' }\n"), @r#"
        error: line 2 column 22: `replace` needs a text; to answer an empty one on purpose, write `invalid: empty`
         --> rules.yaml:2:22
          |
        1 | rules:
        2 |   - then: { replace: '' }
          |                      ^ `replace` needs a text; to answer an empty one on purpose, write `invalid: empty`
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: { status: TEAPOT }\n"), @r#"
        error: line 2 column 21: `TEAPOT` is no gRPC status; expected one of OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED
         --> rules.yaml:2:21
          |
        1 | rules:
        2 |   - then: { status: TEAPOT }
          |                     ^ `TEAPOT` is no gRPC status; expected one of OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: { invalid: all }\n"), @r#"
        error: line 2 column 22: unknown variant `all`, expected one of unset, code, empty
         --> rules.yaml:2:22
          |
        1 | rules:
        2 |   - then: { invalid: all }
          |                      ^ unknown variant `all`, expected one of unset, code, empty
        "#);
    }

    #[test]
    fn a_rule_is_for_the_callbacks_that_have_what_it_names() {
        let rules = rules(
            r#"
rules:
  - when: { callback: beforeCreateGroup, initMemberList.userID: u9, needVerification: 2 }
    then: { change: { groupName: Colleagues, needVerification: 0 } }
  - when: { callback: { regex: "^before.*Push$" }, userIDList: { regex: "^u" } }
    then: { change: { userIDList: [u1] } }
  - when: { callback: { regex: OfflinePush }, iOSBadgeCount: true }
    then: { status: ABORTED }
  - then: { change: { users: [{ userID: u1, nickname: N }] } }
  - when: { groupID: g1 }
    then: { refuse: {} }
  - then: { replace: Pal }
  - then: { status: ABORTED }
"#,
        );
        let reply = |name: &str, request: Value| rules.answer(named(name), &request).reply;
        let change = |change: Value| match change {
            Value::Object(change) => MockReply::Change(change),
            other => panic!("{other}"),
        };
        let refuse = || MockReply::Refuse { code: 0, message: String::new(), detail: String::new() };
        let (aborted, members) = (MockReply::Status(Code::Aborted), json!([{ "userID": "u1" }, { "userID": "u9" }]));
        let group = json!({ "groupID": "g1", "needVerification": 2, "initMemberList": members });
        let colleagues = change(json!({ "groupName": "Colleagues", "needVerification": 0 }));
        assert_eq!(reply("beforeCreateGroup", group.clone()), colleagues);
        // It lacks the change, and so does an after callback, which cannot be refused either.
        assert_eq!(reply("beforeInviteUserToGroup", group.clone()), refuse());
        assert_eq!(reply("afterCreateGroup", group), MockReply::Allow);
        let push = json!({ "userIDList": ["v1", "u2"], "iOSBadgeCount": true });
        assert_eq!(reply("beforeOfflinePush", push), change(json!({ "userIDList": ["u1"] })));
        let push = json!({ "userIDList": ["v1"], "iOSBadgeCount": true });
        assert_eq!(reply("beforeOfflinePush", push.clone()), aborted);
        assert_eq!(reply("beforeOnlinePush", push), aborted);
        let users = change(json!({ "users": [{ "userID": "u1", "nickname": "N" }] }));
        assert_eq!(reply("beforeUserRegister", json!({ "users": [] })), users);
        assert_eq!(reply("beforeSetFriendRemark", json!({})), MockReply::Replace("Pal".to_owned()));
        assert_eq!(reply("afterSetFriendRemark", json!({})), aborted);
    }

    #[test]
    fn a_name_that_the_callback_lacks_is_an_error_that_says_what_it_has() {
        for (rule, expected) in [
            (
                "when: { callback: beforeSendGroupMessage }, then: allow",
                "`beforeSendGroupMessage` is no callback: did you mean `beforeSendGroupMsg`?",
            ),
            (
                "when: { callback: callbackBeforeSendGroupMsgCommand }, then: allow",
                "`callbackBeforeSendGroupMsgCommand` is no callback: did you mean `beforeSendGroupMsg`?",
            ),
            ("when: { callback: { regex: '^Before' } }, then: allow", "`^Before` is found in no callback's name"),
            ("when: { callback: 1 }, then: allow", "`callback` must be a name, not 1"),
            (
                "when: { callback: beforeSendGroupMsg, groupId: g1 }, then: allow",
                "`groupId` is no field of beforeSendGroupMsg: did you mean `groupID`?",
            ),
            (
                "when: { callback: beforeAddBlack, text: x }, then: allow",
                "`text` is no field of beforeAddBlack, which has ownerUserID, blackUserID",
            ),
            (
                "when: { callback: afterSetFriendRemark, owner: u1 }, then: allow",
                "`owner` is no field of afterSetFriendRemark, which has ownerUserID, friendUserID, remark",
            ),
            (
                "when: { callback: beforeCreateGroup, initMemberList.userId: u1 }, then: allow",
                "`initMemberList.userId` is no field of beforeCreateGroup: did you mean `initMemberList.userID`?",
            ),
            (
                "when: { callback: beforeCreateGroup, initMemberList: u1 }, then: allow",
                "`initMemberList` is an object: name a field of it, as in `initMemberList.KEY`",
            ),
            (
                "when: { callback: beforeSendGroupMsg, groupID: 1 }, then: allow",
                "`groupID` must be a text (in quotes, where it looks like a number)",
            ),
            (
                "when: { callback: beforeSendGroupMsg, contentType: '101' }, then: allow",
                "`contentType` must be a number",
            ),
            (
                "when: { groupNames: g1 }, then: allow",
                "`groupNames` is no field of any callback: did you mean `groupName`?",
            ),
            (
                "when: { callback: beforeSendGroupMsg }, then: { change: { content: x } }",
                "beforeSendGroupMsg takes no change: its decision is allow or refuse",
            ),
            (
                "when: { callback: beforeMsgModify }, then: { change: { contents: x } }",
                "`contents` is no key of beforeMsgModify's change: did you mean `content`?",
            ),
            (
                "when: { callback: beforeMsgModify }, then: { change: { content: 1 } }",
                "`content` must be a text (in quotes, where it looks like a number)",
            ),
            (
                "when: { callback: beforeMsgModify }, then: { change: { contentType: 2147483648 } }",
                "`contentType` must be a number",
            ),
            (
                "when: { callback: beforeOfflinePush }, then: { change: { userIDList: u1 } }",
                "`userIDList` must be a list of texts",
            ),
            (
                "when: { callback: beforeOfflinePush }, then: { change: { sendID: u1 } }",
                "`sendID` is no key of beforeOfflinePush's change, which has userIDList",
            ),
            (
                "then: { change: { users: [{ userId: u1 }] } }",
                "`users.userId` is no key of the change: did you mean `userID`?",
            ),
            ("then: { change: { users: [null] } }", "`users` must be an object"),
            ("then: { change: { users: {} } }", "`users` must be a list"),
            ("then: { change: { nicknames: x } }", "`nicknames` is no key of a change: did you mean `nickName`?"),
            ("then: { change: {} }", "`change` needs a key; to answer an empty one on purpose, write `invalid: empty`"),
            (
                "when: { callback: beforeAddFriend }, sequence: [allow, { replace: x }]",
                "beforeAddFriend takes no change: its decision is allow or refuse",
            ),
            (
                "when: { callback: afterAddFriend }, sequence: [allow, { refuse: {} }]",
                "afterAddFriend has no decision, since OpenIM only tells: its answer is allow, status or hang",
            ),
            ("when: { callback: afterAddFriend }, then: { change: { x: 1 } }", "afterAddFriend has no decision"),
            ("when: { callback: { regex: ^after } }, then: { invalid: unset }", "has no decision"),
        ] {
            let complaint = complaint(&format!("rules:\n  - {{ {rule} }}\n"));
            assert!(complaint.contains("line 2 column ") && complaint.contains(expected), "{expected}\n{complaint}");
        }
    }

    #[test]
    fn a_rule_with_no_answer_or_with_two_is_told_what_it_needs() {
        for (rule, expected) in [
            ("{ sequence: [] }", "`sequence` needs an answer at least"),
            ("{ then: hang, repeat: true }", "`repeat` is for a `sequence`, and `then` is always repeated"),
            ("{ then: hang, sequence: [hang] }", "a rule has `then` or `sequence`, not both"),
            ("{ delay: 1s }", "a rule needs `then: ANSWER` or `sequence: [ANSWER, …]`"),
        ] {
            let complaint = complaint(&format!("rules:\n  - {rule}\n"));
            assert!(complaint.contains(expected) && complaint.contains("line 2"), "{complaint}");
        }
    }

    #[test]
    fn any_other_error_names_the_place_the_key_and_what_would_be_right() {
        insta::assert_snapshot!(complaint("rules:\n  - then: allow\n    delay: 250\n"), @r#"
        error: line 3 column 12: `delay`: expected a duration such as 250ms or 2s: time unit needed, for example 250sec or 250ms
         --> rules.yaml:3:12
          |
        1 | rules:
        2 |   - then: allow
        3 |     delay: 250
          |            ^ `delay`: expected a duration such as 250ms or 2s: time unit needed, for example 250sec or 250ms
        "#);
        insta::assert_snapshot!(complaint("rules:\n  - then: allow\n    then: hang\n"), @r#"
        error: line 3 column 5: duplicate mapping key `then` is not allowed here
         --> rules.yaml:3:5
          |
        1 | rules:
        2 |   - then: allow
        3 |     then: hang
          |     ^ duplicate mapping key `then` is not allowed here
        "#);
        insta::assert_snapshot!(complaint("- then: allow\n"), @r#"
        error: line 1 column 1: expected mapping start
         --> rules.yaml:1:1
          |
        1 | - then: allow
          | ^ expected mapping start
        "#);
        insta::assert_snapshot!(complaint(""), @"unexpected end of file at line 1, column 1");
        insta::assert_snapshot!(complaint("rules: [\n"), @r#"
        error: line 1 column 8: unclosed bracket '['
         --> rules.yaml:1:8
          |
        1 | rules: [
          |        ^ unclosed bracket '['
        "#);
    }

    #[test]
    fn the_example_is_valid_and_shows_every_reply() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/mock-rules.yaml");
        let example = Rules::load(&path).expect("a valid example");
        let replies = example.rules.iter().flat_map(|rule| rule.answers.all());
        let shown: std::collections::BTreeSet<_> = replies.map(MockReply::into_str).collect();
        assert_eq!(Vec::from_iter(shown), ["allow", "change", "hang", "invalid", "refuse", "replace", "status"]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Rules::load(Path::new("no/such/rules.yaml")).expect_err("no file");
        assert_eq!(error.to_string(), "cannot read the rules file no/such/rules.yaml");
    }

    proptest! {
        #[test]
        fn without_rules_every_other_remark_is_allowed(remark in any::<String>()) {
            prop_assume!(!remark.starts_with("mock:"));
            prop_assert_eq!(answered(&Rules::default(), "u1", "u2", &remark), MockReply::Allow.into());
        }
    }
}
