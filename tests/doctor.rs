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
        examine(
            &webhooks,
            BridgeSide { loaded: &loaded, served: CALLBACKS, reached_at: self.url.as_ref(), service: None },
        )
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
    let nested = right().with("beforeSetFriendRemark:", "callback:\n  beforeSetFriendRemark:");
    let nested = nested.with("  enable: true # since March\n  timeout: 5", "    enable: true\n    timeout: 5");
    assert_eq!(nested.lines(), ["wrong nested-key webhooks.yml:8:3", "wrong callback-disabled webhooks.yml:1:1"]);
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
    let table = "
what happens to the callbacks that OpenIM sends, and how long each side waits
  callback               goes to      OpenIM  bridge   fallback
  beforeAddFriend        forwarded    5 s     4s       allow
  beforeSetFriendRemark  service 0 %  5 s     4s       allow
  afterAddFriend         allowed      -       at once  -
  beforeLater            unknown      -       -        -
  service: your decision service at http://127.0.0.1:50051, which was not asked
           what it implements
  forwarded: to http://...@old:8080/cb
  unknown: to this bridge: forwarded to http://...@old:8080/cb
  beforeSetFriendRemark: forwarded to http://...@old:8080/cb, and compared with
                         your service; within 4s; fallback: allow
";
    assert!(text.contains(table), "{text}");
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
    let stands_there = ["beforeSetFriendRemark", "beforeAddFriend", "afterUserKickOff"];
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
        let findings =
            examine(&webhooks, BridgeSide { loaded: &loaded, served: CALLBACKS, reached_at: None, service: None });
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
    for nothing in ["- a\n", "", "# nothing\n", "text", "mongo:\n  uri: mongodb://mongo\n"] {
        assert_eq!(code(&listen, nothing), Some(2), "{nothing}");
    }
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

/// A file of tests/fixtures/doctor.
fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/doctor").join(name);
    std::fs::read_to_string(path).expect("a fixture")
}

/// What the program says of files as they are, beside each other, by these arguments.
fn said_of(files: &[(&str, &str)], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_openim-bridge"));
    command.current_dir(folder.path()).arg("doctor").args(["--listen", "0.0.0.0:10006"]).args(arguments);
    command.env_clear().output().expect("the program")
}

/// Whatever was wrapped.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn error(output: &Output) -> String {
    assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The names of the findings, with their places, of `--env` with this text.
fn by_env(env: &str) -> Vec<String> {
    let files = [("webhooks.yml", RIGHT), ("openim.env", env)];
    let output = said_of(&files, &["--webhooks", "webhooks.yml", "--env", "openim.env", "--output", "json"]);
    let json: Json = serde_json::from_slice(&output.stdout).expect("JSON");
    let line = |it: &Json| format!("{} {} {}", it["severity"], it["name"], it["at"]).replace('"', "");
    json["findings"].as_array().expect("findings").iter().map(line).collect()
}

#[test]
fn the_variables_of_a_compose_file_are_read_in_both_of_its_forms() {
    let (webhooks, list) = (fixture("webhooks.yml"), fixture("docker-compose.yaml"));
    let mapping = list.replace("      - ", "        ").replace("MONGO_ADDRESS=", "MONGO_ADDRESS: ");
    let mapping = mapping.replace("URL=", "URL: ").replace("ENABLE=", "ENABLE: ").replace("TIMEOUT=", "TIMEOUT: ");
    for (compose, with_bom) in [(&list, false), (&mapping, false), (&list, true)] {
        let compose = format!("{}{compose}", if with_bom { "\u{feff}" } else { "" });
        let files = [("webhooks.yml", &*webhooks), ("docker-compose.yaml", &*compose)];
        for arguments in
            [&["--webhooks", "webhooks.yml", "--env", "docker-compose.yaml"][..], &["--env", "docker-compose.yaml"]]
        {
            let output = said_of(&files, arguments);
            let text = out(&output);
            assert_eq!(output.status.code(), Some(1), "{text}");
            for part in [
                "url-port  docker-compose.yaml:6 (IMENV_WEBHOOKS_URL)",
                "WRONG     timeout-short  docker-compose.yaml:8 (IMENV_WEBHOOKS_BEFORESETFRIENDREMARK_TIMEOUT)",
                "\n  beforeSetFriendRemark  service  2 s     4s      allow\n",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
    }
    let as_webhooks = error(&said_of(&[("docker-compose.yaml", &list)], &["--webhooks", "docker-compose.yaml"]));
    assert!(as_webhooks.contains("Give it as --env"), "{as_webhooks}");
}

#[test]
fn variables_in_other_files_are_read_or_it_is_said_what_to_give() {
    let kubernetes = "apiVersion: apps/v1\nkind: Deployment\nspec:\n  containers:\n  - env:\n    - name: IMENV_WEBHOOKS_URL\n      value: http://bridge:1\n";
    let helm = "openim:\n  env:\n    IMENV_WEBHOOKS_URL: http://bridge:1\n";
    let inspected = r#"[{"Config": {"Env": ["PATH=/bin", "IMENV_WEBHOOKS_URL=http://bridge:1"]}}]"#;
    for (text, line) in [(kubernetes, 6), (helm, 3), (inspected, 1), ("IMENV_WEBHOOKS_URL=http://bridge:1", 1)] {
        assert_eq!(by_env(text), [format!("advice url-port openim.env:{line} (IMENV_WEBHOOKS_URL)")], "{text}");
        assert_eq!(by_env(&format!("\u{feff}{text}")).len(), 1, "with a BOM: {text}");
    }
    assert_eq!(by_env("MONGO_ADDRESS=mongo:27017\n"), ["advice variables-none openim.env:1:1"]);
    let two = "a:\n  IMENV_WEBHOOKS_URL: http://bridge:10006\nb:\n  IMENV_WEBHOOKS_URL: http://bridge:10007\n";
    for (text, advice) in [
        ("services:\n  mongo:\n    image: mongo\n", "no IMENV_WEBHOOKS_… variable stands in it"),
        (RIGHT, "no IMENV_WEBHOOKS_… variable stands in it"),
        ("text\n", "no IMENV_WEBHOOKS_… variable stands in it"),
        ("", "no IMENV_WEBHOOKS_… variable stands in it"),
        ("environment:\n  - IMENV_WEBHOOKS_URL=${URL}\n", "docker compose config"),
        ("environment:\n  - IMENV_WEBHOOKS_URL\n", "docker compose config"),
        ("env:\n- name: IMENV_WEBHOOKS_URL\n  valueFrom: {secretKeyRef: {name: a, key: b}}\n", "openim-server env"),
        ("s:\n  env_file: .env\n  environment: {IMENV_WEBHOOKS_URL: http://bridge:10006}\n", "`env_file` sets more"),
        (two, "another value stands at openim.env:2 (IMENV_WEBHOOKS_URL)"),
    ] {
        let files = [("webhooks.yml", RIGHT), ("openim.env", text)];
        let said = error(&said_of(&files, &["--webhooks", "webhooks.yml", "--env", "openim.env"]));
        assert!(said.contains("openim.env") && said.contains(advice), "{text}: {said}");
    }
}

#[test]
fn quotes_of_which_programs_differ_are_found() {
    let quoted = "IMENV_WEBHOOKS_URL=\"http://bridge:10006/cb\"\n";
    assert_eq!(by_env(quoted), ["advice variable-quoted openim.env:1 (IMENV_WEBHOOKS_URL)"]);
    let comment = "IMENV_WEBHOOKS_URL=http://bridge:10006/cb # ours\n";
    assert_eq!(by_env(comment), ["advice variable-quoted openim.env:1 (IMENV_WEBHOOKS_URL)"]);
    assert_eq!(by_env("IMENV_WEBHOOKS_URL=http://bridge:10006/cb\n"), [""; 0]);
    assert_eq!(by_env(&format!("export {quoted}")), [""; 0], "a shell takes them out");
}

#[test]
fn webhooks_yml_in_a_kubernetes_object_is_examined_and_corrected_where_it_stands() {
    let map = fixture("openim-config.yml");
    let indented = map.replace('\n', "\n  ").replacen("apiVersion", "- apiVersion", 1);
    let list = format!("apiVersion: v1\nkind: List\nitems:\n{indented}\n");
    let two = format!("# rendered\n---\napiVersion: v1\nkind: Service\n---\n{map}---\n");
    let values = "config:\n  webhooks.yml: |\n    url: http://127.0.0.1:10006/callbackExample\n    beforeSetFriendRemark:\n      enable: false\nimage: x\n";
    for (file, at) in [
        (map.clone(), "11:15"),
        (map.replace('\n', "\r\n"), "11:15"),
        (format!("\u{feff}{map}"), "11:15"),
        (map.replace("  webhooks.yml: |\n", "  webhooks.yml: |\n    # \u{e9}\n"), "12:15"),
        (list, "14:17"),
        (two, "16:15"),
        (values.to_owned(), "5:15"),
    ] {
        let setup = Setup { file: file.clone(), ..right() };
        let setup = setup.with("http://127.0.0.1:10006/", "http://bridge:10006/").reached_at("http://bridge:10006");
        assert_eq!(setup.lines(), [format!("wrong callback-disabled webhooks.yml:{at}")], "{file}");
        let fixed = setup.fixed();
        assert_eq!(fixed.left, []);
        assert_eq!(fixed.text, setup.file.replace("enable: false", "enable: true"));
    }
    // A key more stands behind the last one of that text, and not at the end of the file.
    let without = map.replace("    url: http://127.0.0.1:10006/callbackExample\n", "");
    let setup = Setup { file: without + "  z.yml: |\n    a: 1\n", ..right() };
    let fixed = setup.reached_at("http://bridge:10006").fixed();
    assert_eq!(fixed.left, []);
    let end = "      failedContinue: true\n    url: http://bridge:10006/callbackExample\n  z.yml: |\n    a: 1\n";
    assert!(fixed.text.ends_with(end), "{}", fixed.text);
}

#[test]
fn what_holds_no_webhooks_yml_is_never_examined_and_never_written_to() {
    let map = fixture("openim-config.yml");
    let json = r#"{"apiVersion": "v1", "kind": "ConfigMap", "data": {"webhooks.yml": "url: http://a\nbeforeAddFriend:\n  enable: true\n"}}"#;
    let nested = format!("webhooks:\n  {}", RIGHT.replace('\n', "\n  "));
    for (file, said) in [
        (
            map.replace("webhooks.yml", "redis.yml"),
            "webhooks.yml: a Kubernetes ConfigMap without webhooks.yml in it. Give",
        ),
        (format!("{map}---\n{map}"), "more than once, at webhooks.yml:8:3 and webhooks.yml:22:3"),
        (nested, "webhooks.yml:1:1: not OpenIM's webhooks.yml: `url` or callbacks stand under `webhooks`"),
        (map.replace("enable: false", "enable: {{ .Values.x }}"), "webhooks.yml:11:"),
        (map.replace("    url", "    {{- x }}\n    url"), "`helm template`"),
        ("a: 1\n".to_owned(), "neither `url` nor a callback"),
    ] {
        for arguments in [&["--webhooks", "webhooks.yml"][..], &["--webhooks", "webhooks.yml", "--fix"]] {
            let text = error(&said_of(&[("webhooks.yml", &file)], arguments));
            assert!(text.contains(said), "{said}: {text}");
        }
    }
    let examined = said_of(&[("webhooks.yml", json)], &["--webhooks", "webhooks.yml"]);
    assert_eq!(examined.status.code(), Some(0), "{examined:?}");
    assert!(out(&examined).contains("url-port  webhooks.yml:1:"), "{examined:?}");
    let fixed = error(&said_of(&[("webhooks.yml", json)], &["--webhooks", "webhooks.yml", "--fix"]));
    assert!(fixed.contains("cannot be corrected in place. Give it as a file: `kubectl"), "{fixed}");
}

#[test]
fn a_url_to_another_receiver_is_known_and_never_moved_at_its_cost() {
    let chat = Setup { file: fixture("chat.yml"), ..Setup::default() };
    assert_eq!(chat.lines(), ["wrong url-other-receiver webhooks.yml:2:6"]);
    let finding = chat.findings().remove(0);
    assert!(finding.why.contains("`beforeAddFriend`, `afterSendSingleMsg`, `beforeSetFriendRemark`"), "{finding:?}");
    for part in ["url: \"http://127.0.0.1:10008/callback/open_im\"", "default: { route: forward }"] {
        assert!(finding.remedy.contains(part), "{finding:?}");
    }
    assert_eq!(chat.fixed().text, chat.file);
    assert_eq!(chat.clone().reached_at("http://bridge:10006").fixed().text, chat.file, "nor where --url says");
    assert_eq!(
        chat.clone().reached_at("http://127.0.0.1:10008").lines(),
        [""; 0],
        "it is the bridge that has the port"
    );
    // What the bridge forwards to it is not lost.
    let forwarding = "--forward-url http://127.0.0.1:10008/callback/open_im --callbacks-default-route forward";
    let moved = chat.clone().flags(forwarding);
    assert_eq!(moved.lines(), ["wrong url-other-receiver webhooks.yml:2:6"]);
    assert_eq!(
        moved.changes(),
        "-url: http://127.0.0.1:10008/callback/open_im\n+url: http://127.0.0.1:10006/callback/open_im\n"
    );
    let split = moved.clone().flags(&format!("{forwarding} --callback beforeSetFriendRemark.route=service"));
    assert_eq!(split.changes(), moved.changes(), "it is meant to go to the service");
    let compared = "--forward-url http://127.0.0.1:10008/cb --decision-enforce-percent 0 --decision-rest forward";
    assert_eq!(chat.clone().flags(compared).changes(), moved.changes());
    let unknown = Setup { file: format!("{}beforeLater:\n  enable: true\n", chat.file), ..moved };
    assert!(unknown.findings()[0].why.contains("asked no more for `beforeLater`,"), "{:?}", unknown.findings());
    let old = right().url("http://old:8080/cb").flags("--forward-url http://me:it@old:8080/cb?x=1");
    assert_eq!(old.lines(), ["wrong url-other-receiver webhooks.yml:2:6"]);
    assert!(old.findings()[0].why.contains("`beforeSetFriendRemark`"), "it goes to the service: {:?}", old.findings());
}

#[test]
fn no_secret_of_a_url_is_shown() {
    let secret = "4f1d2c0ffee0badc0de";
    for url in [
        "http://bridge:10006/callbackExample?token=4f1d2c0ffee0badc0de",
        "http://bridge:10006/callbackExample?4f1d2c0ffee0badc0de",
        "\"http://bridge:10006/cb?a=1&token=4f1d2c0ffee0badc0de#4f1d2c0ffee0badc0de\"",
        "\"http://bridge:10006/cb#4f1d2c0ffee0badc0de\"",
        "http://4f1d2c0ffee0badc0de@bridge:10006/cb",
        "http://u:4f1d2c0ffee0badc0de@bridge:10006/cb",
        "https://bridge:10006/cb?x=callbackX&token=4f1d2c0ffee0badc0de",
        "bridge:10006/cb?token=4f1d2c0ffee0badc0de",
        "http://127.0.0.1:10008/cb?token=4f1d2c0ffee0badc0de",
    ] {
        let file = RIGHT.replace("http://bridge:10006/callbackExample", url);
        for arguments in [&[][..], &["--output=json"], &["--url=http://b:1"], &["--probe", "--output=json"]] {
            let output = said_of(&[("webhooks.yml", &file)], &[&["--webhooks=webhooks.yml"], arguments].concat());
            let said = format!("{}{}", out(&output), String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("url-") && !said.contains(secret), "{url} {arguments:?}: {said}");
        }
        let fixed = said_of(&[("webhooks.yml", &file)], &["--webhooks=webhooks.yml", "--fix"]);
        assert!(!String::from_utf8_lossy(&fixed.stderr).contains(secret), "{url}: {fixed:?}");
    }
    let token = said_of(&[("webhooks.yml", &fixture("token.yml"))], &["--webhooks=webhooks.yml"]);
    assert!(out(&token).contains("/callbackExample?token=***: the query swallows the command"), "{token:?}");
}

#[test]
fn keys_that_no_server_sends_are_found() {
    for key in ["afterUserKickOff", "afterGroupMsgRevoke"] {
        let enabled = right().with("afterAddFriend:\n  enable: false", &format!("{key}:\n  enable: true"));
        assert_eq!(enabled.lines(), ["advice never-sent webhooks.yml:11:11"]);
        let alone = enabled.with("enable: true", "enable: false");
        let lines = alone.lines();
        assert_eq!(lines, ["wrong callback-disabled webhooks.yml:8:11", "advice never-sent webhooks.yml:11:11"]);
    }
    let text =
        out(&doctor(&[], &RIGHT.replace("afterAddFriend:\n  enable: false", "afterUserKickOff:\n  enable: true")));
    assert!(text.contains("afterUserKickOff       never sent  -       -       -\n"), "{text}");
}

#[test]
fn what_silences_a_callback_or_selects_messages_is_found() {
    let with = |name: &str, key: &str| {
        right().with(
            "afterAddFriend:\n  enable: false\n  timeout: 5\n  attentionIds: []",
            &format!("{name}:\n  enable: true\n  {key}"),
        )
    };
    for (name, key, found) in [
        ("afterSendGroupMsg", "attentionIds: [g1]", Some("wrong attention-ids")),
        ("afterMsgSaveDB", "attentionIds: [u1]", Some("advice attention-ids")),
        ("afterSendSingleMsg", "attentionIds: [u1]", None),
        ("afterSendGroupMsg", "attentionIds: []", None),
        ("afterSendGroupMsg", "attentionIds:", None),
        ("beforeSendSingleMsg", "deniedTypes: [101, 102]", Some("advice message-types")),
        ("beforeSendSingleMsg", "allowedTypes: [101, 200-500]", Some("advice message-types")),
        ("beforeSendSingleMsg", "deniedTypes: []", None),
    ] {
        let found: Vec<String> = found
            .map(|found| format!("{found} webhooks.yml:12:{}", key.find('[').unwrap_or(0) + 3))
            .into_iter()
            .collect();
        assert_eq!(with(name, key).lines(), found, "{name} {key}");
    }
    let ids = "IMENV_WEBHOOKS_AFTERSENDGROUPMSG_ATTENTIONIDS";
    let by_variable = with("afterSendGroupMsg", "attentionIds: []").variable(ids, "g1");
    assert_eq!(by_variable.lines(), [format!("wrong attention-ids {ids}")]);
    assert!(with("beforeSendSingleMsg", "deniedTypes: [200-500]").findings()[0].why.contains("whole numbers only"));
    assert!(with("afterSendGroupMsg", "deniedTypes: [101]").findings()[0].why.contains("told nothing"));
}

/// Those that only the service may refuse, by the registry.
fn losing() -> impl Iterator<Item = &'static str> {
    CALLBACKS.iter().filter(|callback| callback.only_service_may_refuse()).map(|callback| callback.name)
}

#[test]
fn a_configuration_that_loses_messages_is_told_so() {
    for name in losing() {
        let enabled = right().with("afterAddFriend:\n  enable: false", &format!("{name}:\n  enable: true"));
        assert_eq!(enabled.clone().flags("--fallback refuse").lines(), [""; 0], "a general one does not refuse it");
        for own in ["route=refuse", "fallback=refuse"] {
            let found = enabled.clone().flags(&format!("--callback {name}.{own}"));
            assert_eq!(found.lines(), ["advice refusal-loses webhooks.yml:11:11"], "{name} {own}");
        }
        let late = enabled.clone().flags(&format!("--callback {name}.timeout=6s")).findings().remove(0);
        assert!(late.name == "timeout-short" && late.why.contains("OpenIM then reports success"), "{late:?}");
        let unreachable = enabled.url("bridge:10006").findings().remove(0);
        assert!(unreachable.why.contains("OpenIM then reports success"), "{unreachable:?}");
    }
    assert!(!right().url("bridge:10006").findings()[0].why.contains("reports success"), "none of them is enabled");
}

/// webhooks.yml with everything enabled.
fn all_enabled() -> String {
    let names = CALLBACKS.iter().map(|callback| callback.name).chain(["afterGroupMsgRevoke"]);
    let blocks = names.map(|name| format!("{name}:\n  enable: true\n  timeout: 5\n"));
    std::iter::once("url: http://bridge:10006/cb\n".to_owned()).chain(blocks).collect()
}

#[test]
fn the_table_of_all_callbacks_fits_in_80_columns() {
    let config = "forward: {url: http://old:8080/cb}\nfallback: {class: {timeout: refuse}}\ncallbacks:\n  beforeCreateSingleChatConversations: {enforce_percent: 10, timeout: 1500ms}\n  beforeCreateGroupChatConversations: {route: forward}\n";
    let files = [("webhooks.yml", &*all_enabled()), ("bridge.yaml", config)];
    let text = out(&said_of(&files, &["--webhooks=webhooks.yml", "--config=bridge.yaml"]));
    let (_, table) = text.split_once("what happens to").expect("a table");
    let table: Vec<&str> = table.lines().skip(1).collect();
    for line in &table {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let row = |name: &str| table.iter().copied().find(|line| line.contains(name)).map(one_line);
    for (name, row_of_it) in [
        ("beforeSendSingleMsg ", "beforeSendSingleMsg service 5 s 4s allow *"),
        ("beforeOnlinePush ", "beforeOnlinePush service 5 s 4s allow"),
        ("beforeCreateSingleChatConversations ", "beforeCreateSingleChatConversations service 10 % 5 s 1s 500ms allow"),
        ("beforeCreateGroupChatConversations ", "beforeCreateGroupChatConversations forwarded 5 s 4s allow"),
        ("afterSendGroupMsg ", "afterSendGroupMsg service - at once -"),
    ] {
        assert_eq!(row(name).as_deref(), Some(row_of_it));
    }
    for name in losing() {
        assert!(text.replace("\n            ", " ").contains(name), "{name} in what is said of refusals");
    }
}

#[test]
fn findings_that_say_the_same_share_their_advice() {
    let text = out(&doctor(&["--listen=0.0.0.0:10006", "--timeout=6s"], &all_enabled()));
    let users = text.matches("receiver fails users' actions").count();
    assert_eq!((text.matches("WRONG     timeout-short").count(), users), (23, 1), "{text}");
}

#[test]
fn the_service_is_asked_which_rpcs_it_has() {
    let service = kit::rpc::any_service(|path| match path.rsplit('/').next() {
        Some("BeforeAddFriend") => Ok(vec![]),
        Some("BeforeSetFriendRemark") => Err(13),
        _ => Err(kit::rpc::UNIMPLEMENTED),
    });
    let upstream = format!("http://{}", service.address);
    let file = RIGHT.replace("enable: false", "enable: true")
        + "beforeOnlinePush:\n  enable: true\n  timeout: 5\nbeforeSendGroupMsg:\n  enable: true\n  timeout: 5\n";
    let files = [("webhooks.yml", &*file)];
    let own = ["--webhooks=webhooks.yml", "--callback=beforeSendGroupMsg.route=allow"];
    let output = said_of(&files, &[&own[..], &["--upstream", &upstream]].concat());
    let text = out(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "WRONG     rpc-missing  webhooks.yml:11:11\n",
        "does not implement `afterAddFriend`,\n",
        "\n  beforeAddFriend        service  5 s     4s       allow\n",
        "\n  beforeSetFriendRemark  service  5 s     4s       allow\n",
        "\n  afterAddFriend         no rpc   -       at once  -\n",
        "\n  beforeOnlinePush       no rpc   5 s     4s       allow\n",
        "\n  beforeSendGroupMsg     allowed  5 s     at once  -\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let mut asked: Vec<_> = service.all().iter().map(|asked| (asked.path.clone(), asked.message.clone())).collect();
    asked.sort();
    let paths: Vec<_> = asked.iter().filter_map(|(path, _)| path.rsplit('/').next()).collect();
    assert_eq!(
        paths,
        ["AfterAddFriend", "BeforeAddFriend", "BeforeSetFriendRemark", "BeforeOnlinePush"],
        "and no other"
    );
    assert!(asked.iter().all(|(_, message)| message[2..] == *b"openim-bridge-doctor"), "{asked:?}");

    // What refuses is told as such, and the configuration alone calls nothing.
    let config =
        format!("upstream: {{addresses: [\"{upstream}\"]}}\ncallbacks: {{beforeOnlinePush: {{fallback: refuse}}}}\n");
    let files = [("webhooks.yml", &*file), ("bridge.yaml", &*config)];
    let quiet = said_of(&files, &["--webhooks=webhooks.yml", "--config=bridge.yaml"]);
    assert!(!out(&quiet).contains("rpc-missing") && service.all().is_empty(), "{quiet:?}");
    let probing = out(&said_of(&files, &["--webhooks=webhooks.yml", "--config=bridge.yaml", "--probe"]));
    assert!(
        one_line(&probing).contains("`beforeOnlinePush`: each is refused by the fallback, with code 9924"),
        "{probing}"
    );
}

#[test]
fn a_service_that_cannot_be_asked_is_found() {
    let upstream = format!("http://{}", nowhere());
    let config = format!("upstream: {{addresses: [\"{upstream}\"]}}\n");
    let files = [("webhooks.yml", RIGHT), ("bridge.yaml", &*config)];
    let named = said_of(&files, &["--webhooks=webhooks.yml", "--upstream", &upstream]);
    assert_eq!(named.status.code(), Some(1));
    assert!(out(&named).contains("WRONG     service-unreachable"), "{named:?}");
    let configured = out(&said_of(&files, &["--webhooks=webhooks.yml", "--config=bridge.yaml", "--probe"]));
    assert!(configured.contains("advice    service-unreachable"), "OpenIM's machine may not reach it: {configured}");
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
