//! A report for people, for programs and for documentation.

use std::fmt::Write as _;

use serde_json::json;

use crate::check::{CaseVerdict, CheckPlan, CheckReport};
use crate::cli::text::{INDENT, wrap};

/// How the result is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum CheckOutput {
    #[default]
    Text,
    /// One JSON object.
    Json,
    /// A table, for documentation. It is the same whenever the verdicts are.
    Markdown,
}

pub(super) fn report(report: &CheckReport, output: CheckOutput) -> String {
    match output {
        CheckOutput::Text => text(report),
        CheckOutput::Json => format!("{:#}\n", facts(report)),
        CheckOutput::Markdown => markdown(report),
    }
}

/// The cases of a plan, without running them.
pub(super) fn list(plan: CheckPlan<'_>, output: CheckOutput) -> String {
    let cases = plan.cases.iter().map(|case| (case.name, case.shows));
    let rows = plan.expectations.iter().map(|row| (&*row.name, &*row.shows));
    let all: Vec<(&str, &str)> = cases.chain(rows).collect();
    match output {
        CheckOutput::Text => {
            let width = all.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
            all.iter().fold(String::new(), |text, (name, shows)| text + &format!("{name:width$}  {shows}\n"))
        }
        CheckOutput::Json => {
            let all: Vec<_> = all.iter().map(|(name, shows)| json!({ "name": name, "shows": shows })).collect();
            format!("{:#}\n", json!(all))
        }
        CheckOutput::Markdown => {
            let rows = all.iter().map(|(name, shows)| format!("| `{name}` | {} |\n", cell(shows)));
            rows.fold("| case | the service |\n| --- | --- |\n".to_owned(), |table, row| table + &row)
        }
    }
}

fn text(report: &CheckReport) -> String {
    let mut text = match &report.endpoint {
        Some(endpoint) => format!("{} ({endpoint})\n\n", report.upstream),
        None => format!("{}\n\n", report.upstream),
    };
    if let Some(why) = &report.unreachable {
        let _ = writeln!(text, "FAILED    {why}");
        let _ = writeln!(text, "{INDENT}No case could be run. Is the service up, and is this its address?");
    }
    let width = report.cases.iter().map(|case| case.name.len()).max().unwrap_or_default();
    for case in &report.cases {
        let word = match case.verdict {
            CaseVerdict::Failed(_) => "FAILED",
            _ => case.verdict.into_str(),
        };
        match &case.verdict {
            CaseVerdict::Passed(seen) => {
                let _ = writeln!(text, "{word:8}  {:width$}  {}: {seen}", case.name, case.shows);
            }
            CaseVerdict::Skipped(because) if report.unreachable.is_none() => {
                let _ = writeln!(text, "{word:8}  {:width$}  {because}", case.name);
            }
            CaseVerdict::Skipped(_) => {}
            CaseVerdict::Advice(seen) | CaseVerdict::Failed(seen) => {
                let _ = writeln!(text, "{word:8}  {:width$}  {}", case.name, case.shows);
                for (label, words) in [("seen: ", &**seen), ("why:  ", case.why), ("do:   ", case.remedy)] {
                    wrap(&mut text, label, words);
                }
            }
        }
    }
    let _ = writeln!(text, "\n{}", summary(report));
    text
}

fn summary(report: &CheckReport) -> String {
    let counts = ["passed", "advice", "failed", "skipped"].map(|word| (word, report.count(word)));
    let counts = counts.iter().filter(|(word, count)| *count > 0 || *word == "failed");
    let counts: Vec<String> = counts.map(|(word, count)| format!("{count} {word}")).collect();
    format!("{} cases: {}", report.cases.len(), counts.join(", "))
}

fn facts(report: &CheckReport) -> serde_json::Value {
    json!({
        "ok": report.ok(),
        "upstream": report.upstream,
        "endpoint": report.endpoint,
        "unreachable": report.unreachable,
        "passed": report.count("passed"),
        "advice": report.count("advice"),
        "failed": report.count("failed"),
        "skipped": report.count("skipped"),
        "cases": report.cases,
    })
}

fn markdown(report: &CheckReport) -> String {
    let mut table = "| case | the service | result |\n| --- | --- | --- |\n".to_owned();
    for case in &report.cases {
        let verdict = match &case.verdict {
            CaseVerdict::Passed(_) => case.verdict.into_str().to_owned(),
            // What was seen of a pass holds times, which differ from run to run.
            CaseVerdict::Advice(seen) | CaseVerdict::Failed(seen) | CaseVerdict::Skipped(seen) => {
                format!("{}: {}", case.verdict.into_str(), cell(seen))
            }
        };
        let _ = writeln!(table, "| `{}` | {} | {verdict} |", case.name, cell(&case.shows));
    }
    table
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
