//! A report to read, for programs and for documentation.

use std::fmt::Write as _;

use serde_json::json;

use crate::callback::CALLBACKS;
use crate::check::{CaseReport, CaseVerdict, CheckPlan, CheckReport};
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
        Some(endpoint) => format!("{} ({endpoint})\n", report.upstream),
        None => format!("{}\n\n", report.upstream),
    };
    if let Some(why) = &report.unreachable {
        let _ = writeln!(text, "FAILED    {why}");
        let _ = writeln!(text, "{INDENT}No case could be run. Is the service up, and is this its address?");
        return text;
    }
    if !report.services.is_empty() {
        wrap(&mut text, "reflection: ", &report.services.join(", "));
    }
    let (implemented, not_implemented) = (&report.implemented, &report.not_implemented);
    for (label, these, others) in
        [("implemented: ", implemented, not_implemented), ("not implemented: ", not_implemented, implemented)]
    {
        if !these.is_empty() {
            wrap(&mut text, label, &by_service(these, others).join(", "));
        }
    }
    text.push('\n');
    // The same case of several callbacks is shown together, and advice once.
    let of_one_case: Vec<&[CaseReport]> = report.cases.chunk_by(|one, other| one.name == other.name).collect();
    let width = of_one_case.iter().map(|cases| cases[0].name.len()).max().unwrap_or_default();
    let mut said = "";
    for cases in of_one_case {
        let CaseReport { name, shows, why, remedy, .. } = &cases[0];
        let are_skipped = cases.iter().all(|case| matches!(case.verdict, CaseVerdict::Skipped(_)));
        let wrong: Vec<&CaseReport> = cases.iter().filter(|case| is_wrong(&case.verdict)).collect();
        if wrong.is_empty() {
            let seen = match cases {
                [case] => case.verdict.seen().to_owned(),
                _ => format!("{} callbacks", cases.len()),
            };
            let word = if are_skipped { "skipped" } else { "passed" };
            let _ = writeln!(text, "{word:8}  {name:width$}  {shows}: {seen}");
            continue;
        }
        let failed = wrong.iter().any(|case| matches!(case.verdict, CaseVerdict::Failed(_)));
        let _ = writeln!(text, "{:8}  {name:width$}  {shows}", if failed { "FAILED" } else { "advice" });
        for (at, case) in wrong.iter().enumerate() {
            let seen = case.verdict.seen();
            if wrong[..at].iter().any(|other| other.verdict.seen() == seen) {
                continue;
            }
            let of: Vec<&str> =
                wrong.iter().filter(|case| case.verdict.seen() == seen).filter_map(|case| case.callback).collect();
            let of = if of.is_empty() { String::new() } else { format!("{}: ", of.join(", ")) };
            wrap(&mut text, "seen: ", &format!("{of}{seen}"));
        }
        if said != *remedy {
            wrap(&mut text, "why:  ", why);
            wrap(&mut text, "do:   ", remedy);
            said = remedy;
        }
    }
    let _ = writeln!(text, "\n{}", summary(report));
    text
}

const fn is_wrong(verdict: &CaseVerdict) -> bool {
    matches!(verdict, CaseVerdict::Advice(_) | CaseVerdict::Failed(_))
}

/// The callbacks; of a service that has none of the others its name instead.
fn by_service(these: &[&'static str], others: &[&'static str]) -> Vec<&'static str> {
    let service = |name: &str| {
        let callback = CALLBACKS.iter().find(|callback| callback.name == name)?;
        callback.rpc.path.rsplit_once('/')?.0.rsplit('.').next()
    };
    let mut shown = Vec::new();
    for name in these {
        let whole = service(name).filter(|of| others.iter().all(|other| service(other) != Some(of)));
        let name = whole.unwrap_or(name);
        if !shown.contains(&name) {
            shown.push(name);
        }
    }
    shown
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
        "services": report.services,
        "implemented": report.implemented,
        "not_implemented": report.not_implemented,
        "passed": report.count("passed"),
        "advice": report.count("advice"),
        "failed": report.count("failed"),
        "skipped": report.count("skipped"),
        "cases": report.cases,
    })
}

fn markdown(report: &CheckReport) -> String {
    let mut table = "| callback | case | the service | result |\n| --- | --- | --- | --- |\n".to_owned();
    for case in &report.cases {
        let verdict = match &case.verdict {
            CaseVerdict::Passed(_) => case.verdict.into_str().to_owned(),
            // What was seen of a pass holds times, which differ from run to run.
            CaseVerdict::Advice(seen) | CaseVerdict::Failed(seen) | CaseVerdict::Skipped(seen) => {
                format!("{}: {}", case.verdict.into_str(), cell(seen))
            }
        };
        let callback = case.callback.map(|name| format!("`{name}`")).unwrap_or_default();
        let _ = writeln!(table, "| {callback} | `{}` | {} | {verdict} |", case.name, cell(&case.shows));
    }
    table
}

/// Text that does not end a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
