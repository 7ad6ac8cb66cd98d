//! A report for people and for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::json;

use super::probe::Probed;
use crate::base::text::{one_line, visible, without_password};
use crate::cli::handling;
use crate::cli::terminal::Output;
use crate::cli::text::wrap;
use crate::config::{EffectiveCallback, Loaded};
use crate::doctor::{CallbackConfig, Finding, Fixed, Severity, WebhookValue, Webhooks};
use crate::policy::UnknownRoute;

pub(super) struct DoctorReport {
    pub(super) webhooks: Webhooks,
    pub(super) findings: Vec<Finding>,
    pub(super) handled: Vec<Handled>,
    /// What came of `--probe`.
    pub(super) probed: Option<Probed>,
}

/// A callback that OpenIM sends, and what the bridge does with it.
#[derive(serde::Serialize)]
pub(super) struct Handled {
    /// As it stands in webhooks.yml.
    callback: String,
    words: String,
    /// `None`: the bridge does not know it.
    known: Option<EffectiveCallback>,
    /// What is done with it where the bridge does not know it.
    unknown: Option<UnknownRoute>,
}

/// In the order of webhooks.yml.
pub(super) fn handled(webhooks: &Webhooks, loaded: &Loaded) -> Vec<Handled> {
    let all = loaded.callbacks();
    let of_one = |sent: &CallbackConfig| {
        let known = all.iter().find(|callback| callback.name.eq_ignore_ascii_case(&sent.name)).cloned();
        let words = match &known {
            Some(known) => handling::words(known, &loaded.settings),
            None => handling::of_unknown(&loaded.settings),
        };
        let unknown = known.is_none().then_some(loaded.settings.bridge.routes.unknown);
        Handled { callback: sent.name.clone(), words, known, unknown }
    };
    webhooks.callbacks.iter().filter(|callback| callback.is_enabled()).map(of_one).collect()
}

impl DoctorReport {
    fn count(&self, severity: Severity) -> usize {
        count(&self.findings, severity)
    }
}

pub(super) fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

pub(super) fn report(report: &DoctorReport, output: Output) -> String {
    match output {
        Output::Text => text(report),
        Output::Json => format!("{:#}\n", facts(report)),
    }
}

fn text(report: &DoctorReport) -> String {
    let path = report.webhooks.path.as_ref().map(|path| path.display().to_string());
    let mut text = format!("{}\n\n", path.as_deref().unwrap_or("IMENV_WEBHOOKS_… variables"));
    findings(&mut text, &report.findings);
    if let Some(probed) = report.probed.as_ref().filter(|probed| probed.finding.is_none()) {
        let _ = writeln!(text, "{:8}  {}", "passed", one_line(&probed.seen, usize::MAX));
    }
    let width = report.handled.iter().map(|handled| handled.callback.chars().count()).max().unwrap_or_default();
    if width > 0 {
        let _ = writeln!(text, "\nwhat happens to the callbacks that OpenIM sends");
    }
    for Handled { callback, words, .. } in &report.handled {
        let line = format!("{callback:width$}  {words}");
        let _ = writeln!(text, "  {}", one_line(&line, usize::MAX));
    }
    let _ = writeln!(text, "\n{}", summary(&report.findings));
    text
}

fn findings(text: &mut String, findings: &[Finding]) {
    for finding in findings {
        let word = match finding.severity {
            Severity::Wrong => "WRONG",
            Severity::Advice => finding.severity.into_str(),
        };
        let place = finding.at.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{word:8}  {}  {}", finding.name, one_line(&place, usize::MAX));
        let or =
            finding.variable.as_ref().map(|variable| format!("{variable}, in the environment of OpenIM's containers"));
        let lines =
            [("what: ", Some(&finding.what)), ("why:  ", Some(&finding.why)), ("do:   ", Some(&finding.remedy))];
        for (label, words) in lines.into_iter().chain([("or:   ", or.as_ref())]) {
            if let Some(words) = words.filter(|words| !words.is_empty()) {
                wrap(text, label, &one_line(words, usize::MAX));
            }
        }
    }
}

fn summary(findings: &[Finding]) -> String {
    let (wrong, advice) = (count(findings, Severity::Wrong), count(findings, Severity::Advice));
    match (wrong, advice) {
        (0, 0) => "nothing is wrong".to_owned(),
        (0, advice) => format!("nothing is wrong; {advice} advice"),
        (wrong, 0) => format!("{wrong} wrong"),
        (wrong, advice) => format!("{wrong} wrong, {advice} advice"),
    }
}

/// What was corrected and what is left. Nothing more can be done where standard error is closed.
pub(super) fn fixed(fixed: &Fixed) {
    let mut text = String::new();
    for finding in &fixed.corrected {
        let place = finding.at.as_ref().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{:8}  {}  {place}", "fixed", finding.name);
        wrap(&mut text, "was:  ", &one_line(&finding.what, usize::MAX));
    }
    findings(&mut text, &fixed.left);
    let _ = writeln!(text, "\n{} corrected; left: {}", fixed.corrected.len(), summary(&fixed.left));
    let _closed = io::stderr().write_all(visible(&text).as_bytes());
}

fn facts(report: &DoctorReport) -> serde_json::Value {
    let url = report.webhooks.url.as_ref().and_then(WebhookValue::text);
    json!({
        "ok": report.count(Severity::Wrong) == 0,
        "webhooks": report.webhooks.path.as_ref().map(|path| path.to_string_lossy()),
        "url": url.map(|url| without_password(&url)),
        "wrong": report.count(Severity::Wrong),
        "advice": report.count(Severity::Advice),
        "findings": report.findings,
        "callbacks": report.handled,
        "probe": report.probed.as_ref().map(|probed| json!({ "ok": probed.finding.is_none(), "seen": probed.seen })),
    })
}
