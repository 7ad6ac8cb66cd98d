//! What is counted: every callback once, whatever became of it.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use bytes::Bytes;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
};

use regex_lite::{Captures, Regex};

use kit::tls::{Authority, Files, Pair};
use kit::{Bridge, BridgeBuilder, Request, app, bridge, eventually, ms};
use openim_bridge::callback::{BodyError, Callback, Codec, Question};
use openim_bridge::mock::CallStage;
use openim_bridge::openim::OperationId;
use openim_bridge::policy::{Percent, UnknownRoute};
use openim_bridge::server::TlsSettings;

/// The callbacks that were counted, as `command outcome source reason`: how often.
fn counted(bridge: &Bridge) -> BTreeMap<String, f64> {
    let samples = bridge.scrape().into_iter().filter(|(_, value)| *value > 0.0);
    let callbacks = samples.filter_map(|(name, value)| {
        let labels = name.strip_prefix("openim_bridge_callbacks_total{")?.strip_suffix('}')?;
        let label = |name: &str| {
            let (_, rest) = labels.split_once(&format!("{name}=\""))?;
            rest.split('"').next()
        };
        let callback = if label("callback")? == "beforeSetFriendRemark" { "served" } else { label("callback")? };
        Some((format!("{callback} {} {} {}", label("outcome")?, label("source")?, label("reason")?), value))
    });
    callbacks.collect()
}

#[track_caller]
fn are_counted(bridge: &Bridge, expected: &[(&str, u32)]) {
    let expected: BTreeMap<String, f64> =
        expected.iter().map(|(labels, count)| ((*labels).to_owned(), f64::from(*count))).collect();
    assert_eq!(counted(bridge), expected);
    let answered: f64 = expected.values().sum();
    assert_eq!(number(bridge, "openim_bridge_callback_duration_seconds_count").to_string(), answered.to_string());
}

#[track_caller]
fn number(bridge: &Bridge, name: &str) -> f64 {
    *bridge.scrape().get(name).unwrap_or_else(|| panic!("no sample {name}"))
}

#[track_caller]
fn is(bridge: &Bridge, name: &str, value: f64) {
    assert_eq!(number(bridge, name).to_string(), value.to_string(), "{name}");
}

fn one_at_a_time(bridge: BridgeBuilder) -> BridgeBuilder {
    bridge.with(|settings| settings.bridge.limits.in_flight = NonZeroUsize::MIN)
}

#[test]
fn every_metric_is_there_before_anything_happens_also_without_tls() {
    let bridge = bridge().admin().start();
    let samples = bridge.scrape();
    let families = [
        "openim_bridge_callback_duration_seconds_bucket{",
        "openim_bridge_decision_duration_seconds_bucket{",
        "openim_bridge_retries_total",
        "openim_bridge_callbacks_abandoned_total",
        "openim_bridge_in_flight",
        "openim_bridge_body_bytes",
        "openim_bridge_connections",
        "openim_bridge_connections_accepted_total",
        "openim_bridge_draining",
        "openim_bridge_endpoints{state=\"healthy\"}",
        "openim_bridge_endpoints{state=\"ejected\"}",
        "openim_bridge_breaker_open",
        "openim_bridge_upstream_connections",
        "openim_bridge_tls_certificate_expiry_seconds{side=\"listener\"}",
        "openim_bridge_tls_certificate_expiry_seconds{side=\"upstream\"}",
        "openim_bridge_tls_rotations_total{side=\"listener\"}",
        "openim_bridge_tls_rotation_errors_total{side=\"upstream\"}",
        "openim_bridge_config_reloads_total",
        "openim_bridge_config_reload_errors_total",
        "openim_bridge_config_last_reload_successful",
        "openim_bridge_config_needs_restart",
        "openim_bridge_build_info{",
        "openim_bridge_tls_handshake_errors_total",
        "openim_bridge_log_lines_suppressed_total{of=\"queue\"}",
        "openim_bridge_spans_total{result=\"dropped\"}",
        #[cfg(target_os = "linux")]
        "process_cpu_seconds_total",
        #[cfg(target_os = "linux")]
        "process_resident_memory_bytes",
    ];
    for family in families {
        assert!(samples.keys().any(|name| name.starts_with(family)), "{family}");
    }
    assert_eq!(counted(&bridge), BTreeMap::new());
    is(&bridge, "openim_bridge_tls_certificate_expiry_seconds{side=\"listener\"}", f64::INFINITY);
    is(&bridge, "openim_bridge_config_last_reload_successful", 1.0);
}

/// The names and label names of metrics in a text. Those of a histogram have its suffix.
fn named(text: &str) -> BTreeSet<(String, Vec<String>)> {
    let metric = Regex::new(r"\b(openim_bridge_[a-z_]+|process_[a-z_]+)(?:\{([^}]*)\})?").expect("a pattern");
    let label = Regex::new(r"([a-z_]+)\s*(?:=~|!~|!=|=)").expect("a pattern");
    let labels = |found: &Captures<'_>| {
        let text = found.get(2).map_or("", |labels| labels.as_str());
        label.captures_iter(text).map(|label| label[1].to_owned()).collect()
    };
    metric.captures_iter(text).map(|found| (found[1].to_owned(), labels(&found))).collect()
}

#[test]
fn what_dashboard_and_alerts_name_is_exposed() {
    /// Added by Prometheus.
    const ADDED: [&str; 4] = ["namespace", "job", "instance", "pod"];
    let app = app();
    let bridge = bridge().admin().asking(&app).start();
    bridge.ask("pal");
    tells_of_an_event(&bridge);
    let mut exposed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, labels) in named(&bridge.operator("GET", "/metrics", "").body) {
        exposed.entry(name).or_default().extend(labels);
    }
    for (file, text) in [
        ("dashboard", include_str!("../deploy/grafana/openim-bridge.json").replace("\\\"", "\"")),
        ("alerts", include_str!("../deploy/prometheus/alerts.yaml").to_owned()),
    ] {
        let names = named(&text);
        assert!(names.len() > 5, "{file} names few metrics: {names:?}");
        for (name, labels) in names {
            let Some(of_metric) = exposed.get(&name) else { panic!("{file}: no bridge exposes {name}") };
            let added = |label: &&String| !ADDED.contains(&label.as_str());
            for label in labels.iter().filter(added) {
                assert!(of_metric.contains(label), "{file}: {name} has no label {label}, but {of_metric:?}");
            }
        }
    }
}

/// An after callback, whose series appear with the first one.
fn tells_of_an_event(bridge: &Bridge) {
    let command = "callbackAfterSetFriendRemarkCommand";
    bridge.send(&Request::new().target(&format!("/cb/{command}")).callback(command, "u1", "u2", "pal"));
    eventually("it is done", || bridge.server.load().queued == 0);
}

#[test]
fn the_operators_page_has_every_metric_and_no_other() {
    let app = app();
    let bridge = bridge().admin().asking(&app).start();
    // A series of callbacks appears with its first callback.
    bridge.ask("pal");
    tells_of_an_event(&bridge);
    let text = bridge.operator("GET", "/metrics", "").body;
    let is: BTreeSet<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let page = include_str!("../docs/operations.md");
    let (_, page) = page.split_once("\n## Metrics\n").expect("the chapter on metrics");
    let rows = page.lines().skip_while(|line| !line.starts_with("| `")).take_while(|line| line.starts_with("| `"));
    let names = rows.flat_map(|row| row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2));
    let mut told: BTreeSet<&str> = names.map(|name| name.split('{').next().unwrap_or_default()).collect();
    // Its first series comes with the first comparison: tests/forward.rs.
    assert!(told.remove("openim_bridge_comparisons_total"));
    // Those of the process are there on Linux alone.
    let everywhere = |name: &&&str| cfg!(target_os = "linux") || !name.starts_with("process_");
    assert_eq!(told.iter().filter(everywhere).collect::<Vec<_>>(), is.iter().collect::<Vec<_>>());
}

#[test]
fn one_of_each_of_the_service_s_answers() {
    let app = app();
    let bridge = bridge().admin().asking(&app).timeout(ms(14_000)).start();
    for remark in [
        "pal",
        "mock:refuse=5001,No",
        "mock:replace=x",
        "mock:invalid=code",
        "mock:invalid=unset",
        "mock:status=DEADLINE_EXCEEDED",
        "mock:status=RESOURCE_EXHAUSTED",
        "mock:status=PERMISSION_DENIED",
        "mock:status=UNIMPLEMENTED",
        "mock:status=INTERNAL",
        "mock:status=UNAVAILABLE",
    ] {
        bridge.ask(remark);
    }
    are_counted(
        &bridge,
        &[
            ("served allow decision none", 1),
            ("served refuse decision none", 1),
            ("served change decision none", 1),
            ("served refuse decision invalid_reply", 1),
            ("served allow fallback invalid_reply", 1),
            ("served allow fallback timeout", 1),
            ("served allow fallback overloaded", 1),
            ("served allow fallback denied", 1),
            ("served allow fallback unimplemented", 1),
            ("served allow fallback internal", 1),
            ("served allow fallback unavailable", 1),
        ],
    );
    is(&bridge, "openim_bridge_retries_total", 1.0);
    is(&bridge, "openim_bridge_decision_duration_seconds_count", 11.0);
    is(&bridge, "openim_bridge_endpoints{state=\"healthy\"}", 1.0);
    is(&bridge, "openim_bridge_breaker_open", 0.0);
    is(&bridge, "openim_bridge_upstream_connections", 1.0);
    is(&bridge, "openim_bridge_connections_accepted_total", 11.0);
}

#[test]
fn one_of_each_rejection_and_no_label_that_a_stranger_chose() {
    let bridge = bridge().admin().with(|settings| settings.bridge.limits.request_bytes = NonZeroUsize::MIN).start();
    let named = |name: &str| Request::new().target(&format!("/callbackExample/{name}"));
    bridge.send(&Request::new().method("GET").body(""));
    for number in 0..20 {
        bridge.send(&named(&format!("callbackBeforeStranger{number}Command")));
    }
    bridge.send(&named("").body(""));
    bridge.send(&named("?x=1/callbackBeforeSetFriendRemarkCommand"));
    bridge.send(&Request::new().target(&format!("{}?contenttype=xml", kit::PATH)));
    bridge.send(&Request::new().header("Content-Type", "text/plain"));
    bridge.send(&Request::new().without("operationID"));
    bridge.send(&Request::new());
    let bad: BTreeMap<String, f64> = counted(&bridge)
        .into_iter()
        .map(|(labels, count)| {
            let (_, reason) = labels.split_once(" refuse rejected ").expect("rejections alone");
            (reason.to_owned(), count)
        })
        .collect();
    let expected = [
        ("method", 1.0),
        ("command_unserved", 20.0),
        ("command_missing", 1.0),
        ("command_swallowed", 1.0),
        ("content_type_parameter", 1.0),
        ("content_type", 1.0),
        ("operation_id", 1.0),
        ("body_too_large", 1.0),
    ];
    assert_eq!(bad, expected.into_iter().map(|(reason, count)| (reason.to_owned(), count)).collect());
    is(&bridge, "openim_bridge_callback_duration_seconds_count", 27.0);
    is(&bridge, "openim_bridge_decision_duration_seconds_count", 0.0);
}

#[test]
fn bodies_that_do_not_decode() {
    let bridge = bridge().admin().start();
    bridge.send(&Request::new().body("{"));
    bridge.send(&Request::new().callback("callbackBeforeAddFriendCommand", "u1", "u2", "x"));
    are_counted(
        &bridge,
        &[("served refuse rejected body_malformed", 1), ("served refuse rejected command_mismatch", 1)],
    );
}

#[test]
fn whoever_may_not_call() {
    let allowed = "10.0.0.0/8".parse().expect("a range");
    let bridge = bridge().admin().with(|settings| settings.bridge.access.allow = vec![allowed]).start();
    assert_eq!(bridge.ask("pal").status, 403);
    let counted = counted(&bridge);
    assert_eq!(counted.len(), 1);
    assert!(counted.keys().all(|labels| labels.ends_with(" refuse rejected address")), "{counted:?}");
}

#[test]
fn a_command_that_is_not_served_and_goes_on() {
    let bridge = bridge().admin().with(|settings| settings.bridge.routes.unknown = UnknownRoute::Allow).start();
    let name = "callbackBeforeSomethingElseCommand";
    bridge.send(&Request::new().target(&format!("/{name}")).callback(name, "u1", "u2", "x"));
    are_counted(&bridge, &[("unknown allow route unserved", 1)]);
}

#[test]
fn what_is_shed_and_what_is_abandoned() {
    let app = app();
    let bridge = one_at_a_time(bridge()).admin().asking(&app).timeout(ms(14_000)).start();
    let mut hung = bridge.connect();
    hung.write(&Request::new().remark("mock:hang").bytes());
    while app.next_event().stage != CallStage::Received {}
    is(&bridge, "openim_bridge_in_flight", 1.0);
    is(&bridge, "openim_bridge_in_flight_limit", 1.0);
    is(&bridge, "openim_bridge_connections", 1.0);
    bridge.ask("pal").goes_on_with("pal");
    are_counted(&bridge, &[("served allow fallback overloaded", 1)]);

    hung.leave();
    let abandoned = "openim_bridge_callbacks_abandoned_total";
    eventually("it is abandoned", || number(&bridge, abandoned) > 0.0);
    is(&bridge, abandoned, 1.0);
    are_counted(&bridge, &[("served allow fallback overloaded", 1)]);
    eventually("its place is free", || number(&bridge, "openim_bridge_in_flight") == 0.0);
}

#[test]
fn shadow_decisions_are_counted_as_such_and_their_answers_take_no_time() {
    let app = app();
    let bridge =
        bridge().admin().asking(&app).with(|settings| settings.bridge.decision.enforce_percent = Percent::NONE);
    let bridge = bridge.start();
    bridge.ask("mock:refuse=5001,No").goes_on_with("mock:refuse=5001,No");
    eventually("it is counted", || !counted(&bridge).is_empty());
    are_counted(&bridge, &[("served refuse shadow none", 1)]);
    is(&bridge, "openim_bridge_decision_duration_seconds_count", 1.0);
}

#[test]
fn an_endpoint_that_is_out_opens_the_breaker() {
    let bridge = bridge().admin().start();
    eventually("it is out", || number(&bridge, "openim_bridge_breaker_open") > 0.0);
    is(&bridge, "openim_bridge_endpoints{state=\"healthy\"}", 0.0);
    is(&bridge, "openim_bridge_endpoints{state=\"ejected\"}", 1.0);
}

#[test]
fn a_drain_shows() {
    let bridge = bridge().admin().start();
    is(&bridge, "openim_bridge_draining", 0.0);
    bridge.operator("POST", "/drain", "");
    is(&bridge, "openim_bridge_draining", 1.0);
}

#[test]
fn a_certificate_s_expiry_and_its_rotations() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let made = |year: i32| {
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        params.self_signed(&key).expect("a certificate").pem()
    };
    let files = Files::new(&Authority::new());
    files.put_pair(&Pair { cert: made(2100), key: key.serialize_pem() });
    let tls = TlsSettings { cert: files.path("cert.pem"), key: files.path("key.pem"), look_every: ms(10) };
    let bridge = bridge().admin().with(|settings| settings.tls = Some(tls)).start();
    let expiry = "openim_bridge_tls_certificate_expiry_seconds{side=\"listener\"}";
    let year = 365.25 * 86_400.0;
    assert!((50.0 * year..100.0 * year).contains(&number(&bridge, expiry)), "in 2100");

    let handshakes = "openim_bridge_tls_handshake_errors_total";
    bridge.connect().write(b"GET / HTTP/1.1\r\n\r\n");
    eventually("plain HTTP is no handshake", || number(&bridge, handshakes) > 0.0);
    is(&bridge, handshakes, 1.0);

    files.put("cert.pem", &made(2200));
    eventually("it is taken", || number(&bridge, "openim_bridge_tls_rotations_total{side=\"listener\"}") > 0.0);
    assert!((150.0 * year..200.0 * year).contains(&number(&bridge, expiry)), "in 2200");
    files.put("cert.pem", "no certificate");
    let errors = "openim_bridge_tls_rotation_errors_total{side=\"listener\"}";
    eventually("it is refused", || number(&bridge, errors) > 0.0);
    is(&bridge, errors, 1.0);
}

fn panics(_: &'static Callback, _: Bytes, _: &OperationId) -> Result<Question, BodyError> {
    panic!("on purpose")
}

const PANICS: Codec = Codec { decode: panics, ..Codec::TABLES };

#[test]
fn a_panic_is_counted_too() {
    let bridge = bridge().admin().coded_by(PANICS).start();
    bridge.ask("pal").goes_on();
    let counted = counted(&bridge);
    assert_eq!(counted.len(), 1);
    assert!(counted.keys().all(|labels| labels.ends_with(" allow fallback internal")), "{counted:?}");
    is(&bridge, "openim_bridge_callback_duration_seconds_count", 1.0);
    is(&bridge, "openim_bridge_callbacks_abandoned_total", 0.0);
}
