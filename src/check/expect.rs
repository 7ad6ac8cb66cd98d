//! A team's own table: questions, and the decision that each must get.
//!
//! ```yaml
//! cases:
//!   - remark: "My Best Friend"
//!     expect: allow
//!   - name: no spam
//!     owner: u1
//!     friend: u2
//!     remark: "buy now"
//!     expect: { refuse: { code: 5001, message: "Not allowed" } }
//!   - remark: "  Bob  "
//!     expect: { replace: "Bob" }
//! ```
//!
//! `owner` and `friend` are made up where they are missing. Of a refusal only what is given is compared: `{ refuse: {} }`
//! takes any.

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_saphyr::Spanned;

use super::samples::{CheckSample, FRIEND, OWNER, quoted};
use super::session::{Session, TimedReply, words};
use super::verdict::CaseVerdict;
use crate::base::yaml::read_text;
use crate::openim::RefusalCode;
use crate::proto::{Refuse, ReplaceRemark, before_set_friend_remark_response::Decision};

/// What would be right, under every error.
const SHAPE: &str = "\
A table of expected decisions reads:
  cases:
    - name: TEXT            # optional
      owner: TEXT           # optional, as is friend
      friend: TEXT
      remark: TEXT          # in quotes where it is empty or looks like anything else than a text
      expect: DECISION
where DECISION is one of: allow | { refuse: { code: NUMBER, message: TEXT, detail: TEXT } } | { replace: TEXT }
and each of code, message and detail is optional.";

#[derive(Debug)]
pub struct Expectations(Vec<Expectation>);

#[derive(Debug)]
pub struct Expectation {
    /// Such as `expect-3`.
    pub name: String,
    /// Where it is, and what it says.
    pub shows: String,
    sample: CheckSample,
    expected: ExpectedDecision,
}

#[derive(Debug, thiserror::Error)]
pub enum ExpectationsError {
    #[error("cannot read the table of expected decisions {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// Its text is not valid. The message names line, column and key, and shows the place.
    #[error("the table of expected decisions {origin} is not valid\n{message}\n\n{SHAPE}")]
    InvalidReply {
        origin: String,
        /// What is wrong, where, and what would be right.
        message: String,
    },
}

impl Expectations {
    /// Reads such a file.
    ///
    /// # Errors
    /// Where it cannot be read or is not valid.
    pub fn load(path: &Path) -> Result<Self, ExpectationsError> {
        let text = read_text(path).map_err(|source| ExpectationsError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads a table from YAML; `origin` names it in errors and reports.
    ///
    /// # Errors
    /// Where the text is not valid.
    pub fn parse(origin: &str, yaml: &str) -> Result<Self, ExpectationsError> {
        let table: Table = serde_saphyr::from_str(yaml).map_err(|error: serde_saphyr::Error| {
            let options = serde_saphyr::render_options! {
                formatter: &serde_saphyr::UserMessageFormatter,
                source_name: Some(origin),
            };
            ExpectationsError::InvalidReply { origin: origin.to_owned(), message: error.render_with_options(options) }
        })?;
        let rows = (1..).zip(table.cases).map(|(number, row)| row.expectation(origin, number)).collect();
        Ok(Self(rows))
    }

    #[must_use]
    pub fn rows(&self) -> &[Expectation] {
        &self.0
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(deserialize_with = "rows")]
    cases: Vec<Spanned<Row>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: Option<String>,
    owner: Option<String>,
    friend: Option<String>,
    remark: String,
    expect: ExpectedDecision,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExpectedDecision {
    Allow,
    Refuse(ExpectedRefusal),
    #[serde(deserialize_with = "replacement")]
    Replace(String),
}

/// What is `None` is not compared.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ExpectedRefusal {
    #[serde(deserialize_with = "code")]
    code: Option<i32>,
    message: Option<String>,
    detail: Option<String>,
}

fn rows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Spanned<Row>>, D::Error> {
    let rows = Vec::<Spanned<Row>>::deserialize(deserializer)?;
    if rows.is_empty() {
        return Err(D::Error::custom("`cases` has no row: such a table tests nothing"));
    }
    Ok(rows)
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    let code = Option::<i32>::deserialize(deserializer)?;
    match code {
        Some(code) if code != 0 && RefusalCode::from_app(code).is_none() => {
            Err(D::Error::custom("`code` must be 5000 to 9899, or 0 where the service leaves it unset"))
        }
        code => Ok(code),
    }
}

fn replacement<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(D::Error::custom("`replace` needs a text: an empty replacement is no valid decision"));
    }
    Ok(text)
}

trait AsExpectation {
    fn expectation(self, origin: &str, number: usize) -> Expectation;
}

impl AsExpectation for Spanned<Row> {
    fn expectation(self, origin: &str, number: usize) -> Expectation {
        let line = self.referenced.line();
        let row = self.value;
        let sample = CheckSample::of(
            row.owner.as_deref().unwrap_or(OWNER),
            row.friend.as_deref().unwrap_or(FRIEND),
            &row.remark,
        );
        let title = row.name.unwrap_or_else(|| sample.to_string());
        let shows = format!("{origin}:{line}: {title}");
        Expectation { name: format!("expect-{number}"), shows, sample, expected: row.expect }
    }
}

impl Expectation {
    pub(super) async fn run(&self, session: &Session) -> CaseVerdict {
        match session.ask(&self.sample).await {
            Err(why) => CaseVerdict::Failed(format!("expected {}, and had {why}", self.expected.words())),
            Ok(TimedReply { decision: Err(invalid), .. }) => {
                CaseVerdict::Failed(format!("expected {}, and the reply is invalid: {invalid}", self.expected.words()))
            }
            Ok(TimedReply { decision: Ok(decision), .. }) if self.expected.is(&decision) => {
                CaseVerdict::Passed(words(&decision))
            }
            Ok(TimedReply { decision: Ok(decision), .. }) => {
                CaseVerdict::Failed(format!("expected {}, and got {}", self.expected.words(), words(&decision)))
            }
        }
    }
}

impl ExpectedDecision {
    fn is(&self, decision: &Decision) -> bool {
        match (self, decision) {
            (Self::Allow, Decision::Allow(_)) => true,
            (Self::Replace(expected), Decision::ReplaceRemark(ReplaceRemark { remark })) => expected == remark,
            (Self::Refuse(expected), Decision::Refuse(Refuse { code, message, detail })) => {
                let is = |expected: &Option<String>, text| expected.as_ref().is_none_or(|expected| expected == text);
                expected.code.is_none_or(|expected| expected == *code)
                    && is(&expected.message, message)
                    && is(&expected.detail, detail)
            }
            _ => false,
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Allow => "allow".to_owned(),
            Self::Replace(remark) => format!("replace by {}", quoted(remark)),
            Self::Refuse(ExpectedRefusal { code, message, detail }) => {
                let parts = [
                    code.map(|code| format!("code {code}")),
                    message.as_ref().map(|message| format!("message {}", quoted(message))),
                    detail.as_ref().map(|detail| format!("detail {}", quoted(detail))),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                if parts.is_empty() { "refuse".to_owned() } else { format!("refuse with {}", parts.join(", ")) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(yaml: &str) -> String {
        let text = Expectations::parse("table.yaml", yaml).expect_err("invalid").to_string();
        let text = text.strip_prefix("the table of expected decisions table.yaml is not valid\n").expect("the file");
        // The lines around the place are the parser's.
        text.lines().next().expect("a line").to_owned()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let of = |row: &str| complaint(&format!("cases:\n  - remark: x\n    {row}\n"));
        insta::assert_snapshot!(of("expct: allow"), @"error: line 3 column 5: unknown field `expct`, expected one of name, owner, friend, remark, expect");
        insta::assert_snapshot!(of("expect: alow"), @"error: line 3 column 13: unknown variant `alow`, expected one of allow, refuse, replace");
        insta::assert_snapshot!(of("expect: refuse"), @"error: line 4 column 1: expected mapping start");
        insta::assert_snapshot!(of("expect: { refuse: { cod: 5000 } }"), @"error: line 3 column 25: unknown field `cod`, expected one of code, message, detail");
        insta::assert_snapshot!(of("expect: { refuse: { code: 42 } }"), @"error: line 3 column 31: `code` must be 5000 to 9899, or 0 where the service leaves it unset");
        insta::assert_snapshot!(of("expect: { refuse: { code: many } }"), @"error: line 3 column 31: invalid i32");
        insta::assert_snapshot!(of("expect: { replace: '' }"), @"error: line 3 column 24: `replace` needs a text: an empty replacement is no valid decision");
        insta::assert_snapshot!(of("owner: u1"), @"error: line 3 column 5: missing field `expect`");
        insta::assert_snapshot!(complaint("cases: []"), @"error: line 1 column 8: `cases` has no row: such a table tests nothing");
        insta::assert_snapshot!(complaint("case: []"), @"error: line 1 column 1: unknown field `case`, expected one of cases");
        insta::assert_snapshot!(complaint(""), @"unexpected end of file at line 1, column 1");
        insta::assert_snapshot!(complaint("cases:\n  - remark:\n    expect: allow\n"), @"error: line 2 column 11: null is not allowed here");
    }

    #[test]
    fn rows_are_named_by_number_and_told_by_their_place() {
        let table = "cases:\n  - { remark: '', expect: allow }\n  - name: tidied\n    remark: ' x'\n    expect: { replace: x }\n";
        let table = Expectations::parse("table.yaml", table).expect("a table");
        let shown: Vec<String> = table.rows().iter().map(|row| format!("{} {}", row.name, row.shows)).collect();
        assert_eq!(shown, ["expect-1 table.yaml:2: the remark \"\"", "expect-2 table.yaml:3: tidied"]);
    }
}
