//! A team's own table: questions, and the decision that each must get.
//!
//! ```yaml
//! cases:
//!   - callback: NAME
//!     name: no spam
//!     set: { KEY: "buy now" }
//!     expect: { refuse: { code: 5001, message: "Not allowed" } }
//!   - remark: "  Bob  "
//!     expect: { replace: "Bob" }
//! ```
//!
//! A question is a real one but for what is `set`. `remark`, `owner` and `friend` are short for a remark's. Of a refusal and of
//! a change only what is given is compared: `{ refuse: {} }` takes any.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::catalogue;
use super::report::CaseReport;
use super::samples::{CheckSample, quoted};
use super::session::{Session, TimedReply, change_words, words};
use super::verdict::CaseVerdict::{self, Failed, Passed};
use crate::base::yaml::{self, read_text};
use crate::callback::{CALLBACKS, Callback, Decision, Shape};
use crate::openim::ServiceCodes;
use crate::proto::Refuse;

/// What would be right, under every error.
const SHAPE: &str = "\
A table of expected decisions reads:
  cases:
    - callback: NAME        # its key in webhooks.yml
      set: { KEY: VALUE }   # optional: what is another than in a real callback, by OpenIM's names
      name: TEXT            # optional
      expect: DECISION
    - remark: TEXT          # for a remark instead of callback and set; owner and friend are optional
      expect: DECISION
where DECISION is one of: allow | { refuse: { code: NUMBER, message: TEXT, detail: TEXT } } | { change: { KEY: VALUE } }
| { replace: TEXT } for a remark, and each of code, message and detail is optional. An after callback is allowed.
Write texts in quotes where they are empty or look like anything else than a text.";

#[derive(Debug, Default)]
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
    Invalid {
        origin: String,
        /// What is wrong, where, and what would be right.
        message: String,
    },
}

impl Expectations {
    /// Reads such a file. `codes`: those that a refusal may have.
    ///
    /// # Errors
    /// Where it cannot be read or is not valid.
    pub fn load(path: &Path, codes: &ServiceCodes) -> Result<Self, ExpectationsError> {
        let text = read_text(path).map_err(|source| ExpectationsError::Read { path: path.to_owned(), source })?;
        Self::parse(&path.display().to_string(), &text, codes)
    }

    /// Reads a table from YAML; `origin` names it in errors and reports.
    ///
    /// # Errors
    /// Where the text is not valid.
    pub fn parse(origin: &str, yaml: &str, codes: &ServiceCodes) -> Result<Self, ExpectationsError> {
        let invalid = |message| ExpectationsError::Invalid { origin: origin.to_owned(), message };
        let table: Table = serde_saphyr::from_str(yaml).map_err(|error| invalid(yaml::shown(&error, origin)))?;
        let rows = (1..).zip(table.cases).map(|(number, Spanned { value, referenced, .. })| {
            let line = referenced.line();
            let row = value.expectation(codes).map_err(|why| invalid(format!("error: line {line}: {why}")))?;
            let shows = format!("{origin}:{line}: {}", row.shows);
            Ok(Expectation { name: format!("expect-{number}"), shows, ..row })
        });
        Ok(Self(rows.collect::<Result<_, _>>()?))
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
    callback: Option<String>,
    #[serde(default)]
    set: Map<String, Value>,
    owner: Option<String>,
    friend: Option<String>,
    remark: Option<String>,
    expect: ExpectedDecision,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExpectedDecision {
    Allow,
    Refuse(ExpectedRefusal),
    Change(Map<String, Value>),
    #[serde(deserialize_with = "replacement")]
    Replace(Map<String, Value>),
}

/// What is `None` is not compared.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ExpectedRefusal {
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

/// The change that it stands for.
fn replacement<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(D::Error::custom("`replace` needs a text: an empty replacement is no valid decision"));
    }
    Ok(Map::from_iter([(SHORT[2].to_owned(), text.into())]))
}

/// What the shorthands stand for.
const SHORT: [&str; 3] = ["ownerUserID", "friendUserID", "remark"];

impl Row {
    fn expectation(self, codes: &ServiceCodes) -> Result<Expectation, String> {
        let shorthands = SHORT.into_iter().zip([self.owner, self.friend, self.remark.clone()]);
        let shorthands = shorthands.filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?))));
        let has_remark = |shape: &Shape| shape.index(SHORT[2]).is_some();
        let callback = match (&self.callback, &self.remark) {
            (Some(name), _) => CALLBACKS
                .iter()
                .find(|callback| callback.name == name)
                .ok_or_else(|| format!("there is no callback {}", quoted(name)))?,
            (None, Some(_)) => CALLBACKS
                .iter()
                .find(|callback| callback.rpc.change.is_some_and(has_remark))
                .ok_or("no callback changes a remark")?,
            (None, None) => return Err("it needs `remark`, or `callback`".to_owned()),
        };
        let name = callback.name;
        let set = self.set.into_iter().chain(shorthands).collect();
        check(callback.rpc.request, &set, &format!("`set` of {name}"))?;
        let expected = self.expect;
        match &expected {
            ExpectedDecision::Allow => {}
            _ if callback.is_after() => return Err(format!("{name} is an after callback: it can only be allowed")),
            ExpectedDecision::Change(change) | ExpectedDecision::Replace(change) => {
                let shape = callback.rpc.change.ok_or_else(|| format!("OpenIM takes no change of {name}"))?;
                check(shape, change, &format!("a change of {name}"))?;
            }
            ExpectedDecision::Refuse(ExpectedRefusal { code: Some(code), .. })
                if *code != 0 && codes.allowed(*code).is_none() =>
            {
                return Err(format!("`code` must be one of {codes}, or 0 where the service leaves it unset"));
            }
            ExpectedDecision::Refuse(_) => {}
        }
        let sample = CheckSample::set(callback, set);
        sample.question().ok_or_else(|| format!("with this `set` it is no {name} any more"))?;
        let shows = self.name.unwrap_or_else(|| match &self.remark {
            Some(remark) => format!("the remark {}", quoted(remark)),
            None => format!("{name}: {sample}"),
        });
        Ok(Expectation { name: String::new(), shows, sample, expected })
    }
}

/// Whether a message may hold these fields.
fn check(shape: &Shape, fields: &Map<String, Value>, of: &str) -> Result<(), String> {
    for (key, value) in fields {
        if shape.index(key).is_none() {
            let keys: Vec<&str> = shape.fields.iter().map(|field| field.key).collect();
            return Err(format!("{of} has no {key}; it has {}", keys.join(", ")));
        }
        let json = Value::Object(Map::from_iter([(key.clone(), value.clone())])).to_string();
        if shape.message_of(&json).is_none() {
            return Err(format!("in {of}, {key} is of another type: a text is written in quotes"));
        }
    }
    Ok(())
}

impl Expectation {
    pub(super) async fn run(&self, session: &Session<'_>) -> CaseVerdict {
        let expected = self.expected.words();
        match session.ask(&self.sample).await {
            Err(why) => Failed(format!("expected {expected}, and had {why}")),
            Ok(TimedReply { decision: Err(invalid), .. }) => {
                Failed(format!("expected {expected}, and the reply is invalid: {invalid}"))
            }
            Ok(TimedReply { decision: Ok(decision), .. }) if self.expected.is(&decision) => Passed(words(&decision)),
            Ok(TimedReply { decision: Ok(decision), .. }) => {
                Failed(format!("expected {expected}, and got {}", words(&decision)))
            }
        }
    }

    pub(super) fn report(&self, verdict: CaseVerdict, took: Duration) -> CaseReport {
        CaseReport {
            name: self.name.clone(),
            callback: Some(self.sample.callback.name),
            shows: self.shows.clone(),
            verdict,
            why: catalogue::EXPECTATION_WHY,
            remedy: catalogue::EXPECTATION_REMEDY,
            took,
        }
    }

    /// Which callback it is about.
    #[must_use]
    pub const fn callback(&self) -> &'static Callback {
        self.sample.callback
    }
}

impl ExpectedDecision {
    fn is(&self, decision: &Decision) -> bool {
        match (self, decision) {
            (Self::Allow, Decision::Allow) => true,
            (Self::Change(expected) | Self::Replace(expected), Decision::Change(fields)) => {
                let json = format!("{{{}}}", fields.as_str());
                let told: Map<String, Value> = serde_json::from_str(&json).unwrap_or_default();
                expected.iter().all(|(key, value)| told.get(key) == Some(value))
            }
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
            Self::Change(fields) | Self::Replace(fields) => change_words(&Value::Object(fields.clone()).to_string()),
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
        let text = Expectations::parse("table.yaml", yaml, &ServiceCodes::default()).expect_err("invalid").to_string();
        let text = text.strip_prefix("the table of expected decisions table.yaml is not valid\n").expect("the file");
        // The lines around the place are the parser's.
        text.lines().next().expect("a line").to_owned()
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let of = |row: &str| complaint(&format!("cases:\n  - remark: x\n    {row}\n"));
        insta::assert_snapshot!(of("expct: allow"), @"error: line 3 column 5: unknown field `expct`, expected one of name, callback, set, owner, friend, remark, expect");
        insta::assert_snapshot!(of("expect: alow"), @"error: line 3 column 13: unknown variant `alow`, expected one of allow, refuse, change, replace");
        insta::assert_snapshot!(of("expect: refuse"), @"error: line 4 column 1: expected mapping start");
        insta::assert_snapshot!(of("expect: { refuse: { cod: 5000 } }"), @"error: line 3 column 25: unknown field `cod`, expected one of code, message, detail");
        insta::assert_snapshot!(of("expect: { refuse: { code: 42 } }"), @"error: line 2: `code` must be one of 5000 to 9899, or 0 where the service leaves it unset");
        insta::assert_snapshot!(of("expect: { refuse: { code: many } }"), @"error: line 3 column 31: invalid i32");
        insta::assert_snapshot!(of("expect: { replace: '' }"), @"error: line 3 column 24: `replace` needs a text: an empty replacement is no valid decision");
        insta::assert_snapshot!(of("owner: u1"), @"error: line 3 column 5: missing field `expect`");
        insta::assert_snapshot!(complaint("cases: []"), @"error: line 1 column 8: `cases` has no row: such a table tests nothing");
        insta::assert_snapshot!(complaint("case: []"), @"error: line 1 column 1: unknown field `case`, expected one of cases");
        insta::assert_snapshot!(complaint(""), @"unexpected end of file at line 1, column 1");
        insta::assert_snapshot!(complaint("cases:\n  - remark:\n    expect: allow\n"), @"error: line 2: it needs `remark`, or `callback`");
    }

    #[test]
    fn rows_are_named_by_number_and_told_by_their_place() {
        let table = "cases:\n  - { remark: '', expect: allow }\n  - name: tidied\n    remark: ' x'\n    expect: { replace: x }\n";
        let table = Expectations::parse("table.yaml", table, &ServiceCodes::default()).expect("a table");
        let shown: Vec<String> = table.rows().iter().map(|row| format!("{} {}", row.name, row.shows)).collect();
        assert_eq!(shown, ["expect-1 table.yaml:2: the remark \"\"", "expect-2 table.yaml:3: tidied"]);
    }
}
