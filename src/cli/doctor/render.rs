//! A report to read, and one for programs.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::json;

use super::probe::Probed;
use crate::base::text::{one_line, visible};
use crate::callback::{CALLBACKS, Callback};
use crate::cli::handling;
use crate::cli::terminal::{Output, columns};
use crate::cli::text::{wrap, wrap_at};
use crate::config::{EffectiveCallback, Loaded};
use crate::doctor::{
    self, CallbackConfig, Finding, Fixed, ServiceRpcs, Severity, WebhookField, WebhookValue, Webhooks, never_sent_as,
};
use crate::openim::TIMEOUT_CAP;
use crate::policy::{Route, UnknownRoute};

/// Columns of the table and its notes.
const TABLE_WIDTH: usize = 80;

pub(super) struct DoctorReport {
    pub(super) webhooks: Webhooks,
    pub(super) loaded: Loaded,
    pub(super) findings: Vec<Finding>,
    pub(super) handled: Vec<Handled>,
    /// What came of `--probe`.
    pub(super) probed: Option<Probed>,
    pub(super) service: Option<ServiceRpcs>,
}

/// A callback that OpenIM sends, and what the bridge does with it.
#[derive(serde::Serialize)]
pub(super) struct Handled {
    /// Its key in webhooks.yml.
    callback: String,
    words: String,
    /// Seconds; `None` where OpenIM does not wait for an answer, or the bridge does not know.
    openim_waits: Option<u64>,
    /// `None`: the bridge does not know it.
    known: Option<EffectiveCallback>,
    /// What is done with it where the bridge does not know it.
    unknown: Option<UnknownRoute>,
    /// Whether the decision service implements its rpc, if it was asked.
    implemented: Option<bool>,
    /// Whether a refusal loses messages, and no user learns of it.
    #[serde(skip)]
    loses: bool,
}

/// In the order of webhooks.yml.
pub(super) fn handled(webhooks: &Webhooks, loaded: &Loaded, service: Option<&ServiceRpcs>) -> Vec<Handled> {
    let all = loaded.callbacks();
    let of_one = |sent: &CallbackConfig| {
        let served = CALLBACKS.iter().find(|served| served.name.eq_ignore_ascii_case(&sent.name));
        let never = never_sent_as(&sent.name);
        let known = all.iter().find(|callback| served.is_some_and(|served| served.name == callback.name)).cloned();
        let words = match &known {
            _ if never.is_some() => "never sent by OpenIM".to_owned(),
            Some(known) => handling::words(known, &loaded.settings),
            None => handling::of_unknown(&loaded.settings),
        };
        let unknown = (known.is_none() && never.is_none()).then_some(loaded.settings.bridge.routes.unknown);
        Handled {
            callback: served.map_or(&*sent.name, |served| served.name).to_owned(),
            words,
            openim_waits: served.filter(|served| !served.is_after()).map(|_| waits(sent)),
            known: known.filter(|_| never.is_none()),
            unknown,
            implemented: served.and_then(|served| service?.has(served)),
            loses: served.is_some_and(Callback::only_service_may_refuse),
        }
    };
    webhooks.enabled().map(of_one).collect()
}

/// How long OpenIM waits for an answer, in seconds: at most its own client's limit, which is also the default.
fn waits(callback: &CallbackConfig) -> u64 {
    let cap = TIMEOUT_CAP.as_secs();
    let seconds = callback.value(WebhookField::Timeout).and_then(WebhookValue::whole);
    seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|&seconds| seconds > 0).unwrap_or(cap).min(cap)
}

impl Handled {
    /// The callback, who answers, how long OpenIM and the bridge wait, and the fallback.
    fn columns(&self) -> [String; 5] {
        let name = self.callback.clone();
        let none = || "-".to_owned();
        let openim = self.openim_waits.map_or_else(none, |seconds| format!("{seconds} s"));
        let Some(known) = &self.known else {
            let who = if self.unknown.is_some() { "unknown" } else { "never sent" };
            return [name, who.to_owned(), none(), none(), none()];
        };
        let who = if self.lacks_rpc() { "no rpc".to_owned() } else { handling::in_short(known) };
        let asks = matches!(known.route, Route::Service | Route::Forward);
        let (bridge, fallback) = match (&known.timeout, known.fallback) {
            (Some(timeout), Some(fallback)) if asks => {
                let others = if handling::in_a_word(fallback).contains(' ') { " *" } else { "" };
                (timeout.clone(), format!("{}{others}", handling::mostly(fallback)))
            }
            _ => ("at once".to_owned(), none()),
        };
        [name, who, openim, bridge, fallback]
    }

    fn lacks_rpc(&self) -> bool {
        let asks = |known: &EffectiveCallback| known.route == Route::Service;
        self.implemented == Some(false) && self.known.as_ref().is_some_and(asks)
    }
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
    table(&mut text, report);
    let _ = writeln!(text, "\n{}", summary(&report.findings));
    text
}

/// What happens to each callback that OpenIM sends, and what the words of the table mean.
fn table(text: &mut String, report: &DoctorReport) {
    if report.handled.is_empty() {
        return;
    }
    let heading = ["callback", "goes to", "OpenIM", "bridge", "fallback"].map(str::to_owned);
    let rows: Vec<[String; 5]> = std::iter::once(heading).chain(report.handled.iter().map(Handled::columns)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let [name, who, openim, bridge] = [0, 1, 2, 3].map(width);
    let _ = writeln!(text, "\nwhat happens to the callbacks that OpenIM sends, and how long each side waits");
    for [callback, goes_to, waits, within, fallback] in &rows {
        let line = format!("  {callback:name$}  {goes_to:who$}  {waits:openim$}  {within:bridge$}  {fallback}");
        let _ = writeln!(text, "{}", one_line(line.trim_end(), usize::MAX));
    }
    for (label, words) in notes(report) {
        wrap_at(columns().min(TABLE_WIDTH), text, format!("  {label}: "), &one_line(&words, usize::MAX));
    }
}

fn notes(report: &DoctorReport) -> Vec<(&str, String)> {
    let settings = &report.loaded.settings;
    let known = || report.handled.iter().filter_map(|handled| Some((handled, handled.known.as_ref()?)));
    let goes = |route| known().any(|(_, known)| known.route == route);
    let mut notes = Vec::new();
    if goes(Route::Service) {
        let addresses: Vec<String> = settings.upstream.addresses.iter().map(ToString::to_string).collect();
        let asked = if report.service.is_some() { "" } else { ", which was not asked what it implements" };
        notes.push(("service", format!("your decision service at {}{asked}", addresses.join(", "))));
    }
    if report.handled.iter().any(Handled::lacks_rpc) {
        notes.push(("no rpc", "your decision service does not implement it".to_owned()));
    }
    if goes(Route::Forward) {
        notes.push(("forwarded", format!("to {}", handling::receiver(settings))));
    }
    if report.handled.iter().any(|handled| handled.unknown.is_some()) {
        notes.push(("unknown", handling::of_unknown(settings).replacen("unknown ", "", 1)));
    }
    for (handled, known) in known() {
        if known.route == Route::Service && known.enforce_percent.is_some_and(|percent| percent < 100) {
            notes.push((&handled.callback, handled.words.clone()));
        } else if let (Some(fallback), "*") =
            (known.fallback, handled.columns()[4].rsplit(' ').next().unwrap_or_default())
        {
            notes.push((&handled.callback, format!("fallback: {}", handling::in_a_word(fallback))));
        }
    }
    let loses: Vec<&str> = report.handled.iter().filter(|it| it.loses).map(|it| &*it.callback).collect();
    if !loses.is_empty() {
        let words = "loses messages: OpenIM reports success, and no user learns of it";
        notes.push(("refusals", format!("to refuse {} {words}", loses.join(", "))));
    }
    notes
}

fn findings(text: &mut String, rest: &[Finding]) {
    for (number, finding) in rest.iter().enumerate() {
        let word = match finding.severity {
            Severity::Wrong => "WRONG",
            Severity::Advice => finding.severity.into_str(),
        };
        let place = finding.at.as_ref().map(ToString::to_string).unwrap_or_default();
        let heading = format!("{word:8}  {}  {}", finding.name, one_line(&place, usize::MAX));
        let _ = writeln!(text, "{}", heading.trim_end());
        let or =
            finding.variable.as_ref().map(|variable| format!("{variable}, in the environment of OpenIM's containers"));
        let lines =
            [("what: ", Some(&finding.what)), ("why:  ", Some(&finding.why)), ("do:   ", Some(&finding.remedy))];
        // What several have in common is said once, below the last.
        let is_as_next = rest
            .get(number + 1)
            .is_some_and(|next| (finding.name, &finding.why, &finding.remedy) == (next.name, &next.why, &next.remedy));
        let lines = lines.into_iter().filter(|(label, _)| !is_as_next || *label == "what: ");
        for (label, words) in lines.chain([("or:   ", or.as_ref().filter(|_| !is_as_next))]) {
            for (number, line) in words.into_iter().flat_map(|words| words.lines()).enumerate() {
                wrap(text, if number == 0 { label } else { "      " }, &one_line(line, usize::MAX));
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
        "url": url.map(|url| doctor::shown(&url)),
        "wrong": report.count(Severity::Wrong),
        "advice": report.count(Severity::Advice),
        "findings": report.findings,
        "callbacks": report.handled,
        "service": report.service.as_ref().map(|service| &service.at),
        "probe": report.probed.as_ref().map(|probed| json!({ "ok": probed.finding.is_none(), "seen": probed.seen })),
    })
}
