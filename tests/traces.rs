//! Traces: what a collector is sent, what the decision service is told, and that neither costs a callback its answer.

#![allow(clippy::expect_used)] // clippy.toml allows it in test functions only, not in what they share

mod kit;

use std::{
    io::Read as _,
    net::TcpListener,
    process::{Command, Stdio},
};

use kit::frames::{answer, plays};
use kit::{
    App, Client, Request, app, bridge, nowhere,
    otlp::{Collector, Seen, collector, secured_collector},
    peer,
    process::{Serve, serve_with},
    receiver::{Said, receiver, said},
    tls::{Authority, Files},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const METHOD: &str = "openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark";
/// OpenIM v3.7's name, whatever the alias that is sent.
const ROUTE: &str = "/callbackBeforeSetFriendRemarkCommand";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn within(flags: &str) -> Request {
    Request::new().header("traceparent", traceparent(flags))
}

/// A bridge that asks `upstream` and tells `endpoint`, and what else its variables and flags say.
fn serve(upstream: &str, endpoint: &str, variables: &[(&str, &str)], flags: &[&str]) -> Serve {
    let ours = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let timeout: &[&str] = if flags.contains(&"--timeout") { &[] } else { &["--timeout", "10s"] };
    let flags = [&["--admin-listen", "off", "--upstream", upstream], timeout, flags].concat();
    serve_with(&[&ours, variables].concat(), &flags)
}

fn traced(app: &App, collector: &Collector, variables: &[(&str, &str)], flags: &[&str]) -> Serve {
    serve(&format!("http://{}", app.address), &collector.url(), variables, flags)
}

/// The two spans of a callback with one call: its own, and the call's.
#[track_caller]
fn two(spans: &[Seen]) -> [&Seen; 2] {
    let [one, other] = spans else { panic!("two spans: {spans:#?}") };
    let [server, client] = if one.span.kind == SERVER { [one, other] } else { [other, one] };
    assert_eq!((server.span.kind, client.span.kind), (SERVER, CLIENT));
    assert_eq!((client.trace_id(), client.parent()), (server.trace_id(), server.id()));
    let [server_times, client_times] =
        [server, client].map(|seen| seen.span.start_time_unix_nano..=seen.span.end_time_unix_nano);
    assert!(server_times.start() <= client_times.start() && client_times.start() <= client_times.end());
    [server, client]
}

fn listed(seen: &Seen) -> String {
    let lines: Vec<String> = seen.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
    lines.join("\n")
}

#[test]
fn a_callback_is_a_span_in_its_callers_trace_with_the_call_as_its_child() {
    let (app, collector) = (app(), collector());
    let variables = [
        ("OTEL_SERVICE_NAME", "remarks"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment.name=test"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=chat"),
    ];
    let serve = traced(&app, &collector, &variables, &[]);
    serve.send(&within("01").header("tracestate", "rojo=1").remark("mock:replace=pal")).goes_on_with("pal");

    let spans = collector.spans(2);
    let [server, client] = two(&spans);
    assert_eq!((server.trace_id().as_str(), server.parent().as_str()), (TRACE, PARENT));
    assert_eq!(app.next_call().traceparent, Some(format!("00-{TRACE}-{}-01", client.id())));
    assert_eq!([&*server.span.trace_state, &*client.span.trace_state], ["rojo=1", "rojo=1"]);

    assert_eq!([&server.span.name, &client.span.name], [&format!("POST {ROUTE}"), METHOD]);
    insta::assert_snapshot!(listed(server), @"
    http.request.method=POST
    http.response.status_code=200
    http.route=/callbackBeforeSetFriendRemarkCommand
    network.protocol.version=1.1
    openim.operation_id=op-1
    openim_bridge.callback=beforeSetFriendRemark
    openim_bridge.outcome=change
    openim_bridge.source=decision
    url.scheme=http
    ");
    let port = app.address.port().to_string();
    insta::assert_snapshot!(listed(client).replace(&port, "[port]"), @r"
    network.peer.address=127.0.0.1
    network.peer.port=[port]
    rpc.method=openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark
    rpc.response.status_code=OK
    rpc.system.name=grpc
    server.address=127.0.0.1
    server.port=[port]
    ");
    assert!(!server.failed() && !client.failed());
    let resource = &server.resource;
    assert_eq!((&*resource["service.name"], &*resource["deployment.environment.name"]), ("remarks", "test"));
    assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(server.metadata.get("x-tenant").expect("the header"), "chat");
}

#[test]
fn without_a_valid_traceparent_a_callback_is_the_root_of_a_new_trace() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[], &[]);
    let mut traces = Vec::new();
    for wrong in [None, Some("00-xyz"), Some("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")] {
        let request = Request::new().header("tracestate", "rojo=1");
        serve.send(&wrong.map_or(request.clone(), |wrong| request.header("traceparent", wrong))).goes_on_with("pal");
        let spans = collector.spans(2);
        let [server, client] = two(&spans);
        assert_eq!((&*server.parent(), &*server.span.trace_state), ("", ""));
        assert_eq!(server.resource["service.name"], "openim-bridge");
        let told = format!("00-{}-{}-01", server.trace_id(), client.id());
        assert_eq!(app.next_call().traceparent, Some(told));
        traces.push(server.trace_id());
    }
    traces.push(TRACE.to_owned());
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 4);
}

#[test]
fn what_its_caller_does_not_sample_is_not_exported_and_still_passed_on() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[], &[]);
    serve.send(&within("00")).goes_on_with("pal");
    let told = app.next_call().traceparent.expect("a traceparent");
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");
    serve.send(&within("01").header("Operationid", "sampled")).goes_on_with("pal");
    let spans = collector.spans(2);
    let [server, _] = two(&spans);
    assert_eq!(server.attribute("openim.operation_id"), Some("sampled"));
}

#[test]
fn the_sampler_is_the_one_that_the_variable_names() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[("OTEL_TRACES_SAMPLER", "parentbased_always_off")], &[]);
    serve.send(&Request::new()).goes_on_with("pal");
    let told = app.next_call().traceparent.expect("a traceparent");
    assert!(told.ends_with("-00"), "{told}");
    serve.send(&within("01")).goes_on_with("pal");
    assert_eq!(two(&collector.spans(2))[0].trace_id(), TRACE);
}

#[test]
fn a_call_that_is_made_again_is_a_second_child() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[], &[]);
    serve.send(&within("01").remark("mock:status=UNAVAILABLE")).goes_on_with("mock:status=UNAVAILABLE");
    let spans = collector.spans(3);
    let (servers, tries): (Vec<_>, Vec<_>) = spans.iter().partition(|seen| seen.span.kind == SERVER);
    assert_eq!((servers.len(), tries.len()), (1, 2));
    let told = [app.next_call(), app.next_call()].map(|call| call.traceparent.expect("a traceparent"));
    for (tried, told) in tries.iter().zip(told) {
        assert_eq!((tried.parent(), tried.trace_id().as_str()), (servers[0].id(), TRACE));
        assert_eq!(told, format!("00-{TRACE}-{}-01", tried.id()));
        assert_eq!(tried.attribute("rpc.response.status_code"), Some("UNAVAILABLE"));
        assert_eq!((tried.attribute("error.type"), tried.failed()), (Some("UNAVAILABLE"), true));
    }
    assert!(tries[0].span.end_time_unix_nano <= tries[1].span.start_time_unix_nano);
    assert_eq!((servers[0].attribute("error.type"), servers[0].failed()), (Some("unavailable"), true));
    assert_eq!(servers[0].attribute("openim_bridge.source"), Some("fallback"));
    assert_eq!(servers[0].attribute("http.response.status_code"), Some("200"));
}

#[test]
fn a_deadline_that_passes_is_told_of_the_call_and_of_the_callback() {
    let collector = collector();
    // Not one that keeps to the deadline itself, and may be the first to say that it has passed.
    let silent = plays([answer()]);
    let serve = serve(&format!("http://{}", silent.address), &collector.url(), &[], &["--timeout", "200ms"]);
    serve.send(&within("01")).goes_on_with("pal");
    let spans = collector.spans(2);
    let [server, client] = two(&spans);
    assert_eq!(client.attribute("rpc.response.status_code"), Some("DEADLINE_EXCEEDED"));
    assert_eq!(server.attribute("error.type"), Some("timeout"));
    let lasted = server.span.end_time_unix_nano - server.span.start_time_unix_nano;
    assert!(lasted >= 190_000_000, "{lasted} ns");
}

#[test]
fn a_service_that_cannot_be_reached_is_a_child_that_says_where_it_should_be() {
    let collector = collector();
    let upstream = nowhere();
    let serve = serve(&format!("http://{upstream}"), &collector.url(), &[], &["--upstream-eject-failures", "1000"]);
    serve.send(&within("01")).goes_on_with("pal");
    let spans = collector.spans(3);
    for tried in spans.iter().filter(|seen| seen.span.kind == CLIENT) {
        assert_eq!(tried.attribute("rpc.response.status_code"), Some("UNAVAILABLE"));
    }
    let said = spans.iter().find_map(|seen| seen.attribute("server.port"));
    assert_eq!(said, Some(&*upstream.port().to_string()), "{spans:#?}");
}

/// A bridge that forwards everything to `receiver`.
fn forwarding(receiver: &str, collector: &Collector, timeout: &str) -> Serve {
    let flags = ["--forward-url", receiver, "--callbacks-default-route", "forward", "--timeout", timeout];
    serve(&format!("http://{}", nowhere()), &collector.url(), &[], &flags)
}

#[test]
fn a_forwarded_request_is_a_child_by_the_conventions_for_http() {
    let collector = collector();
    let receiver = receiver(|_| said("200 OK", "", r#"{"actionCode":0,"errCode":0,"nextCode":0,"remark":"secret"}"#));
    let serve = forwarding(&receiver.url("/secret?token=secret"), &collector, "10s");
    serve.send(&within("01").header("tracestate", "rojo=1"));
    let spans = collector.spans(2);
    let [server, client] = two(&spans);
    assert_eq!(receiver.next().header("traceparent"), Some(&*format!("00-{TRACE}-{}-01", client.id())));
    assert_eq!((&*client.span.name, &*client.span.trace_state, client.failed()), ("POST", "rojo=1", false));
    let port = receiver.address.port().to_string();
    insta::assert_snapshot!(listed(client).replace(&port, "[port]"), @"
    http.request.method=POST
    http.response.status_code=200
    network.peer.address=127.0.0.1
    network.peer.port=[port]
    server.address=127.0.0.1
    server.port=[port]
    ");
    assert_eq!(server.attribute("openim_bridge.source"), Some("forward"));
    assert!(!format!("{spans:?}").contains("secret"), "{spans:#?}");
}

#[test]
fn a_forwarded_request_that_fails_is_a_child_that_says_why() {
    let broken = receiver(|_| said("503 Service Unavailable", "", "{}"));
    let silent = receiver(|_| Said::Hangs);
    let (broken, silent, gone) = (broken.url("/cb"), silent.url("/cb"), format!("http://{}/cb", nowhere()));
    for (receiver, timeout, error, of_callback) in [
        // OpenIM looks at no status.
        (&broken, "10s", "503", None),
        (&silent, "200ms", "timeout", Some("timeout")),
        (&gone, "10s", "unavailable", Some("unavailable")),
    ] {
        let collector = collector();
        let serve = forwarding(receiver, &collector, timeout);
        serve.send(&within("01"));
        let spans = collector.spans(2);
        let [server, client] = two(&spans);
        assert_eq!((client.attribute("error.type"), client.failed()), (Some(error), true));
        assert_eq!(server.attribute("error.type"), of_callback);
        let address = receiver.trim_start_matches("http://").trim_end_matches("/cb");
        let port = client.attribute("server.port").expect("a port");
        assert_eq!(format!("127.0.0.1:{port}"), address);
    }
}

#[test]
fn a_rejected_request_is_a_span_whose_name_nobody_can_choose() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[], &[]);
    serve.send(&within("01").method("BREW").target("/s3cret?token=s3cret")).refuses(405, 9906);
    let spans = collector.spans(1);
    assert_eq!(spans.len(), 1, "{spans:#?}");
    assert_eq!((&*spans[0].span.name, spans[0].failed()), ("HTTP", false));
    insta::assert_snapshot!(listed(&spans[0]), @r"
    http.request.method=_OTHER
    http.response.status_code=405
    network.protocol.version=1.1
    openim.operation_id=op-1
    openim_bridge.outcome=refuse
    openim_bridge.reason=method
    openim_bridge.source=rejected
    url.scheme=http
    ");
}

#[test]
fn in_the_shadow_the_callback_ends_with_its_answer_and_the_call_goes_on() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[], &["--decision-enforce-percent", "0"]);
    serve.send(&within("01").remark("mock:status=INTERNAL")).goes_on_with("mock:status=INTERNAL");
    let spans = collector.spans(2);
    let [server, client] = two(&spans);
    assert_eq!((server.attribute("openim_bridge.source"), server.failed()), (Some("shadow"), false));
    assert_eq!(server.attribute("openim_bridge.reason"), Some("internal"));
    assert!(client.failed());
    assert!(server.span.end_time_unix_nano <= client.span.end_time_unix_nano);
}

#[test]
fn no_span_holds_a_remark_or_a_user_or_a_secret() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[], &[]);
    let asks = |remark: &str| within("01").callback(kit::COMMAND, "owner-1", "friend-1", remark);
    for remark in ["My Best Friend", "mock:refuse=5001,My Best Friend", "mock:replace=My Best Friend"] {
        serve.send(&asks(remark).header("Authorization", "Basic czNjcmV0"));
    }
    serve.send(&asks("mock:status=INTERNAL").target(&format!("/s3cret{}?token=s3cret", kit::PATH)));
    let spans = collector.spans(7);
    for seen in spans {
        let text = format!("{seen:?}");
        for secret in ["Best Friend", "owner-1", "friend-1", "s3cret", "czNjcmV0", "mock:"] {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
    }
}

#[test]
fn a_long_operation_id_is_cut_and_forges_nothing() {
    let (app, collector) = (app(), collector());
    let serve = traced(&app, &collector, &[], &[]);
    let id = format!("a\tb{}", "c".repeat(6_000));
    serve.send(&within("01").header("Operationid", &id)).goes_on_with("pal");
    let spans = collector.spans(2);
    let shown = two(&spans)[0].attribute("openim.operation_id").expect("an ID").to_owned();
    assert!(shown.len() <= 300 && shown.starts_with("a\\tb"), "{shown}");
}

#[test]
fn when_off_what_came_is_passed_on_unchanged_and_nothing_is_made_up() {
    let app = app();
    let bridge = bridge().asking(&app).start();
    for came in [traceparent("01"), traceparent("00"), format!("01-{TRACE}-{PARENT}-ff-later")] {
        bridge.send(&Request::new().header("traceparent", &came)).goes_on_with("pal");
        assert_eq!(app.next_call().traceparent, Some(came));
    }
    for wrong in ["", "00-xyz", "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"] {
        bridge.send(&Request::new().header("traceparent", wrong)).goes_on_with("pal");
        assert_eq!(app.next_call().traceparent, None, "{wrong}");
    }
    bridge.ask("pal").goes_on_with("pal");
    assert_eq!(app.next_call().traceparent, None);
}

#[test]
fn spans_go_by_tls_to_a_collector_that_an_authority_of_ones_own_has_signed() {
    let (app, authority) = (app(), Authority::new());
    let (theirs, ours) = (authority.signs("127.0.0.1"), authority.signs("bridge"));
    let files = Files::new(&authority);
    files.put_pair(&ours);
    let collector = secured_collector(&theirs.cert, &theirs.key, &authority.cert);
    let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(|file| files.path(file).display().to_string());
    let variables = [
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &*cert),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &*key),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
    ];
    let endpoint = format!("https://{}", collector.address);
    let serve = serve(&format!("http://{}", app.address), &endpoint, &variables, &[]);
    serve.send(&within("01")).goes_on_with("pal");
    two(&collector.spans(2));
}

#[test]
fn a_collector_that_is_down_costs_no_callback_and_not_the_stop() {
    let app = app();
    let upstream = format!("http://{}", app.address);
    let endpoint = format!("http://{}", nowhere());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let flags = ["--upstream", &upstream, "--drain-delay", "0s", "--admin-listen", "127.0.0.1:0"];
    let mut serve = serve_with(&variables, &flags);
    let admin = serve.admin_address();
    serve.send(&within("01")).goes_on_with("pal");
    serve.says("cannot export spans");
    let mut operator = Client::connect(admin);
    operator.write(&Request::new().method("GET").target("/metrics").body("").bytes());
    let metrics = operator.reply().body;
    assert!(metrics.contains("openim_bridge_spans_total{result=\"exported\"} 0\n"), "{metrics}");
    assert!(!metrics.contains("openim_bridge_spans_total{result=\"failed\"} 0\n"), "{metrics}");
    serve.send(&within("01")).goes_on_with("pal");
    serve.signal("TERM");
    serve.says("spans were lost");
    assert_eq!(serve.exit_code(), Some(0));
}

#[test]
fn a_collector_that_hangs_fills_the_queue_and_the_rest_is_counted_and_lost() {
    let app = app();
    // Reads, and never says a word. Without a limit, the end would wait for a minute.
    let hangs = peer(|mut stream| drop(stream.read_to_end(&mut Vec::new())));
    let variables = [("OTEL_BSP_MAX_QUEUE_SIZE", "4"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000")];
    let endpoint = format!("http://{hangs}");
    let mut serve = serve(&format!("http://{}", app.address), &endpoint, &variables, &["--drain-delay", "0s"]);
    for _ in 0..20 {
        serve.send(&within("01")).goes_on_with("pal");
    }
    serve.signal("TERM");
    let lost = serve.says("spans were lost");
    let (_, dropped) = lost.split_once("dropped=").expect("how many");
    let dropped: u32 = dropped.split(' ').next().and_then(|number| number.trim().parse().ok()).expect("a number");
    // Of 40, four at the most are with the exporter and four in the queue.
    assert!((32..40).contains(&dropped), "{lost}");
    assert_eq!(serve.exit_code(), Some(0));
}

/// What the program logs about traces with these variables; it ends at once, since its address is taken.
fn at_the_start(variables: &[(&str, &str)]) -> String {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let mut program = Command::new(env!("CARGO_BIN_EXE_openim-bridge"));
    program.args(["serve", "--listen", &address]).envs(variables.iter().copied()).stdin(Stdio::null());
    let log = String::from_utf8(program.output().expect("the program").stderr).expect("UTF-8");
    // Without the time.
    let lines = log.lines().filter_map(|line| line.split_once("Z ").map(|(_, said)| said.trim()));
    lines.filter(|said| said.contains("tracing") || said.contains("OTEL_")).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_wrong_with_the_variables_is_said() {
    let said = |more: &[(&str, &str)]| {
        at_the_start(&[&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")], more].concat())
    };
    insta::assert_snapshot!(said(&[
        ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
        ("OTEL_TRACES_SAMPLER_ARG", "10%"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
    ]), @r#"
    WARN OTEL_TRACES_SAMPLER_ARG is `10%`, but must be a number from 0 to 1
    WARN OTEL_BSP_MAX_QUEUE_SIZE is `0`, but must be a whole number from 1
    WARN OTEL_EXPORTER_OTLP_COMPRESSION is `zstd`, but must be gzip or none
    INFO tracing is on endpoint="http://127.0.0.1:4317" sampler=ParentBased(TraceIdRatioBased(1.0))
    "#);
    insta::assert_snapshot!(said(&[("OTEL_TRACES_SAMPLER", "sometimes")]), @r#"
    WARN OTEL_TRACES_SAMPLER is `sometimes`, but must be always_on, always_off or traceidratio, with or without parentbased_ before it
    INFO tracing is on endpoint="http://127.0.0.1:4317" sampler=ParentBased(AlwaysOn)
    "#);
    insta::assert_snapshot!(said(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), @"WARN tracing is off: OTEL_EXPORTER_OTLP_PROTOCOL is `http/protobuf`, and the bridge exports OTLP only over `grpc` (port 4317 of a collector)");
    insta::assert_snapshot!(said(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://a b")]), @"WARN tracing is off: the exporter cannot be set up: invalid exporter configuration: OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: invalid endpoint 'http://a b': invalid URI: invalid uri character");
}

#[test]
fn with_a_protocol_that_the_bridge_does_not_speak_it_serves_all_the_same() {
    let app = app();
    let upstream = format!("http://{}", app.address);
    let flags = ["--upstream", &*upstream, "--admin-listen", "127.0.0.1:0"];
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")];
    let mut serve = serve_with(&variables, &flags);
    serve.says("listening for operators");
    serve.send(&within("01")).goes_on_with("pal");
    assert_eq!(app.next_call().traceparent, Some(traceparent("01")));
}
