//! Tests over the whole of the configuration: what people write, and what they are told.

use std::{collections::HashSet, fmt::Write as _, fs, path::Path};

use insta::assert_snapshot;
use proptest::prelude::*;
use schemars::generate::SchemaSettings;
use serde::Serialize as _;
use serde_json::{
    json,
    ser::{PrettyFormatter, Serializer},
};

use super::{
    leaf::{Leaf, leaves},
    raw::Raw,
    *,
};
use crate::callback::CALLBACKS;
use crate::policy::{Action, Route};
use crate::server::Settings;
use crate::telemetry::log::{LogFormat, LogIds, LogLevel, PseudonymKey};
use crate::upstream::ErrorClass;

/// What a configuration is read from in a test; the file is called `bridge.yaml` in every message.
#[derive(Default)]
struct Given<'a> {
    file: Option<&'a str>,
    variables: &'a [(&'a str, &'a str)],
    flags: &'a [&'a str],
}

impl Given<'_> {
    fn load(&self) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("bridge.yaml");
        let mut arguments: Vec<OsString> = vec!["serve".into()];
        if let Some(text) = self.file {
            fs::write(&path, text).expect("file");
            arguments.extend(["--config".into(), path.into()]);
        }
        arguments.extend(self.flags.iter().map(OsString::from));
        let matches = clap::Command::new("serve").args(args()).try_get_matches_from(arguments).expect("flags");
        let variables = self.variables.iter().map(|(name, value)| (name.into(), value.into()));
        let folder = format!("{}/", folder.path().display());
        load(&matches, variables).map_err(|error| error.to_string().replace(&folder, ""))
    }

    fn settings(&self) -> Settings {
        self.load().expect("a right configuration").settings
    }

    fn errors(&self) -> String {
        self.load().expect_err("a wrong configuration")
    }
}

fn file_errors(file: &str) -> String {
    Given { file: Some(file), ..Given::default() }.errors()
}

fn flag_errors(flags: &[&str]) -> String {
    Given { flags, ..Given::default() }.errors()
}

fn file_settings(file: &str) -> Settings {
    Given { file: Some(file), ..Given::default() }.settings()
}

#[test]
fn an_empty_configuration_is_the_default() {
    let default = format!("{:?}", Settings::default());
    for file in ["", "---\n", "# nothing\n", "null\n", "{}\n", "admin:\n", "decision:\n  timeout:\n", "\u{feff}# BOM\n"]
    {
        assert_eq!(format!("{:?}", file_settings(file)), default, "{file:?}");
    }
    assert_eq!(format!("{:?}", Given::default().settings()), default);
}

#[test]
fn flag_over_variable_over_file_over_default() {
    let file = Some("decision: {timeout: 1s}\nworkers: 2\nlog: {level: debug}\nadmin: {listen: off}\n");
    let variables = &[("OPENIM_BRIDGE_DECISION_TIMEOUT", "2s"), ("OPENIM_BRIDGE_WORKERS", "3")];
    let loaded = Given { file, variables, flags: &["--timeout", "3s"] }.load().expect("right");
    let from = |key: &str| {
        let value = loaded.values.iter().find(|value| value.key == key).expect("key");
        let source = value.source.to_string();
        format!("{} from {}", value.yaml(), source.rsplit('/').next().unwrap_or_default())
    };
    assert_eq!(from("decision.timeout"), "3s from --timeout");
    assert_eq!(from("workers"), "3 from OPENIM_BRIDGE_WORKERS");
    assert_eq!(from("log.level"), "debug from bridge.yaml:3:14");
    assert_eq!(from("admin.listen"), "off from bridge.yaml:4:17");
    assert_eq!(from("listen"), "127.0.0.1:10006 from default");
    assert_eq!(loaded.settings.bridge.decision.timeout.as_secs(), 3);
    assert_eq!(loaded.settings.workers.get(), 3);
    assert_eq!(loaded.settings.bridge.log.level, LogLevel::Debug);
    assert!(loaded.settings.admin.listen.is_none());
}

#[test]
fn every_setting_arrives_from_every_layer() {
    let users = tempfile::NamedTempFile::new().expect("file");
    fs::write(&users, "openim:s3cret\n").expect("file");
    let users = users.path().to_str().expect("UTF-8");
    let key = tempfile::NamedTempFile::new().expect("file");
    fs::write(&key, "0123456789abcdef").expect("file");
    let key = key.path().to_str().expect("UTF-8");
    // Another value than the default for each.
    let other = |leaf: &Leaf| match leaf.key.as_str() {
        "listen" | "admin.listen" | "upstream.resolve.server" => "127.0.0.2:1".to_owned() + &leaf.key.len().to_string(),
        "tls.cert" | "tls.key" | "upstream.tls.ca" | "upstream.tls.cert" | "upstream.tls.key" => "tls.pem".to_owned(),
        "upstream.tls.server_name" => "decisions".to_owned(),
        "workers" | "limits.in_flight" | "limits.connections" | "delivery.max_attempts" | "delivery.concurrency" => {
            "7".to_owned()
        }
        "limits.request_bytes" | "limits.body_bytes" | "delivery.queue_bytes" => "1000".to_owned(),
        "decision.enforce_percent" => "50".to_owned(),
        "admin.hosts" => "bridge,bridge.chat.svc".to_owned(),
        "access.allow" => "10.0.0.0/8,192.0.2.7".to_owned(),
        "access.basic_auth_file" | "forward.basic_auth_file" => users.to_owned(),
        "upstream.addresses" => "http://a:1,http://b:2".to_owned(),
        "upstream.connect_timeout"
        | "forward.connect_timeout"
        | "upstream.health.timeout"
        | "upstream.eject.probe_min" => "300ms".to_owned(),
        "upstream.health.interval"
        | "upstream.eject.probe_max"
        | "upstream.resolve.ttl_min"
        | "upstream.resolve.ttl_max" => "700ms".to_owned(),
        "upstream.connections" => "2".to_owned(),
        "upstream.eject.failures" => "9".to_owned(),
        "decision.timeout" | "drain.delay" | "delivery.max_age" | "delivery.attempt_timeout" => "6s".to_owned(),
        "drain.timeout" => "40s".to_owned(),
        "fallback.refusal.code" | "refusal.default_code" => "5007".to_owned(),
        "refusal.codes" => "100-499,73001".to_owned(),
        "response.next_code" => "string".to_owned(),
        "callbacks.unknown.route" => "allow".to_owned(),
        "decision.rest" => "forward".to_owned(),
        "forward.url" => "http://old:8080/callback".to_owned(),
        "forward.tls.server_name" => "old".to_owned(),
        key if key.starts_with("forward.tls.") => "tls.pem".to_owned(),
        key if leaf.callback.is_some() => match key.rsplit('.').next() {
            Some("route") => "allow".to_owned(),
            Some("timeout") => "700ms".to_owned(),
            Some("enforce_percent") => "50".to_owned(),
            Some("rest") => "forward".to_owned(),
            _ => "refuse".to_owned(),
        },
        "operation_id.missing" => "generate".to_owned(),
        "log.level" => "trace".to_owned(),
        "log.format" => "json".to_owned(),
        "log.private" | "admin.write" | "ready.require_upstream" => "true".to_owned(),
        "ready.wait_for_upstream" => "1s".to_owned(),
        "log.ids" => "hash".to_owned(),
        "log.ids_key_file" => key.to_owned(),
        key if key.ends_with("message") || key.ends_with("detail") => "words".to_owned(),
        _ => "refuse".to_owned(),
    };
    let texts: Vec<(&Leaf, String)> = leaves().iter().map(|leaf| (leaf, other(leaf))).collect();
    let flags: Vec<String> = texts.iter().map(|(leaf, text)| flag(leaf, text)).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let variables: Vec<(&str, &str)> = texts.iter().map(|(leaf, text)| (&*leaf.variable, text.as_str())).collect();
    let mut tree = json!({});
    for (leaf, text) in &texts {
        *leaf.key.split('.').fold(&mut tree, |group, name| &mut group[name]) = leaf.value(text);
    }
    // JSON is YAML.
    let file = tree.to_string();
    let layers = [
        Given { flags: &flags, ..Given::default() },
        Given { variables: &variables, ..Given::default() },
        Given { file: Some(&file), ..Given::default() },
    ];
    let [flags, variables, file] = layers.map(|given| given.load().expect("right"));
    for loaded in [&flags, &variables, &file] {
        for (value, (leaf, _)) in loaded.values.iter().zip(&texts) {
            assert_ne!(value.value, leaf.default, "{} is not the default", leaf.key);
            assert_ne!(value.source, ValueSource::Default, "{} has a source", leaf.key);
        }
        assert_eq!(format!("{:?}", loaded.settings), format!("{:?}", flags.settings));
    }
}

fn flag(leaf: &Leaf, text: &str) -> String {
    match (leaf.callback, leaf.key.split_once('.')) {
        (Some(_), Some((_, key))) => format!("--callback={key}={text}"),
        _ => format!("--{}={text}", leaf.flag),
    }
}

#[test]
fn the_file_may_be_named_by_a_variable_and_a_flag_wins() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("file");
        path.to_str().expect("UTF-8").to_owned()
    };
    let (one, two) = (write("one", "workers: 1"), write("two", "workers: 2"));
    let variables = &[("OPENIM_BRIDGE_CONFIG", one.as_str())];
    assert_eq!(Given { variables, ..Given::default() }.settings().workers.get(), 1);
    assert_eq!(Given { variables, flags: &["--config", &two], ..Given::default() }.settings().workers.get(), 2);
}

#[test]
fn a_variable_that_is_empty_is_unset() {
    let variables = &[("OPENIM_BRIDGE_WORKERS", ""), ("OPENIM_BRIDGE_CONFIG", ""), ("OPENIM_BRIDGE_WHATEVER", "")];
    let loaded = Given { variables, file: Some("workers: 2"), ..Given::default() }.load().expect("right");
    assert_eq!(loaded.settings.workers.get(), 2);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn unknown_variables_are_warnings_but_for_those_of_kubernetes() {
    let variables = &[
        ("OPENIM_BRIDGE_SERVICE_HOST", "10.0.0.1"),
        ("OPENIM_BRIDGE_SERVICE_PORT", "80"),
        ("OPENIM_BRIDGE_SERVICE_PORT_HTTP", "80"),
        ("OPENIM_BRIDGE_PORT", "tcp://10.0.0.1:80"),
        ("OPENIM_BRIDGE_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("OPENIM_BRIDGE_PORTS", "1"),
        ("OPENIM_BRIDGE_TIMEOUTS", "1s"),
        ("OPENIM_BRIDGE_WORKER", "1"),
        ("OPENIM_BRIDGE_ELEPHANT", "1"),
        ("OPENIM_WORKERS", "1"),
        ("PATH", "/bin"),
    ];
    let loaded = Given { variables, ..Given::default() }.load().expect("right");
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_snapshot!(warnings.join("\n"), @r#"
    OPENIM_BRIDGE_ELEPHANT: no setting has this variable
    OPENIM_BRIDGE_PORTS: no setting has this variable
    OPENIM_BRIDGE_TIMEOUTS: no setting has this variable: did you mean OPENIM_BRIDGE_DECISION_TIMEOUT?
    OPENIM_BRIDGE_WORKER: no setting has this variable: did you mean OPENIM_BRIDGE_WORKERS?
    "#);
}

#[test]
fn tls_settings_without_an_https_address_are_warnings() {
    let flags = &["--upstream-tls-ca=/ca.pem"];
    let file = "upstream: {addresses: [http://a:1, unix:///run/a.sock], tls: {server_name: a}}\n";
    let loaded = Given { flags, file: Some(file), ..Given::default() }.load().expect("right");
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_snapshot!(warnings.join("\n").replace(&*loaded.file.expect("a file").to_string_lossy(), "bridge.yaml"), @"
    `upstream.tls.ca` (--upstream-tls-ca) has no effect: no address in `upstream.addresses` begins with https://
    `upstream.tls.server_name` (bridge.yaml:1:76) has no effect: no address in `upstream.addresses` begins with https://
    ");

    let flags = &["--forward-tls-ca=/ca.pem", "--forward-url=http://a/cb", "--upstream=https://b:1"];
    let warnings = Given { flags, ..Given::default() }.load().expect("right").warnings;
    let warnings: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert_snapshot!(warnings.join("\n"), @"`forward.tls.ca` (--forward-tls-ca) has no effect: `forward.url` does not begin with https://");

    for flags in [
        ["--upstream-tls-ca=/ca.pem", "--upstream=http://a:1,https://b:1"],
        ["--forward-tls-ca=/ca.pem", "--forward-url=https://a/cb"],
    ] {
        assert_eq!(Given { flags: &flags, ..Given::default() }.load().expect("right").warnings, []);
    }
}

#[test]
fn an_endpoint_that_is_named_twice() {
    for (one, other) in [
        ("http://a:80", "http://A"),
        ("http://127.0.0.1:50051", "http://127.0.0.1:50051/"),
        ("http://[::1]:1", "http://[0:0:0:0:0:0:0:1]:1"),
        ("http://a:443", "https://a"),
        ("unix:///run/a.sock", "unix:///run/a.sock"),
    ] {
        let flags = &[&*format!("--upstream={one}"), "--upstream=http://b:1", &format!("--upstream={other}")];
        let error = Given { flags, ..Given::default() }.load().expect_err(other);
        assert!(error.starts_with("`upstream.addresses` (--upstream) names one place twice: keep one of "), "{error}");
    }
    let flags = &["--upstream=http://a:1,http://a:2,http://b:1,unix:///a,unix:///b"];
    assert_eq!(Given { flags, ..Given::default() }.settings().upstream.addresses.len(), 5);
}

#[test]
fn no_setting_could_be_taken_for_a_variable_of_kubernetes() {
    for leaf in leaves() {
        assert!(!leaf.key.starts_with("port") && !leaf.key.starts_with("service"), "{}", leaf.key);
    }
}

#[test]
fn no_two_settings_meet() {
    let mut names = HashSet::from(["config".to_owned(), "OPENIM_BRIDGE_CONFIG".to_owned(), "output".to_owned()]);
    for leaf in leaves() {
        for name in [Some(&leaf.flag), leaf.short_flag.as_ref(), Some(&leaf.variable)].into_iter().flatten() {
            assert!(names.insert(name.clone()), "{name} is the name of two settings");
        }
    }
    clap::Command::new("serve").args(args()).debug_assert();
}

#[test]
fn the_short_flags_of_serve() {
    let flags = ["--listen", "1.1.1.1:1", "--upstream", "http://a:1", "--timeout", "1s"];
    let more = ["--fallback", "refuse", "--workers", "2", "--log-format", "json", "--log-private"];
    let settings = Given { flags: &[&flags[..], &more].concat(), ..Given::default() }.settings();
    assert_eq!(settings.listen.to_string(), "1.1.1.1:1");
    assert_eq!(settings.upstream.addresses[0].to_string(), "http://a:1");
    assert_eq!(settings.bridge.decision.timeout.as_secs(), 1);
    assert_eq!(settings.bridge.fallback.action, Action::Refuse);
    assert_eq!(settings.workers.get(), 2);
    assert_eq!(settings.bridge.log.format, LogFormat::Json);
    assert!(settings.bridge.log.private);
}

#[test]
fn every_setting_has_a_doc_a_default_and_says_what_it_expects() {
    let schema = schema();
    for leaf in leaves() {
        assert!(leaf.doc.ends_with('.'), "{} has no doc", leaf.key);
        assert!(!leaf.expected.is_empty(), "{} does not say what it expects", leaf.key);
        let kind = leaf.callback.map(|callback| if callback.is_after() { "after" } else { "before" });
        let pointer = match (kind, leaf.key.rsplit_once('.')) {
            (Some(kind), Some((_, setting))) => format!("/$defs/{kind}/properties/{setting}"),
            _ => format!("/properties/{}", leaf.key.replace('.', "/properties/")),
        };
        let published = schema.pointer(&pointer).expect("in the schema");
        assert!(published.get("default").is_some(), "{} has no default", leaf.key);
        assert_eq!(published["x-live"], leaf.live, "{}", leaf.key);
        assert!(
            leaf.default.is_null() == leaf.doc.contains("Unset")
                || leaf.doc.contains("nstead of")
                || leaf.key.starts_with("fallback.class.")
        );
    }
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let rest = schema.to_string().replace("\"x-live\"", "");
    assert!(!rest.contains("\"x-"), "what is only for this program is not published");
}

#[test]
fn what_a_running_bridge_cannot_change() {
    let restart = |leaf: &&Leaf| !leaf.live && !leaf.key.starts_with("upstream.") && !leaf.key.starts_with("forward.");
    let keys: Vec<&str> = leaves().iter().filter(restart).map(|leaf| &*leaf.key).collect();
    assert_eq!(
        keys,
        ["listen", "tls.cert", "tls.key", "workers", "delivery.concurrency", "admin.listen", "log.format"]
    );
    assert!(!leaves().iter().any(|leaf| leaf.live && leaf.key.starts_with("upstream.")));
}

#[test]
fn a_reload_changes_what_it_can_and_names_the_rest() {
    let load = |file| Given { file: Some(file), flags: &["--workers", "2"], ..Given::default() }.load().expect("right");
    let before = load("decision: {timeout: 2s}\n");
    let found = load("listen: 127.0.0.1:1\ndecision: {timeout: 900ms}\nlimits: {in_flight: 7}\nworkers: 8\n");
    let reloaded = before.reload(&found).expect("right");
    assert_eq!(reloaded.changed, ["decision.timeout", "limits.in_flight"]);
    // The flag wins as before; `upstream.connect_timeout` only follows `decision.timeout`.
    assert_eq!(reloaded.needs_restart, ["listen"]);
    let settings = &reloaded.loaded.settings;
    assert_eq!((settings.listen.port(), settings.bridge.decision.timeout.as_millis()), (10006, 900));
    assert_eq!(settings.upstream.connect_timeout.as_millis(), 1000);
    let value = |key: &str| reloaded.loaded.values.iter().find(|value| value.key == key).expect("key").yaml();
    assert_eq!((&*value("listen"), &*value("decision.timeout")), ("127.0.0.1:10006", "900ms"));

    let back = reloaded.loaded.reload(&before).expect("right");
    assert_eq!((back.changed, back.needs_restart), (vec!["decision.timeout", "limits.in_flight"], vec![]));
    assert_eq!(format!("{:?}", back.loaded.settings), format!("{:?}", before.settings));
}

#[test]
fn only_what_a_configuration_says_counts_as_a_change() {
    let load = |file| Given { file: Some(file), ..Given::default() }.load().expect("right");
    let one = load("workers: 2\n");
    assert!(one.is_as(&load("# a comment\n\nworkers:   2\nlog: {level: info}\n")));
    assert!(!one.is_as(&load("workers: 3\n")));
}

#[test]
fn every_error_class_has_its_setting() {
    let keys: HashSet<&str> = leaves().iter().filter_map(|leaf| leaf.key.strip_prefix("fallback.class.")).collect();
    assert_eq!(keys, ErrorClass::ALL.map(|class| class.into_str()).into());
    for class in ErrorClass::ALL {
        let policy = file_settings(&format!("fallback: {{class: {{{class}: refuse}}}}")).bridge.fallback;
        for other in ErrorClass::ALL {
            assert_eq!(policy.action(other) == Action::Refuse, other == class, "{class}, {other}");
        }
    }
}

#[test]
fn wrong_values_are_all_told_with_their_places() {
    let given = Given {
        file: Some(
            "listen: localhost:10006\n\
             workers: 0\n\
             upstream:\n  addresses: http://a:1\n  connect_timeout: 20s\n\
             decision:\n  timeout: 4\n\
             fallback:\n  action: deny\n  refusal:\n    code: 9900.5\n    message: \"\"\n    detail: 12\n\
             refusal:\n  default_code: 9900\n  default_message: yes\n\
             admin:\n  listen: true\n\
             log:\n  remarks: \"yes: no\"\n",
        ),
        variables: &[("OPENIM_BRIDGE_LIMITS_IN_FLIGHT", "many"), ("OPENIM_BRIDGE_LOG_FORMAT", "xml")],
        flags: &["--drain-delay", "5 minuets", "--upstream", "ftp://a:1", "--limits-body-bytes=0"],
    };
    assert_snapshot!(given.errors(), @r#"
    bridge.yaml:20:3: unknown key `log.remarks`: it is now `private:` under `log:`
    bridge.yaml:1:9: `listen` is localhost:10006: expected an IP address and a port, such as 127.0.0.1:10006, or 0.0.0.0:10006 for every interface
    bridge.yaml:2:10: `workers` is 0: expected a whole number from 1 to 256
    bridge.yaml:5:20: `upstream.connect_timeout` is 20s: expected a duration of at least 1ms and under 15s, with its unit, such as 500ms or 4s
    bridge.yaml:7:12: `decision.timeout` is 4: expected a duration of at least 10ms and under 15s, with its unit, such as 500ms or 4s
    bridge.yaml:9:11: `fallback.action` is deny: expected `allow` or `refuse`
    bridge.yaml:11:11: `fallback.refusal.code` is 9900.5: expected a whole number from 5000 to 9999
    bridge.yaml:12:14: `fallback.refusal.message` is "": expected a text that is not empty, in quotes where it could be read as a number
    bridge.yaml:13:13: `fallback.refusal.detail` is 12: expected a text, in quotes where it could be read as a number
    bridge.yaml:15:17: `refusal.default_code` is 9900: expected a whole number from 5000 to 9899
    bridge.yaml:18:11: `admin.listen` is true: expected an IP address and a port, such as 127.0.0.1:10007, or `off`
    OPENIM_BRIDGE_LIMITS_IN_FLIGHT: `limits.in_flight` is many: expected a whole number from 1 to 1000000
    OPENIM_BRIDGE_LOG_FORMAT: `log.format` is xml: expected `text` or `json`
    --upstream: `upstream.addresses` is [ftp://a:1]: expected a list of URLs of the form http://HOST:PORT, https://HOST:PORT or unix:///PATH, such as [http://127.0.0.1:50051]
    --limits-body-bytes: `limits.body_bytes` is 0: expected bytes from 1 to 2147483648, as a number or with a unit, such as 3MiB
    --drain-delay: `drain.delay` is 5 minuets: expected a duration of at least 0s and under 1h, with its unit, such as 500ms or 4s
    "#);
}

#[test]
fn a_wrong_value_is_told_even_where_another_layer_wins() {
    let given = Given { file: Some("workers: many"), flags: &["--workers", "2"], ..Given::default() };
    assert_snapshot!(given.errors(), @"bridge.yaml:1:10: `workers` is many: expected a whole number from 1 to 256");
}

#[test]
fn a_name_of_an_earlier_version_is_an_error_that_gives_the_new_one() {
    assert_snapshot!(file_errors("log: {remarks: true}\n"), @"bridge.yaml:1:7: unknown key `log.remarks`: it is now `private:` under `log:`");
    let given = Given { variables: &[("OPENIM_BRIDGE_LOG_REMARKS", "true")], ..Given::default() };
    assert_snapshot!(given.errors(), @"OPENIM_BRIDGE_LOG_REMARKS: this variable is now OPENIM_BRIDGE_LOG_PRIVATE");
    let flags = ["serve", "--log-remarks"];
    let error = clap::Command::new("serve").args(args()).try_get_matches_from(flags).expect_err("an old flag");
    assert_snapshot!(error, @"
    error: unexpected argument '--log-remarks [<log.remarks>]' found

      tip: a similar argument exists: '--log-private'

    Usage: serve [OPTIONS]

    For more information, try '--help'.
    ");
}

#[test]
fn unknown_keys_are_told_with_what_was_meant() {
    assert_snapshot!(file_errors("decison: {timeout: 4s}\n"), @"bridge.yaml:1:1: unknown key `decison`: did you mean `decision`?");
    assert_snapshot!(file_errors("limits:\n  body_byte: 4\n"), @"bridge.yaml:2:3: unknown key `limits.body_byte`: did you mean `body_bytes`?");
    assert_snapshot!(file_errors("timeout: 4s\n"), @"bridge.yaml:1:1: unknown key `timeout`: did you mean `timeout:` under `decision:`?");
    assert_snapshot!(file_errors("admin.listen: off\n"), @"bridge.yaml:1:1: unknown key `admin.listen`: did you mean `listen:` under `admin:`?");
    assert_snapshot!(file_errors("admin-listen: off\n"), @"bridge.yaml:1:1: unknown key `admin-listen`: did you mean `listen:` under `admin:`?");
    assert_snapshot!(file_errors("log: {levle: info, format: xml}\n"), @r#"
    bridge.yaml:1:7: unknown key `log.levle`: did you mean `level`?
    bridge.yaml:1:28: `log.format` is xml: expected `text` or `json`
    "#);
    assert_snapshot!(file_errors("elephant: 1\nlog:\n  elephant: 2\n"), @"
    bridge.yaml:1:1: unknown key `elephant`: the keys here are listen, access, tls, workers, upstream, forward, decision, fallback, refusal, response, callbacks, operation_id, limits, delivery, admin, ready, drain, log
    bridge.yaml:3:3: unknown key `log.elephant`: the keys here are level, format, private, ids, ids_key_file
    ");
}

#[test]
fn files_that_are_no_configuration() {
    assert_snapshot!(file_errors("just text"), @"bridge.yaml:1:1: the file must be a mapping, with the keys listen, access, tls, workers, upstream, forward, decision, fallback, refusal, response, callbacks, operation_id, limits, delivery, admin, ready, drain, log");
    assert_snapshot!(file_errors("- listen: 127.0.0.1:1\n"), @"bridge.yaml:1:1: the file must be a mapping, with the keys listen, access, tls, workers, upstream, forward, decision, fallback, refusal, response, callbacks, operation_id, limits, delivery, admin, ready, drain, log");
    assert_snapshot!(file_errors("admin: off\n"), @"bridge.yaml:1:8: `admin` must be a mapping, with the keys listen, write, hosts");
    assert_snapshot!(file_errors("workers: 1\nlog: {level: info}\nworkers: 2\n"), @"bridge.yaml:3:1: `workers` is set twice, first at bridge.yaml:1:1: keep one");
    assert_snapshot!(file_errors("log:\n  level: info\n  level: info\n"), @"bridge.yaml:3:3: `log.level` is set twice, first at bridge.yaml:2:3: keep one");
    assert_snapshot!(file_errors("log: [\n"), @"bridge.yaml:1:6: not valid YAML: unclosed bracket '['");
    assert_snapshot!(file_errors("workers: 1\n---\nworkers: 2\n"), @"bridge.yaml:3:1: not valid YAML: only single YAML document expected but multiple found");
    assert_snapshot!(file_errors("listen: *nowhere\n"), @"bridge.yaml:1:9: not valid YAML: reference to unknown value");
    assert_snapshot!(file_errors("workers: .nan\n"), @"bridge.yaml:1:10: not valid YAML: value `.nan` is not a finite number");
}

#[test]
fn files_that_cannot_be_read() {
    assert_snapshot!(flag_errors(&["--config", "no/such/bridge.yaml"]), @"no/such/bridge.yaml: cannot be read: No such file or directory (os error 2)");
    assert_snapshot!(flag_errors(&["--config", "/dev/zero"]), @"/dev/zero: cannot be read: larger than 1 MiB, which no configuration is");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("latin1.yaml");
    fs::write(&path, b"log: {level: \"\xe9\"}").expect("file");
    let error = flag_errors(&["--config", path.to_str().expect("UTF-8")]);
    assert!(error.ends_with("latin1.yaml: cannot be read: not UTF-8 text"), "{error}");
}

#[test]
fn anchors_work_and_their_bombs_do_not() {
    let settings = file_settings("listen: &all 0.0.0.0:0\nadmin: {listen: *all}\n");
    assert_eq!(settings.admin.listen, Some(settings.listen));
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        writeln!(bomb, "a{level}: &a{level} [{}]", vec![below; 10].join(", ")).expect("text");
    }
    let error = file_errors(&bomb);
    assert!(error.contains("not valid YAML"), "{error}");
    let deep = file_errors(&"[".repeat(100_000));
    assert!(deep.contains("not valid YAML"), "{deep}");
}

#[test]
fn settings_that_cannot_be_together() {
    assert_snapshot!(flag_errors(&["--timeout", "1s", "--upstream-connect-timeout", "1s"]), @"`upstream.connect_timeout` (1s, --upstream-connect-timeout) must be less than `decision.timeout` (1s, --timeout)");
    assert_snapshot!(file_errors("drain: {delay: 20s}\ndecision: {timeout: 5s}\n"), @"`drain.timeout` (25s, default) must be at least `drain.delay` (20s, bridge.yaml:1:16) + `decision.timeout` (5s, bridge.yaml:2:21) + 1s, which is 26s");
    assert_snapshot!(flag_errors(&["--admin-listen", "127.0.0.1:10006"]), @"`admin.listen` (127.0.0.1:10006, --admin-listen) must have another port than `listen` (127.0.0.1:10006, default)");
    assert_snapshot!(file_errors("listen: 0.0.0.0:10007\n"), @"`admin.listen` (127.0.0.1:10007, default) must have another port than `listen` (0.0.0.0:10007, bridge.yaml:1:9)");
    assert_snapshot!(file_errors("listen: '[::]:10007'\n"), @"`admin.listen` (127.0.0.1:10007, default) must have another port than `listen` ([::]:10007, bridge.yaml:1:9)");
    assert_snapshot!(file_errors("tls: {cert: tls.crt}\n"), @"`tls.cert` (tls.crt, bridge.yaml:1:13) needs `tls.key` too: HTTPS needs both, plain HTTP neither");
    assert_snapshot!(flag_errors(&["--tls-key", "tls.key"]), @"`tls.key` (tls.key, --tls-key) needs `tls.cert` too: HTTPS needs both, plain HTTP neither");
    assert_snapshot!(file_errors("limits: {request_bytes: 2000, body_bytes: 1999}\n"), @"`limits.body_bytes` (1999, bridge.yaml:1:43) must be at least `limits.request_bytes` (2000, bridge.yaml:1:25)");
}

#[test]
fn settings_that_can_be_together() {
    file_settings("listen: 127.0.0.1:0\nadmin: {listen: '127.0.0.1:0'}\n");
    file_settings("listen: 127.0.0.2:10007\n");
    file_settings("listen: '[::1]:7'\nadmin: {listen: '0.0.0.0:7'}\n");
    file_settings("limits: {request_bytes: 2000, body_bytes: 2000}\n");
    file_settings("drain: {delay: 20s, timeout: 25s}\n");
    file_settings("decision: {timeout: 14999ms}\n");
    file_settings("decision: {timeout: 10ms}\ndrain: {delay: 0s, timeout: 1010ms}\n");
}

#[test]
fn connecting_is_never_given_longer_than_the_decision() {
    let loaded = Given { flags: &["--timeout", "200ms"], ..Given::default() }.load().expect("right");
    assert_eq!(loaded.settings.upstream.connect_timeout.as_millis(), 200);
    let shown = loaded.values.iter().find(|value| value.key == "upstream.connect_timeout").expect("shown");
    assert_eq!(shown.value, "200ms");
    assert_snapshot!(file_errors("upstream: {connect_timeout: 9s}"), @"`upstream.connect_timeout` (9s, bridge.yaml:1:29) must be less than `decision.timeout` (4s, default)");
}

#[test]
fn several_addresses_of_the_decision_service() {
    let addresses = |given: Given<'_>| {
        let addresses = given.settings().upstream.addresses;
        addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    let flags = &["--upstream", "http://a:1", "--upstream-addresses", "http://b:2, http://[::1]:3"];
    assert_eq!(addresses(Given { flags, ..Given::default() }), "http://a:1 http://b:2 http://[::1]:3");
    let variables = &[("OPENIM_BRIDGE_UPSTREAM_ADDRESSES", "http://a:1,http://b:2")];
    assert_eq!(addresses(Given { variables, ..Given::default() }), "http://a:1 http://b:2");
    let file = Some("upstream:\n  addresses:\n    - http://a:1\n    - http://b:2\n");
    assert_eq!(addresses(Given { file, ..Given::default() }), "http://a:1 http://b:2");
}

#[test]
fn forms_of_the_decision_services_address() {
    let socket = file_settings("upstream: {addresses: ['unix:///run/decisions.sock']}").upstream.addresses;
    assert_eq!(socket[0].to_string(), "unix:///run/decisions.sock");
    assert_snapshot!(flag_errors(&["--upstream", "unix://decisions.sock"]), @"--upstream: `upstream.addresses` is [unix://decisions.sock]: expected a list of URLs of the form http://HOST:PORT, https://HOST:PORT or unix:///PATH, such as [http://127.0.0.1:50051]");
    let secured =
        file_settings("upstream: {addresses: ['https://decisions:443'], tls: {server_name: 10.0.0.1}}").upstream;
    assert_eq!(secured.addresses[0].to_string(), "https://decisions:443");
    assert_eq!(secured.tls.server_name.expect("set").to_str(), "10.0.0.1");
    assert_snapshot!(flag_errors(&["--upstream-tls-cert", "c.pem"]), @"`upstream.tls.cert` (c.pem, --upstream-tls-cert) needs `upstream.tls.key` too: a client certificate needs both");
    assert_snapshot!(flag_errors(&["--upstream-tls-key", "k.pem"]), @"`upstream.tls.key` (k.pem, --upstream-tls-key) needs `upstream.tls.cert` too: a client certificate needs both");
    assert_snapshot!(flag_errors(&["--upstream-tls-server-name", "a:1"]), @"--upstream-tls-server-name: `upstream.tls.server_name` is a:1: expected a host name or an IP address, without a port");
    assert_snapshot!(flag_errors(&["--upstream", "http://decisions:0"]), @"--upstream: `upstream.addresses` is [http://decisions:0]: expected a list of URLs of the form http://HOST:PORT, https://HOST:PORT or unix:///PATH, such as [http://127.0.0.1:50051]");
}

#[test]
fn addresses_that_may_call() {
    let allow = |text: &str| {
        let allow = file_settings(&format!("access: {{allow: {text}}}")).bridge.access.allow;
        allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(allow("[]"), "");
    assert_eq!(allow("[10.0.0.0/8, 192.0.2.7, 0.0.0.0/0]"), "10.0.0.0/8 192.0.2.7/32 0.0.0.0/0");
    assert_eq!(allow("['::1', 'fd00::/8', '::/0']"), "::1/128 fd00::/8 ::/0");
    // IPv4 is always written as such.
    assert_eq!(
        allow("['::ffff:192.0.2.7', '::ffff:10.0.0.0/104', '::ffff:0.0.0.0/96']"),
        "192.0.2.7/32 10.0.0.0/8 0.0.0.0/0"
    );
    assert_snapshot!(file_errors("access:\n  allow: [10.1.2.3/8]\n"), @"bridge.yaml:2:10: `access.allow` is [10.1.2.3/8]: expected a list of IP addresses and CIDR ranges, each from its first address on, such as [10.0.0.0/8, 192.0.2.7]: did you mean 10.0.0.0/8?");
    for wrong in ["localhost", "10.0.0.0/33", "10.0.0", "10.0.0.1:80", "''", "10.0.0.0/", "1"] {
        assert!(file_errors(&format!("access: {{allow: [{wrong}]}}")).contains("`access.allow` is"), "{wrong}");
    }
}

#[test]
fn credentials_are_read_and_never_shown() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("users");
    let load = |text: &str| {
        fs::write(&path, text).expect("file");
        let flags = &["--access-basic-auth-file", path.to_str().expect("UTF-8")];
        let loaded = Given { flags, ..Given::default() }.load();
        loaded.map_err(|error| error.replace(&format!("{}/", folder.path().display()), ""))
    };
    let loaded = load("# those who may call\n\nopenim:s3cret\nother:wh4tever\n").expect("right");
    assert!(loaded.settings.bridge.access.basic_auth.is_some());
    let shown = format!("{loaded:?}");
    for secret in ["s3cret", "wh4tever", "openim:"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
    assert_snapshot!(load("openim:s3cret\ns3cret\n").expect_err("wrong"), @"users:2: expected `user:password`, with neither of them empty (`access.basic_auth_file`, --access-basic-auth-file)");
    assert_snapshot!(load("# nobody\n").expect_err("wrong"), @"users:1: expected at least one `user:password` in the file, so that somebody may call (`access.basic_auth_file`, --access-basic-auth-file)");
    let error = flag_errors(&["--access-basic-auth-file", "no/such/users"]);
    assert_snapshot!(error, @"`access.basic_auth_file` (no/such/users, --access-basic-auth-file) cannot be read: No such file or directory (os error 2): name a file that is there, and that this process may read");
}

#[test]
fn the_key_of_hashed_ids_is_read_and_never_shown() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("key");
    let load = |text: &str| {
        fs::write(&path, text).expect("file");
        let flags = &["--log-ids", "hash", "--log-ids-key-file", path.to_str().expect("UTF-8")];
        let loaded = Given { flags, ..Given::default() }.load();
        loaded.map_err(|error| error.replace(&format!("{}/", folder.path().display()), ""))
    };
    let loaded = load("a-key-that-is-long-enough\n").expect("right");
    let LogIds::Hash(key) = &loaded.settings.bridge.log.ids else { panic!("{:?}", loaded.settings.bridge.log) };
    assert_eq!(key.name("u1"), PseudonymKey::parse("a-key-that-is-long-enough").expect("a key").name("u1"));
    assert!(!format!("{loaded:?}").contains("long-enough"));
    assert_snapshot!(load("too-short\n").expect_err("wrong"), @"key: expected at least 16 bytes, such as `openssl rand -hex 32` writes, and there are 9 (`log.ids_key_file`, --log-ids-key-file)");
}

#[test]
fn off_is_understood_however_yaml_reads_it() {
    for off in ["off", "\"off\"", "false"] {
        assert!(file_settings(&format!("admin: {{listen: {off}}}")).admin.listen.is_none(), "{off}");
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in any::<String>(), yaml in "([a-z:{}\\[\\],&*!|>'\"#%@?<-]|: |\n|\n  |- |listen|admin|off|[0-9])*") {
        for text in [text, yaml] {
            let _ = file::parse(&text, Path::new("bridge.yaml"), leaves());
        }
    }

    #[test]
    fn a_value_is_shown_as_yaml_reads_it(text in prop_oneof![any::<String>(), r"\PC*", "[a-z0-9:#.,~ '\"{}\\[\\]\n-]*", "off|no|null|~|true|1|0x1|1e3|.inf|"]) {
        let file = format!("fallback: {{refusal: {{detail: {}}}}}", leaf::show(&json!(text)));
        let (entries, problems) = file::parse(&file, Path::new("bridge.yaml"), leaves());
        prop_assert!(problems.is_empty(), "{:?}", problems);
        prop_assert_eq!(&entries[0].value, &json!(text));
    }
}

/// `docs/configuration.md`, from the settings.
fn reference() -> String {
    let mut text = include_str!("reference.md").to_owned();
    // What may be said of each callback is there once.
    let is_shown = |leaf: &&Leaf| leaf.callback.is_none_or(|callback| callback.name == CALLBACKS[0].name);
    for leaf in leaves().iter().filter(is_shown) {
        let setting = leaf.key.rsplit('.').next().unwrap_or_default();
        let of_callback = || (format!("callbacks.NAME.{setting}"), vec![format!("`--callback NAME.{setting}=...`")]);
        let flags: Vec<String> = [leaf.short_flag.as_ref(), Some(&leaf.flag)]
            .into_iter()
            .flatten()
            .map(|flag| format!("`--{flag}`"))
            .collect();
        let (key, flags) = leaf.callback.map_or_else(|| (leaf.key.clone(), flags), |_| of_callback());
        let default =
            if leaf.default.is_null() { "unset".to_owned() } else { format!("`{}`", leaf::show(&leaf.default)) };
        let change = if leaf.live { "at run time" } else { "restart" };
        let line =
            format!("`{}` | {} | {default} | {change} | {} Value: {}.", key, flags.join(", "), leaf.doc, leaf.expected);
        writeln!(text, "| {line} |").expect("text");
    }
    text
}

/// `src/config/schema.json`, from the types: a line for each thing in it, for changes to be read.
fn schema_file() -> String {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = serde_json::Value::from(settings.into_generator().into_root_schema_for::<Raw>());
    // Where a release has what `config schema` prints.
    schema["$id"] = concat!(env!("CARGO_PKG_REPOSITORY"), "/releases/latest/download/openim-bridge.schema.json").into();
    let mut text = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b""));
    schema.serialize(&mut serializer).expect("JSON");
    String::from_utf8(text).expect("UTF-8") + "\n"
}

/// Holds a file of the project against what it is made from, or renews it where that is asked for.
#[track_caller]
fn is_up_to_date(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, made).expect("written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "{file} is out of date; renew it: UPDATE_DOCS=1 cargo test --lib up_to_date");
}

#[test]
fn the_schema_is_up_to_date() {
    is_up_to_date("src/config/schema.json", &schema_file());
}

#[test]
fn the_sample_files_name_the_schema() {
    for file in ["deploy/image.yaml", "deploy/kustomize/sidecar/bridge.yaml"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a sample");
        let line = format!("# yaml-language-server: $schema={}", schema()["$id"].as_str().expect("its name"));
        assert_eq!(text.lines().next(), Some(&*line), "{file}");
    }
}

/// The chart checks its `config` by the schema of the bridge's file. The rest of its values stands as it is.
#[test]
fn the_charts_schema_is_up_to_date() {
    let file = "deploy/helm/openim-bridge/values.schema.json";
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the chart's schema");
    let mut values: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut settings = schema();
    let object = settings.as_object_mut().expect("an object");
    object.shift_remove("$schema");
    object.shift_remove("$id");
    // Where its own references lead.
    values["$defs"] = object.shift_remove("$defs").expect("what its references name");
    values["definitions"]["settings"] = settings;
    is_up_to_date(file, &format!("{values:#}\n"));
}

/// What the chart reads to know which changes must restart the pods: the settings that need it, with their defaults.
#[test]
fn the_charts_settings_that_need_a_restart_are_up_to_date() {
    let restart = leaves().iter().filter(|leaf| !leaf.live).map(|leaf| (leaf.key.clone(), leaf.default.clone()));
    let restart: serde_json::Map<_, _> = restart.collect();
    is_up_to_date("deploy/helm/openim-bridge/restart.json", &format!("{:#}\n", serde_json::Value::from(restart)));
}

#[test]
fn the_reference_is_up_to_date() {
    is_up_to_date("docs/configuration.md", &reference());
}

#[test]
fn the_example_in_the_reference_is_right() {
    let text = reference();
    let example = text.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let loaded = Given { file: Some(example), ..Given::default() }.load().expect("right");
    assert!(loaded.values.iter().any(|value| matches!(value.source, ValueSource::File { .. })));
}

#[test]
fn what_is_said_of_one_callback_goes_before_what_is_said_of_all() {
    let file = "
decision: {enforce_percent: 50}
fallback: {action: refuse}
callbacks:
  default: {route: allow}
  unknown: {route: allow}
  beforeSendSingleMsg: {route: service, timeout: 800ms, fallback: {timeout: allow}, enforce_percent: 10}
  beforeSetFriendRemark: {fallback: refuse}
  afterSendSingleMsg: {route: service}
";
    let variables = &[("OPENIM_BRIDGE_CALLBACKS_BEFORESENDGROUPMSG_FALLBACK", "{action: allow, denied: refuse}")];
    let flags = &["--callback", "beforeSendGroupMsg.route=refuse", "--callback=beforeSendSingleMsg.timeout=900ms"];
    let loaded = Given { file: Some(file), variables, flags }.load().expect("right");
    let shown = |name: &str| {
        let callbacks = loaded.callbacks();
        let it = callbacks.iter().find(|callback| callback.name == name).expect("a callback");
        let by_class = it.fallback.into_iter().flat_map(EffectiveFallback::by_class);
        let refused = by_class.filter(|(_, action)| *action == Action::Refuse);
        let mut refused: Vec<_> = refused.map(|(class, _)| class.into_str()).collect();
        refused.sort_unstable();
        format!("{} {:?} {refused:?} {:?}", it.route.into_str(), it.timeout, it.enforce_percent)
    };
    assert_snapshot!(shown("beforeSendSingleMsg"), @r#"service Some("900ms") ["denied", "internal", "invalid_reply", "overloaded", "unavailable"] Some(10)"#);
    assert_snapshot!(shown("beforeSendGroupMsg"), @r#"refuse Some("4s") ["denied"] Some(50)"#);
    assert_snapshot!(shown("beforeSetFriendRemark"), @r#"allow Some("4s") ["denied", "internal", "invalid_reply", "overloaded", "timeout", "unavailable", "unimplemented"] Some(50)"#);
    assert_snapshot!(shown("beforeOnlinePush"), @r#"allow Some("4s") [] Some(50)"#);
    assert_snapshot!(shown("afterSendSingleMsg"), @"service None [] None");
    assert_eq!(loaded.settings.bridge.routes.default, Route::Allow);
    assert_eq!(loaded.callbacks().len(), CALLBACKS.len());
}

#[test]
fn what_is_wrong_about_one_callback() {
    assert_snapshot!(file_errors("callbacks: {beforeSendSingelMsg: {route: allow}}"), @"bridge.yaml:1:13: unknown key `callbacks.beforeSendSingelMsg`: did you mean `beforeSendSingleMsg`?");
    assert_snapshot!(file_errors("callbacks: {elephant: {route: allow}}"), @"bridge.yaml:1:13: unknown key `callbacks.elephant`: `openim-bridge config show` lists what there is");
    assert_snapshot!(file_errors("callbacks: {afterSendSingleMsg: {timeout: 1s}}"), @"bridge.yaml:1:34: unknown key `callbacks.afterSendSingleMsg.timeout`: OpenIM waits for no decision about this callback: it has a `route` alone, and `delivery` is about all of its kind");
    assert_snapshot!(file_errors("callbacks: {afterSendSingleMsg: {route: refuse}}"), @"bridge.yaml:1:41: `callbacks.afterSendSingleMsg.route` is refuse: expected `service`, `forward` or `allow`");
    assert_snapshot!(file_errors("callbacks: {beforeSendSingleMsg: {route: elsewhere}}"), @"bridge.yaml:1:42: `callbacks.beforeSendSingleMsg.route` is elsewhere: expected `service`, `forward`, `allow` or `refuse`");
    assert_snapshot!(file_errors("callbacks: {beforeSendSingleMsg: {fallback: {late: refuse}}}"), @r#"bridge.yaml:1:45: `callbacks.beforeSendSingleMsg.fallback` is {"late":"refuse"}: expected `allow` or `refuse`, or one of them for each error class, such as {timeout: refuse}"#);
    assert_snapshot!(file_errors("callbacks: {beforeSendSingleMsg: {timeout: 14s}}\ndrain: {delay: 15s}"), @"`drain.timeout` (25s, default) must be at least `drain.delay` (15s, bridge.yaml:2:16) + `callbacks.beforeSendSingleMsg.timeout` (14s, bridge.yaml:1:44) + 1s, which is 30s");
    assert_snapshot!(file_errors("commands: {unserved: allow}"), @"bridge.yaml:1:1: unknown key `commands`: it is now `route:` under `callbacks: unknown:`");
    assert_snapshot!(flag_errors(&["--callback", "beforeSendSingleMsg"]), @"--callback: `beforeSendSingleMsg`: expected NAME.SETTING=VALUE, such as beforeSendSingleMsg.timeout=800ms");
    assert_snapshot!(flag_errors(&["--callback", "beforeSendSingleMsg.rout=allow"]), @"--callback: unknown key `callbacks.beforeSendSingleMsg.rout`: did you mean `route`?");
    assert_snapshot!(flag_errors(&["--callback", "beforeSendSingelMsg.route=allow"]), @"--callback: unknown key `callbacks.beforeSendSingelMsg.route`: did you mean `beforeSendSingleMsg`?");
}

#[test]
fn refusing_what_loses_messages_is_a_warning() {
    let file = "callbacks: {beforeOnlinePush: {fallback: {timeout: refuse}}, beforeOfflinePush: {route: refuse, fallback: allow}}";
    let loaded = Given { file: Some(file), ..Given::default() }.load().expect("right");
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    let folder = loaded.file.as_deref().and_then(Path::parent).expect("a folder").display().to_string() + "/";
    assert_snapshot!(warnings.join("\n").replace(&folder, ""), @"
    `callbacks.beforeOfflinePush.route` (bridge.yaml:1:89): if this is refused, OpenIM loses messages although its API reports success
    `callbacks.beforeOnlinePush.fallback` (bridge.yaml:1:42): if this is refused, OpenIM loses messages although its API reports success
    ");
}

#[test]
fn the_published_schema_knows_every_callback() {
    let schema = schema();
    let named = &schema["properties"]["callbacks"]["properties"];
    for callback in CALLBACKS {
        let kind = if callback.is_after() { "after" } else { "before" };
        assert_eq!(named[callback.name], json!({ "$ref": format!("#/$defs/{kind}") }), "{}", callback.name);
    }
    let settings = |kind: &str| {
        let settings = schema["$defs"][kind]["properties"].as_object().expect("settings");
        settings.keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(settings("before"), ["route", "timeout", "fallback", "enforce_percent", "rest"]);
    assert_eq!(settings("after"), ["route"]);
    assert!(!schema["$defs"]["after"].to_string().contains("\"refuse\""));
}

#[test]
fn forwarding_needs_a_receiver() {
    for said in [
        "callbacks: {default: {route: forward}}",
        "callbacks: {unknown: {route: forward}}",
        "callbacks: {afterSendSingleMsg: {route: forward}}",
        "callbacks: {beforeSendSingleMsg: {enforce_percent: 10, rest: forward}}",
        "decision: {rest: forward}",
    ] {
        let error = file_errors(said);
        assert!(error.ends_with("needs `forward.url` too: where the receiver is that answers"), "{said}: {error}");
        file_settings(&format!("{said}\nforward: {{url: 'http://old:8080/cb'}}\n"));
    }
}

#[test]
fn what_the_url_of_a_receiver_may_hold_as_a_secret_is_never_shown() {
    let loaded = Given { file: Some("forward: {url: 'http://u:s3cret@old/cb?token=s3cret'}"), ..Given::default() };
    let loaded = loaded.load().expect("right");
    assert!(!format!("{loaded:?} {:?}", loaded.effective()).contains("s3cret"));
    let reloaded = loaded.reload(&loaded).expect("a reload").loaded;
    assert_eq!(reloaded.values, loaded.values);
    assert!(!file_errors("forward: {url: 'http//u:s3cret@old/cb'}").contains("s3cret"));
    let folder = tempfile::tempdir().expect("folder");
    let (path, wrong) = (folder.path().join("user"), folder.path().join("wrong"));
    fs::write(&path, "openim:s3cret\n").expect("file");
    fs::write(&wrong, "s3cret").expect("file");
    let named = |path: &Path| format!("forward: {{url: 'http://old/cb', basic_auth_file: '{}'}}", path.display());
    let loaded = Given { file: Some(&named(&path)), ..Given::default() }.load().expect("right");
    assert!(!format!("{loaded:?}").contains("s3cret"));
    assert!(loaded.settings.forward.expect("a receiver").credentials.is_some());
    let error = file_errors(&named(&wrong));
    assert!(error.contains("expected one line user:password") && !error.contains("s3cret"), "{error}");
}

#[test]
fn short_variables_sizes_with_units_and_one_address_without_a_list() {
    let variables = [
        ("OPENIM_BRIDGE_LISTEN", "127.0.0.1:7"),
        ("OPENIM_BRIDGE_UPSTREAM", "http://a:1,http://b:2"),
        ("OPENIM_BRIDGE_TIMEOUT", "3s"),
        ("OPENIM_BRIDGE_FALLBACK", "refuse"),
        ("OPENIM_BRIDGE_LOG_FORMAT", "json"),
        ("OPENIM_BRIDGE_LIMITS_REQUEST_BYTES", "1MiB"),
    ];
    let load = |variables: &[(&str, &str)]| Given { variables, ..Given::default() }.load();
    let settings = load(&variables).expect("right").settings;
    assert_eq!((settings.listen.port(), settings.upstream.addresses.len()), (7, 2));
    assert_eq!((settings.bridge.decision.timeout.as_secs(), settings.bridge.limits.request_bytes.get()), (3, 1 << 20));
    assert_eq!((settings.bridge.fallback.action, settings.bridge.log.format), (Action::Refuse, LogFormat::Json));
    let both = [("OPENIM_BRIDGE_DECISION_TIMEOUT", "3s"), ("OPENIM_BRIDGE_TIMEOUT", "3s")];
    assert_snapshot!(load(&both).expect_err("wrong"), @"OPENIM_BRIDGE_TIMEOUT: this sets the same as OPENIM_BRIDGE_DECISION_TIMEOUT: keep one");

    let settings =
        file_settings("upstream: {addresses: http://a:1}\nlimits: {body_bytes: 64 MB, request_bytes: 2000}\n");
    assert_eq!(settings.upstream.addresses.len(), 1);
    assert_eq!(
        (settings.bridge.limits.body_bytes.get(), settings.bridge.limits.request_bytes.get()),
        (64_000_000, 2000)
    );
    assert_snapshot!(file_errors("limits: {body_bytes: 3GiB}\n"), @"bridge.yaml:1:22: `limits.body_bytes` is 3GiB: expected bytes from 1 to 2147483648, as a number or with a unit, such as 3MiB");
    assert_snapshot!(file_errors("limits: {body_bytes: 3 apples}\n"), @"bridge.yaml:1:22: `limits.body_bytes` is 3 apples: expected bytes from 1 to 2147483648, as a number or with a unit, such as 3MiB");
}

#[test]
fn a_range_that_begins_within_itself_is_told_with_what_may_be_meant() {
    assert_snapshot!(file_errors("access: {allow: [192.0.2.7, 10.8.0.1/16]}\n"), @"bridge.yaml:1:17: `access.allow` is [192.0.2.7, 10.8.0.1/16]: expected a list of IP addresses and CIDR ranges, each from its first address on, such as [10.0.0.0/8, 192.0.2.7]: did you mean 10.8.0.0/16?");
}
