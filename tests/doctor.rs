//! `doctor`: every finding for its fault and not without it, the corrected file, and the probe.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

mod kit;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use clap::Command as Flags;
use kit::{app, bridge, nowhere, peer};
use openim_bridge::base::text::without_password;
use openim_bridge::callback::CALLBACKS;
use openim_bridge::config::{self, Loaded};
use openim_bridge::doctor::{
    BridgeSide, Destination, Finding, Fixed, Severity, Variable, Webhooks, examine, fix, in_environment,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value as Json;

/// Nothing is wrong with this one, for a bridge that listens on all addresses.
const RIGHT: &str = "\
# OpenIM's callbacks
url: http://bridge:10006/callbackExample
beforeAddFriend:
  enable: false
  timeout: 5
  failedContinue:
beforeSetFriendRemark: # ours
  enable: true # since March
  timeout: 5
afterAddFriend:
  enable: false
  timeout: 5
  attentionIds: []
";

/// The configuration of a bridge that listens on all addresses, unless the flags say otherwise.
fn configured(flags: &str) -> Loaded {
    let listen = if flags.contains("--listen") { "" } else { "--listen 0.0.0.0:10006 " };
    let line = format!("doctor {listen}{flags}");
    let matches = Flags::new("doctor").args(config::args()).get_matches_from(line.split_whitespace());
    config::load(&matches, []).expect("a configuration")
}

/// A file, a bridge's flags, OpenIM's variables and `--url`.
#[derive(Clone, Default)]
struct Setup {
    file: String,
    flags: String,
    variables: Vec<Variable>,
    url: Option<Destination>,
}

fn right() -> Setup {
    Setup { file: RIGHT.to_owned(), ..Setup::default() }
}

impl Setup {
    #[track_caller]
    fn with(mut self, old: &str, new: &str) -> Self {
        assert!(self.file.contains(old), "nothing is changed: {old}");
        self.file = self.file.replacen(old, new, 1);
        self
    }

    fn url(self, url: &str) -> Self {
        self.with("http://bridge:10006/callbackExample", url)
    }

    fn flags(mut self, flags: &str) -> Self {
        flags.clone_into(&mut self.flags);
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.extend(in_environment([(OsString::from(name), OsString::from(value))]));
        self
    }

    fn reached_at(mut self, url: &str) -> Self {
        self.url = Some(Destination::parse(url, CALLBACKS).expect("a URL"));
        self
    }

    fn examine(&self, mut webhooks: Webhooks) -> Vec<Finding> {
        webhooks.apply(&self.variables);
        let loaded = configured(&self.flags);
        examine(&webhooks, BridgeSide { loaded: &loaded, served: CALLBACKS, reached_at: self.url.as_ref() })
    }

    fn findings(&self) -> Vec<Finding> {
        self.examine(Webhooks::parse(&self.file, path()).expect("YAML"))
    }

    /// `wrong timeout-short webhooks.yml:9:12`
    fn lines(&self) -> Vec<String> {
        self.findings().iter().map(line).collect()
    }

    fn fixed(&self) -> Fixed {
        fix(&self.file, path(), |webhooks| self.examine(webhooks)).expect("YAML")
    }

    /// What differs between the file and its correction, as lines of `-` and `+`.
    fn changes(&self) -> String {
        let fixed = self.fixed();
        let (old, new): (Vec<_>, Vec<_>) = (self.file.lines().collect(), fixed.text.lines().collect());
        let gone = old.iter().filter(|line| !new.contains(line)).map(|line| format!("-{line}\n"));
        let come = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+{line}\n"));
        gone.chain(come).collect()
    }
}

fn path() -> &'static Path {
    Path::new("webhooks.yml")
}

fn line(finding: &Finding) -> String {
    let at = finding.at.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{} {} {at}", finding.severity.into_str(), finding.name)
}

#[test]
fn a_file_that_is_right_has_no_finding() {
    assert_eq!(right().findings(), []);
    assert_eq!(right().fixed().text, RIGHT);
}

#[test]
fn a_callback_that_is_not_enabled_is_found() {
    let disabled = right().with("enable: true", "enable: false");
    assert_eq!(disabled.lines(), ["wrong callback-disabled webhooks.yml:8:11"]);
    assert_eq!(disabled.findings()[0].variable.as_deref(), Some("IMENV_WEBHOOKS_BEFORESETFRIENDREMARK_ENABLE=true"));
    assert_eq!(right().with("enable: true", "enable:").lines(), ["wrong callback-disabled webhooks.yml:8:3"]);
    assert_eq!(
        right().with("  enable: true # since March\n", "").lines(),
        ["wrong callback-disabled webhooks.yml:7:1"]
    );
    let misspelt = right().with("enable: true", "enabled: true");
    assert_eq!(misspelt.lines(), ["wrong callback-disabled webhooks.yml:8:3"]);
    assert_eq!(misspelt.findings()[0].remedy, "write `enable` for `enabled`");
}

#[test]
fn a_callback_that_is_not_there_is_found_also_under_a_wrong_name() {
    let absent = Setup { file: "url: http://bridge:10006/cb\n".to_owned(), ..Setup::default() };
    assert_eq!(absent.lines(), ["wrong callback-disabled webhooks.yml:1:1"]);
    assert_eq!(absent.findings()[0].variable, None, "a variable has no effect without its key");
    let misspelt = right().with("beforeSetFriendRemark", "before_set_friend_remark");
    let findings = misspelt.findings();
    assert_eq!(line(&findings[0]), "wrong callback-disabled webhooks.yml:7:1");
    assert_eq!(findings[0].remedy, "write `beforeSetFriendRemark` for `before_set_friend_remark`");
}

#[test]
fn keys_match_in_any_letter_case_and_values_are_converted_as_openim_does() {
    let shouted = right().with("url:", "URL:").with("beforeSetFriendRemark", "BEFORESETFRIENDREMARK");
    assert_eq!(shouted.lines(), [""; 0]);
    for enable in ["\"true\"", "1", "t", "True"] {
        assert_eq!(right().with("enable: true", &format!("enable: {enable}")).lines(), [""; 0], "{enable}");
    }
    for (timeout, short) in [("\"0x10\"", false), ("5.9", false), ("true", true), ("\"3\"", true), ("0", false)] {
        let found = right().with("timeout: 5\nafter", &format!("timeout: {timeout}\nafter"));
        let is_short = found.findings().iter().any(|finding| finding.name == "timeout-short");
        assert_eq!(is_short, short, "{timeout}");
    }
}

#[test]
fn values_that_openim_cannot_read_are_found() {
    assert_eq!(right().with("enable: true", "enable: yes").lines(), ["wrong value-type webhooks.yml:8:11"]);
    assert_eq!(right().with("timeout: 5\nafter", "timeout: 5s\nafter").lines(), ["wrong value-type webhooks.yml:9:12"]);
    assert_eq!(
        right().with("failedContinue:\n", "failedContinue: [1]\n").lines(),
        ["wrong value-type webhooks.yml:6:19"]
    );
    assert!(right().url("[a, b]").lines().contains(&"wrong value-type webhooks.yml:2:6".to_owned()));
    let text = right()
        .with("  enable: false\n  timeout: 5\n  attentionIds: []\n", "")
        .with("afterAddFriend:", "afterAddFriend: 5");
    assert_eq!(text.lines(), ["wrong value-type webhooks.yml:10:17"]);
}

#[test]
fn keys_that_stand_twice_or_too_deep_are_found() {
    let twice = right().with("# OpenIM's callbacks", "url: http://bridge:10006/other");
    assert_eq!(twice.lines(), ["wrong duplicate-key webhooks.yml:2:1"]);
    let indented = RIGHT.replace('\n', "\n  ");
    let nested = Setup { file: format!("callback:\n  {indented}"), ..Setup::default() };
    let lines = nested.lines();
    assert!(lines.contains(&"wrong nested-key webhooks.yml:3:3".to_owned()), "{lines:?}");
    assert!(lines.contains(&"wrong callback-disabled webhooks.yml:1:1".to_owned()), "{lines:?}");
}

#[test]
fn a_url_that_loses_the_command_is_found() {
    for (url, finding) in [
        ("", "url-missing"),
        ("bridge:10006/cb", "url-scheme"),
        ("bridge", "url-scheme"),
        ("127.0.0.1:10006", "url-scheme"),
        ("grpc://bridge:10006", "url-scheme"),
        ("http://bridge:10006/cb?token=x", "url-query"),
        ("http://bridge:10006/cb?contenttype=json", "url-query"),
        ("\"http://bridge:10006/cb#x\"", "url-fragment"),
        ("\" http://bridge:10006/cb\"", "url-malformed"),
        ("http://bridge:port/cb", "url-malformed"),
        ("http:///cb", "url-malformed"),
        ("http://user:secret@/cb", "url-malformed"),
    ] {
        assert_eq!(
            right().url(url).lines(),
            [format!("wrong {finding} webhooks.yml:2:{}", if url.is_empty() { 1 } else { 6 })],
            "{url}"
        );
    }
    for url in ["http://bridge:10006", "http://bridge:10006/", "HTTP://bridge:10006/a/b/", "http://bridge:10006/cb#"] {
        let lost = url.ends_with('#');
        assert_eq!(right().url(&format!("\"{url}\"")).findings().is_empty(), !lost, "{url}");
    }
    let whole = "http://bridge:10006/cb?command=callbackBeforeSetFriendRemarkCommand&x=";
    assert_eq!(right().url(whole).lines(), ["wrong url-query webhooks.yml:2:6"], "all but one are lost");
}

#[test]
fn a_url_that_leads_elsewhere_is_found() {
    assert_eq!(right().url("http://bridge/cb").lines(), ["advice url-port webhooks.yml:2:6"]);
    let here = right().url("http://127.0.0.1:10016/cb");
    assert_eq!(here.lines(), ["wrong url-port webhooks.yml:2:6", "advice url-loopback webhooks.yml:2:6"]);
    let listens = right().url("http://192.0.2.1:10006").flags("--listen 192.0.2.2:10006");
    assert_eq!(listens.lines(), ["advice url-elsewhere webhooks.yml:2:6"]);
    assert_eq!(right().url("http://192.0.2.2:10006").flags("--listen 192.0.2.2:10006").lines(), [""; 0]);
    assert_eq!(right().reached_at("http://bridge.im.svc:80").lines(), ["wrong url-elsewhere webhooks.yml:2:6"]);
    assert_eq!(right().url("http://Bridge.im.svc/x").reached_at("http://bridge.im.svc:80").lines(), [""; 0]);
}

#[test]
fn what_another_container_or_pod_cannot_reach_is_found() {
    for host in ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "127.1.2.3"] {
        assert_eq!(
            right().url(&format!("http://{host}:10006/cb")).lines(),
            ["advice url-loopback webhooks.yml:2:6"],
            "{host}"
        );
    }
    for listen in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let found = right().flags(&format!("--listen {listen}:10006"));
        assert_eq!(found.lines(), ["wrong listen-loopback webhooks.yml:2:6"], "{listen}");
    }
    let mapped = right().url("http://bridge:80").flags("--listen 127.0.0.1:10006");
    assert_eq!(mapped.lines(), ["advice url-port webhooks.yml:2:6", "advice listen-loopback webhooks.yml:2:6"]);
}

#[test]
fn https_on_one_side_only_is_found() {
    let tls = "--tls-cert tls.crt --tls-key tls.key";
    assert_eq!(right().url("https://bridge:10006").lines(), ["wrong url-tls webhooks.yml:2:6"]);
    assert_eq!(right().flags(tls).lines(), ["wrong url-tls webhooks.yml:2:6"]);
    assert_eq!(right().url("https://bridge:10006").flags(tls).lines(), [""; 0]);
    let ingress = right().url("https://bridge");
    assert_eq!(ingress.lines(), ["advice url-tls webhooks.yml:2:6", "advice url-port webhooks.yml:2:6"]);
    assert_eq!(ingress.reached_at("https://bridge").lines(), [""; 0]);
}

#[test]
fn credentials_are_compared_and_never_shown() {
    let mut users = tempfile::NamedTempFile::new().expect("a file");
    writeln!(users, "openim:s3cr%t").expect("written");
    let asks = format!("--access-basic-auth-file {}", users.path().display());
    assert_eq!(right().flags(&asks).lines(), ["wrong url-credentials webhooks.yml:2:6"]);
    let wrong = right().url("http://openim:other@bridge:10006").flags(&asks);
    assert_eq!(wrong.lines(), ["wrong url-credentials webhooks.yml:2:6"]);
    let known = right().url("http://openim:s3cr%25t@bridge:10006/cb").flags(&asks);
    assert_eq!(known.lines(), ["advice url-password webhooks.yml:2:6"]);
    let needless = right().url("http://openim:s3cr%25t@bridge:10006/cb?x=1");
    for finding in [known.findings(), needless.findings(), wrong.findings()].concat() {
        let shown = format!("{finding:?}").split("change:").next().map(str::to_owned);
        assert!(!shown.expect("a text").contains("s3cr"), "{finding:?}");
        assert!(!serde_json::to_string(&finding).expect("JSON").contains("s3cr"), "{finding:?}");
    }
}

#[test]
fn a_timeout_that_is_not_above_the_bridges_is_found() {
    let short = |seconds: &str, own: &str| {
        right().with("timeout: 5\nafter", &format!("timeout: {seconds}\nafter")).flags(&format!("--timeout {own}"))
    };
    assert_eq!(short("4", "4s").lines(), ["wrong timeout-short webhooks.yml:9:12"]);
    assert_eq!(short("4", "3900ms").lines(), [""; 0]);
    assert_eq!(short("14", "14500ms").lines(), ["wrong timeout-short webhooks.yml:9:12"]);
    assert_eq!(short("14", "14500ms").changes(), "-  timeout: 14\n+  timeout: 15\n");
    assert_eq!(short("20", "4s").lines(), ["advice timeout-capped webhooks.yml:9:12"]);
    let finding = short("4", "6s").findings().remove(0);
    assert_eq!(finding.variable.as_deref(), Some("IMENV_WEBHOOKS_BEFORESETFRIENDREMARK_TIMEOUT=7"));
    assert_eq!(finding.what, "`beforeSetFriendRemark.timeout` is 4 s, and `decision.timeout` is 6s (--timeout)");
}

#[test]
fn a_timeout_is_held_against_the_callback_s_own() {
    let own = |flags: &str| right().flags(flags).findings();
    let found = own("--callback beforeSetFriendRemark.timeout=6s");
    assert_eq!(found.iter().map(line).collect::<Vec<_>>(), ["wrong timeout-short webhooks.yml:9:12"]);
    assert!(found[0].what.contains("`callbacks.beforeSetFriendRemark.timeout` is 6s"), "{}", found[0].what);
    let route = "--timeout 6s --callback beforeSetFriendRemark.route=";
    assert_eq!(own(&format!("{route}service")).len(), 1);
    assert_eq!(own(&format!("{route}allow")).len(), 0, "answered at once");
    assert_eq!(own("--timeout 6s --callback beforeSetFriendRemark.timeout=2s").len(), 0);
}

#[test]
fn what_happens_to_each_callback_is_told() {
    let file = RIGHT
        .replace("enable: false\n  timeout: 5\n  failedContinue:", "enable: true\n  timeout: 5")
        .replace("afterAddFriend:\n  enable: false", "afterAddFriend:\n  enable: true")
        + "beforeLater:\n  enable: true\n  timeout: 5\n";
    let arguments = [
        "--listen=0.0.0.0:10006",
        "--forward-url=http://me:secret@old:8080/cb",
        "--callbacks-unknown-route=forward",
        "--callback=beforeAddFriend.route=forward",
        "--callback=beforeSetFriendRemark.enforce_percent=0",
        "--callback=beforeSetFriendRemark.rest=forward",
        "--callback=afterAddFriend.route=allow",
    ];
    let text = out(&doctor(&arguments, &file));
    for line in [
        "beforeAddFriend        forwarded to http://...@old:8080/cb; within 4s; fallback: allow",
        "beforeSetFriendRemark  forwarded to http://...@old:8080/cb, and compared with your service; within 4s",
        "afterAddFriend         acknowledged by the configuration; nobody is told",
        "beforeLater            unknown to this bridge: forwarded to http://...@old:8080/cb",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let json = out(&doctor(&[&arguments[..], &["--output=json"]].concat(), &file));
    assert!(!json.contains("secret"), "{json}");
    let json: Json = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["callbacks"][0]["known"]["route"], "forward");
    assert_eq!((&json["callbacks"][3]["known"], &json["callbacks"][3]["unknown"]), (&Json::Null, &"forward".into()));
}

#[test]
fn callbacks_that_the_bridge_does_not_know_are_found_with_what_it_does() {
    let enabled = |name: &str| right().with("afterAddFriend:\n  enable: false", &format!("{name}:\n  enable: true"));
    let before = enabled("beforeLater");
    assert_eq!(before.lines(), ["wrong other-callbacks webhooks.yml:11:11"]);
    assert_eq!(before.flags("--callbacks-unknown-route allow").lines(), ["advice other-callbacks webhooks.yml:11:11"]);
    assert_eq!(enabled("afterLater").lines(), ["advice other-callbacks-after webhooks.yml:11:11"]);
    let stands_there = ["beforeSetFriendRemark", "beforeAddFriend"];
    for known in CALLBACKS.iter().filter(|callback| !stands_there.contains(&callback.name)) {
        assert_eq!(enabled(known.name).lines(), [""; 0], "{}", known.name);
    }
}

#[test]
fn every_callback_that_openim_sends_is_examined() {
    let both = right()
        .with("beforeAddFriend:\n  enable: false\n  timeout: 5", "beforeAddFriend:\n  enable: true\n  timeout: 4");
    assert_eq!(both.lines(), ["wrong timeout-short webhooks.yml:5:12"]);
    let other = right()
        .with("enable: true", "enable: false")
        .with("beforeAddFriend:\n  enable: false", "beforeAddFriend:\n  enable: true");
    assert_eq!(other.lines(), [""; 0], "one is enough");
}

#[test]
fn variables_have_the_last_word_where_the_file_has_their_key() {
    let enable = "IMENV_WEBHOOKS_BEFORESETFRIENDREMARK_ENABLE";
    let disabled = right().with("enable: true", "enable: false");
    assert_eq!(disabled.clone().variable(enable, "true").lines(), [""; 0]);
    let by_variable = right().variable(enable, "false");
    assert_eq!(by_variable.lines(), [format!("wrong callback-disabled {enable}")]);
    assert_eq!(by_variable.fixed().text, RIGHT, "the file is not at fault");
    let empty = right().variable(enable, "");
    assert_eq!(empty.lines(), [""; 0], "OpenIM takes an empty variable for unset");
    for name in
        ["IMENV_WEBHOOKS_BEFORE_SET_FRIEND_REMARK_ENABLE", "IMENV_WEBHOOKS_BEFOREMOVE_ENABLE", "IMENV_WEBHOOKS_URI"]
    {
        assert_eq!(right().variable(name, "true").lines(), [format!("advice variable-without-effect {name}")]);
    }
    let ids = "IMENV_WEBHOOKS_AFTERADDFRIEND_ATTENTIONIDS";
    assert_eq!(right().variable(ids, "u1").lines(), [""; 0]);
    let keyless = right().with("  enable: true # since March\n", "").variable(enable, "true");
    assert!(keyless.lines().contains(&format!("advice variable-without-effect {enable}")));
}

#[test]
fn variables_are_examined_without_a_file_too() {
    let alone = |variables: &[(&str, &str)]| {
        let mut webhooks = Webhooks::default();
        let named = |&(name, value): &(&str, &str)| (format!("IMENV_WEBHOOKS_{name}").into(), value.into());
        webhooks.apply(&in_environment(variables.iter().map(named).collect::<Vec<_>>()));
        let loaded = configured("");
        let findings = examine(&webhooks, BridgeSide { loaded: &loaded, served: CALLBACKS, reached_at: None });
        findings.iter().map(line).collect::<Vec<_>>()
    };
    let (url, enable) = (("URL", "http://bridge:10006"), ("BEFORESETFRIENDREMARK_ENABLE", "true"));
    assert_eq!(alone(&[url, enable]), [""; 0]);
    assert_eq!(alone(&[enable]), ["wrong url-missing "]);
    assert_eq!(alone(&[url]), ["wrong callback-disabled "]);
}

#[test]
fn a_corrected_file_keeps_all_but_the_faults() {
    let bad =
        right().url("'bridge:10006/cb?x=1' # the bridge").with("enable: true", "enable: false").flags("--timeout 7s");
    assert_eq!(
        bad.changes(),
        "-url: 'bridge:10006/cb?x=1' # the bridge\n-  enable: false # since March\n\
         +url: http://bridge:10006/cb # the bridge\n+  enable: true # since March\n+  timeout: 8\n"
    );
    let fixed = bad.fixed();
    assert_eq!(fixed.left, []);
    assert_eq!(fixed.corrected.len(), 4, "{:?}", fixed.corrected);
    assert_eq!(fixed.text.lines().count(), RIGHT.lines().count());
}

#[test]
fn every_way_to_write_a_callback_is_corrected_or_left_alone() {
    for (block, corrected) in [
        ("beforeSetFriendRemark:\n", "beforeSetFriendRemark:\n  enable: true\n  timeout: 5\n"),
        ("beforeSetFriendRemark: # off\n", "beforeSetFriendRemark:\n  enable: true\n  timeout: 5 # off\n"),
        ("beforeSetFriendRemark: {enable: false, timeout: 5}\n", "beforeSetFriendRemark: {enable: true, timeout: 5}\n"),
        ("beforeSetFriendRemark: {timeout: 5}\n", "beforeSetFriendRemark: {enable: true, timeout: 5}\n"),
        ("beforeSetFriendRemark:\n    timeout: 5\n", "beforeSetFriendRemark:\n    enable: true\n    timeout: 5\n"),
        ("beforeSetFriendRemark:\n  enable:\n  timeout: 5", "beforeSetFriendRemark:\n  enable: true\n  timeout: 5"),
        ("beforeSetFriendRemark:\n  enable: ~ # ?\n", "beforeSetFriendRemark:\n  enable: true # ?\n"),
        ("beforeSetFriendRemark:\r\n  enable: 'f'\r\n", "beforeSetFriendRemark:\r\n  enable: true\r\n"),
        ("beforesetfriendremark: {Enable: no}\n", "beforesetfriendremark: {Enable: no}\n"),
        ("# none", "# none\nbeforeSetFriendRemark:\n  enable: true\n  timeout: 5\n"),
        ("\u{e9}: 1\nbeforeSetFriendRemark:\n  enable: false\n", "\u{e9}: 1\nbeforeSetFriendRemark:\n  enable: true\n"),
    ] {
        let url = "url: http://bridge:10006/\u{e9}\n";
        let setup = Setup { file: format!("{url}{block}"), ..Setup::default() };
        let fixed = setup.fixed();
        assert_eq!(fixed.text, format!("{url}{corrected}"));
        assert_eq!(fixed.left.is_empty(), !block.contains("no}"), "{:?}", fixed.left);
    }
    let anchored = "url: http://bridge:10006\nafterAddFriend: &off\n  enable: false\nbeforeSetFriendRemark: *off\n";
    let setup = Setup { file: anchored.to_owned(), ..Setup::default() };
    assert_eq!(setup.fixed().text, anchored, "to change one would change the other");
    assert_eq!(setup.fixed().left.len(), 1);
}

#[test]
fn a_corrected_url_leads_to_the_bridge() {
    let url = |setup: &Setup| setup.fixed().text.lines().nth(1).map(str::to_owned).expect("a second line");
    for (bad, flags, good) in [
        ("http://bridge:10006/cb?x=1", "", "http://bridge:10006/cb"),
        ("\"http://bridge:10006/cb#?x\"", "", "http://bridge:10006/cb"),
        ("bridge:10006", "--tls-cert a --tls-key b", "https://bridge:10006"),
        ("https://u@bridge:10006/x", "", "\"http://u@bridge:10006/x\""),
        ("http://[::1]:1/x", "", "\"http://[::1]:10006/x\""),
        ("ftp://bridge", "", "ftp://bridge"),
        ("//bridge", "", "//bridge"),
    ] {
        assert_eq!(url(&right().url(bad).flags(flags)), format!("url: {good}"));
    }
    let moved = right().url("http://u:p@10.0.0.1:1/x").reached_at("https://bridge:443");
    assert_eq!(url(&moved), "url: \"https://u:p@bridge:443/x\"");
    assert_eq!(url(&right().url("").reached_at("http://b:1")), "url: http://b:1/callbackExample");
}

#[test]
fn a_password_is_hidden_also_where_the_text_is_no_url() {
    assert_eq!(without_password("http://u:p@h/x"), "http://u:***@h/x");
    assert_eq!(without_password("u:p/?#@h"), "u:***@h");
    assert_eq!(without_password("http://u:p@q@h"), "http://u:***@h");
    assert_eq!(without_password("http://h:1/x"), "http://h:1/x");
}

fn for_all<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: std::fmt::Debug,
{
    let config = Config { cases: 512, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new(config).run(&strategy, test) {
        panic!("{failure}");
    }
}

/// Files that are almost right: parts of a right one, with others in between.
fn almost() -> impl Strategy<Value = String> {
    let mut parts: Vec<String> = RIGHT.split_inclusive([' ', '\n']).map(str::to_owned).collect();
    parts.extend(
        [
            "{", "}", "[", "]", ": ", "&a ", "*a ", "<<: ", "- ", "'", "\"", "|\n", "\t", "\u{feff}", "é", "\r\n",
            "--- \n",
        ]
        .map(str::to_owned),
    );
    let part = prop_oneof![4 => proptest::sample::select(parts), 1 => any::<String>()];
    prop_oneof![
        proptest::collection::vec(part, 0..40).prop_map(|parts| parts.concat()),
        (0..RIGHT.len(), 0..RIGHT.len(), any::<String>()).prop_map(|(from, to, between)| {
            let (from, to) = (from.min(to), from.max(to));
            format!("{}{between}{}", &RIGHT[..from], &RIGHT[to..])
        }),
    ]
}

#[test]
fn no_file_makes_it_panic_and_no_correction_breaks_one() {
    for_all(almost(), |file| {
        let setup = Setup { file, ..right().reached_at("http://bridge:10006") };
        let Ok(webhooks) = Webhooks::parse(&setup.file, path()) else { return Ok(()) };
        let fixed = setup.fixed();
        prop_assert!(Webhooks::parse(&fixed.text, path()).is_ok());
        prop_assert!(fixed.left.len() <= setup.examine(webhooks).len());
        Ok(())
    });
}

#[test]
fn no_url_makes_it_panic_and_a_corrected_one_is_right() {
    for_all("[ -~\u{e9}]{0,4}(https?)?(://)?[a-z.:@/?#\\[\\]0-9%]{0,24}", |url| {
        let setup = right().with("http://bridge:10006/callbackExample", &Json::from(url).to_string());
        for finding in setup.fixed().left {
            prop_assert!(finding.change.is_none(), "{finding:?}");
        }
        Ok(())
    });
}

/// The program, without this process's variables.
fn doctor(arguments: &[&str], file: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("webhooks.yml");
    std::fs::write(&path, file).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_openim-bridge"));
    command.arg("doctor").args(arguments).arg("--webhooks").arg(path).env_clear().output().expect("the program")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_exit_code_says_whether_something_is_wrong() {
    let listen = ["--listen", "0.0.0.0:10006"];
    let code = |arguments: &[&str], file: &str| doctor(arguments, file).status.code();
    assert_eq!(code(&listen, RIGHT), Some(0));
    assert_eq!(code(&[], RIGHT), Some(1), "listens on 127.0.0.1 only");
    assert_eq!(code(&listen, "url: [\n"), Some(2));
    assert_eq!(code(&listen, "- a\n"), Some(2));
    assert_eq!(code(&["--env", "/nowhere"], RIGHT), Some(2));
    assert_eq!(code(&["--config", "/nowhere"], RIGHT), Some(2));
    assert_eq!(code(&["--url", "bridge"], RIGHT), Some(2));
    assert_eq!(code(&["--fix", "--output", "json"], RIGHT), Some(2));
    let nothing = Command::new(env!("CARGO_BIN_EXE_openim-bridge")).arg("doctor").env_clear().output().expect("it");
    assert_eq!(nothing.status.code(), Some(2), "{nothing:?}");
}

#[test]
fn the_report_says_what_is_wrong_where_why_and_what_to_do() {
    let output = doctor(&["--listen", "0.0.0.0:10006"], &RIGHT.replace("enable: true", "enable: false"));
    let text = out(&output);
    for part in [
        "WRONG     callback-disabled",
        "webhooks.yml:8:11",
        "what: ",
        "why:  ",
        "do:   ",
        "or:   IMENV_",
        "\n1 wrong\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json = out(&doctor(&["--output", "json"], RIGHT));
    let json: Json = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["ok"], &json["wrong"]), (&Json::from(false), &Json::from(1)));
    assert_eq!(json["findings"][0]["name"], "listen-loopback");
}

#[test]
fn the_corrected_file_alone_is_on_standard_output() {
    let output = doctor(&["--fix", "--listen", "0.0.0.0:10006"], &RIGHT.replace("enable: true", "enable: false"));
    assert_eq!((output.status.code(), out(&output)), (Some(0), RIGHT.to_owned()));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 corrected"), "{output:?}");
}

/// What `--probe` says of whatever listens there: the exit code, and the names of the findings that are wrong.
fn probed(at: SocketAddr, prefix: &str) -> (Option<i32>, Vec<String>) {
    let listen = at.to_string();
    let url = format!("http://{prefix}{at}/cb");
    let file = RIGHT.replace("http://bridge:10006/callbackExample", &url);
    let output = doctor(&["--probe", "--output", "json", "--listen", &listen], &file);
    let json: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = json["findings"].as_array().expect("findings");
    let wrong = findings.iter().filter(|finding| finding["severity"] == Severity::Wrong.into_str());
    let names = wrong.filter_map(|finding| finding["name"].as_str()).map(str::to_owned).collect();
    (output.status.code(), names)
}

#[test]
fn a_bridge_is_known_by_its_answer_and_its_decision_service_is_not_asked() {
    let app = app();
    let own = bridge().asking(&app).start();
    assert_eq!(probed(own.address(), ""), (Some(0), vec![]));
    assert_eq!(app.calls(), 0);
    // Credentials that the bridge does not ask for are only advised against.
    assert_eq!(probed(own.address(), "u:p@"), (Some(0), vec![]));
}

#[test]
fn a_bridge_that_turns_such_calls_away_is_told_from_one_that_answers() {
    let strict =
        bridge().with(|settings| settings.bridge.access.allow = vec!["192.0.2.0/24".parse().expect("a range")]).start();
    assert_eq!(probed(strict.address(), ""), (Some(1), vec!["probe-refused".to_owned()]));
}

#[test]
fn what_is_no_bridge_is_found() {
    assert_eq!(probed(nowhere(), ""), (Some(1), vec!["probe-no-answer".to_owned()]));
    let says = |body: &'static str| {
        peer(move |mut stream| {
            let mut request = [0; 4096];
            let _read = std::io::Read::read(&mut stream, &mut request);
            let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _written = stream.write_all(format!("{head}{body}").as_bytes());
        })
    };
    for body in ["<html>", "{}", r#"{"actionCode":0,"nextCode":1,"errCode":5001,"errMsg":"no"}"#] {
        assert_eq!(probed(says(body), ""), (Some(1), vec!["probe-not-a-bridge".to_owned()]), "{body}");
    }
}
