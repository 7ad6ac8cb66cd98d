//! `check` against real gRPC services that break the contract, one rule at a time.

#![allow(clippy::expect_used, reason = "a test's helpers fail as the test does")]

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use futures_util::{
    future::{BoxFuture, FutureExt as _},
    stream::Empty,
};
use http_body_util::{BodyExt as _, Full};
use openim_bridge::{
    check::{self, CASES, Case, CaseVerdict, CheckLimits, CheckPlan, CheckReport, Expectations},
    mock::{Mock, Rules},
    proto::{
        Allow, BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse, Refuse, ReplaceRemark,
        before_set_friend_remark_response::Decision,
        friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
    },
    upstream::{Direct, UpstreamSettings},
};
use prost::Message as _;
use tokio::{sync::oneshot, time::sleep};
use tonic::{
    Request, Response, Status,
    body::Body,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};
use tower::ServiceBuilder;

type Answer = BoxFuture<'static, Decided>;
type Decided = Result<Option<Decision>, Status>;
type Handler = Arc<dyn Fn(BeforeSetFriendRemarkRequest) -> Answer + Send + Sync>;

/// A decision service that does what the test says.
#[derive(Clone)]
struct App(Handler);

#[tonic::async_trait]
impl FriendCallbackService for App {
    async fn before_set_friend_remark(
        &self,
        request: Request<BeforeSetFriendRemarkRequest>,
    ) -> Result<Response<BeforeSetFriendRemarkResponse>, Status> {
        let decision = (self.0)(request.into_inner()).await?;
        Ok(Response::new(BeforeSetFriendRemarkResponse { decision }))
    }
}

/// What its health service says; `None` is that it does not answer.
struct Says(Option<ServingStatus>);

#[tonic::async_trait]
impl Health for Says {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        match self.0 {
            Some(status) => Ok(Response::new(HealthCheckResponse { status: status.into() })),
            None => std::future::pending().await,
        }
    }

    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("nobody watches"))
    }
}

/// A service on a thread of its own.
struct Serving {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Serving {
    /// `serve` tells its address.
    fn start<F>(serve: impl FnOnce(mpsc::Sender<SocketAddr>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = serve(tell) => {}
                    _ = stopped => {}
                }
            });
        });
        Self { address: told.recv().expect("an address"), stop: Some(stop), thread: Some(thread) }
    }

    fn listening<F>(serve: impl FnOnce(tokio::net::TcpListener) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()>,
    {
        Self::start(|tell| async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("the test waits");
            serve(listener).await;
        })
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it ends");
        }
    }
}

fn incoming(listener: tokio::net::TcpListener) -> TcpIncoming {
    TcpIncoming::from(listener).with_nodelay(Some(true))
}

/// An App whose health service says SERVING.
fn app(handler: impl Fn(BeforeSetFriendRemarkRequest) -> Answer + Send + Sync + 'static) -> Serving {
    app_that_says(Some(ServingStatus::Serving), handler)
}

fn app_that_says(
    health: Option<ServingStatus>,
    handler: impl Fn(BeforeSetFriendRemarkRequest) -> Answer + Send + Sync + 'static,
) -> Serving {
    Serving::listening(move |listener| async move {
        let server = Server::builder()
            .add_service(FriendCallbackServiceServer::new(App(Arc::new(handler))))
            .add_service(HealthServer::new(Says(health)));
        server.serve_with_incoming(incoming(listener)).await.expect("it serves");
    })
}

/// An App that decides by the remark alone.
fn decides(decide: impl Fn(&str) -> Decided + Send + Sync + 'static) -> Serving {
    app(move |request| std::future::ready(decide(&request.remark)).boxed())
}

#[expect(clippy::unnecessary_wraps, reason = "what a handler returns")]
fn allow() -> Decided {
    Ok(Some(Decision::Allow(Allow {})))
}

#[expect(clippy::unnecessary_wraps, reason = "what a handler returns")]
fn refuse(code: i32) -> Decided {
    Ok(Some(Decision::Refuse(Refuse { code, ..Refuse::default() })))
}

/// The bundled mock, with rules.
fn mock(rules: &'static str) -> Serving {
    Serving::start(move |tell| async move {
        let rules = Rules::parse("rules", rules).expect("valid rules");
        let mock = Mock::bind(SocketAddr::from(([127, 0, 0, 1], 0)).into(), rules).await.expect("a port");
        tell.send(mock.address().tcp().expect("TCP")).expect("the test waits");
        mock.serve(std::future::pending()).await.expect("it serves");
    })
}

/// Far more than a busy machine needs.
const PATIENT: CheckLimits = CheckLimits { deadline: Duration::from_secs(20), timeout: Duration::from_mins(1) };
/// For services that never answer.
const IMPATIENT: CheckLimits =
    CheckLimits { deadline: Duration::from_millis(400), timeout: Duration::from_millis(400) };

fn run(address: SocketAddr, limits: CheckLimits, cases: &[&'static Case], table: &str) -> CheckReport {
    let url = format!("http://{address}");
    let settings =
        UpstreamSettings { addresses: vec![url.parse().expect("an address")], ..UpstreamSettings::default() };
    let table = (!table.is_empty()).then(|| Expectations::parse("table.yaml", table).expect("a table"));
    let plan = CheckPlan { cases, expectations: table.as_ref().map_or(&[], Expectations::rows) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let direct = Direct::new(settings.clone()).expect("no TLS");
        check::run(direct, &settings, limits, plan, |_| {}).await
    })
}

/// All cases.
fn checked(service: &Serving) -> CheckReport {
    run(service.address, PATIENT, &CASES.iter().collect::<Vec<_>>(), "")
}

fn cases(names: &[&str]) -> Vec<&'static Case> {
    names.iter().map(|name| CASES.iter().find(|case| case.name == *name).expect("a case")).collect()
}

/// The one case that failed, and what was seen.
fn the_failure(report: &CheckReport) -> String {
    let failed = report.cases.iter().filter(|case| matches!(case.verdict, CaseVerdict::Failed(_)));
    let failed: Vec<String> = failed.map(|case| format!("{}: {}", case.name, case.verdict.seen())).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(!report.ok());
    failed.into_iter().next().expect("one")
}

fn verdict(report: &CheckReport, name: &str) -> CaseVerdict {
    report.cases.iter().find(|case| case.name == name).expect("a case").verdict.clone()
}

#[test]
fn the_bundled_mock_passes_every_case() {
    let report = checked(&mock("rules: []"));
    let passed = report.cases.iter().all(|case| matches!(case.verdict, CaseVerdict::Passed(_)));
    assert!(passed && report.ok(), "{:#?}", report.cases);
    assert_eq!(report.cases.len(), CASES.len());
}

#[test]
fn a_service_without_the_rpc_fails_that_case_and_the_others_are_left_out() {
    let service = Serving::listening(|listener| async {
        let server = Server::builder().add_service(HealthServer::new(Says(Some(ServingStatus::Serving))));
        server.serve_with_incoming(incoming(listener)).await.expect("it serves");
    });
    let report = checked(&service);
    assert_eq!(the_failure(&report), "serves-rpc: the status UNIMPLEMENTED instead of a decision");
    assert_eq!(report.count("skipped"), CASES.len() - 1);
}

#[test]
fn a_service_without_health_gets_advice_alone() {
    let service = Serving::listening(|listener| async {
        let app = FriendCallbackServiceServer::new(App(Arc::new(|_| std::future::ready(allow()).boxed())));
        Server::builder().add_service(app).serve_with_incoming(incoming(listener)).await.expect("it serves");
    });
    let report = run(service.address, PATIENT, &cases(&["serves-rpc", "health"]), "");
    assert_eq!(verdict(&report, "health"), CaseVerdict::Advice("it is not served".to_owned()));
    assert!(report.ok());
}

#[test]
fn a_service_that_says_not_serving_or_hangs_when_asked_for_its_health_fails() {
    for (says, expected) in [
        (Some(ServingStatus::NotServing), "health: NOT_SERVING: the bridge sends it no calls"),
        (None, "health: no reply within 1s: the bridge takes it out"),
    ] {
        let service = app_that_says(says, |_| std::future::ready(allow()).boxed());
        let report = run(service.address, PATIENT, &cases(&["serves-rpc", "health"]), "");
        assert_eq!(the_failure(&report), expected);
    }
}

#[test]
fn a_slow_service_fails_the_deadline() {
    let service = app(|_| sleep(Duration::from_millis(150)).map(|()| allow()).boxed());
    let limits = CheckLimits { deadline: Duration::from_millis(100), ..PATIENT };
    let report = run(service.address, limits, &cases(&["serves-rpc", "answers-in-time", "valid-decisions"]), "");
    let failure = the_failure(&report);
    assert!(failure.starts_with("answers-in-time: call 1 was answered after 1"), "{failure}");
    assert!(failure.ends_with("ms, and not within 100ms"), "{failure}");
}

/// What was seen of a service that fails on remarks with such characters.
fn fails_on(wrong: impl Fn(&str) -> bool + Send + Sync + 'static) -> String {
    the_failure(&checked(&decides(
        move |remark| if wrong(remark) { Err(Status::internal("bad text")) } else { allow() },
    )))
}

#[test]
fn a_service_that_fails_on_a_kind_of_text_fails_the_case_of_that_kind() {
    // An empty one comes up elsewhere as well, by its nature.
    let empty = decides(|remark| if remark.is_empty() { Err(Status::invalid_argument("")) } else { allow() });
    let report = run(empty.address, PATIENT, &cases(&["serves-rpc", "empty-texts", "white-space"]), "");
    assert_eq!(
        the_failure(&report),
        "empty-texts: an empty remark: the status INVALID_ARGUMENT instead of a decision; and 1 more of 4"
    );
    assert_eq!(
        fails_on(|remark| remark.len() > 4096),
        "long-remark: a remark of 10 kB, one word: the status INTERNAL instead of a decision (\"bad text\"); and 2 more of 3"
    );
    assert_eq!(
        fails_on(|remark| remark.contains('👩')),
        "emoji: the remark \"👩\\u{200d}👩\\u{200d}👧\\u{200d}👦 family\": the status INTERNAL instead of a decision (\"bad text\")"
    );
    assert_eq!(
        fails_on(|remark| remark.contains('\u{202e}')),
        "right-to-left: the remark \"\\u{202e}txt.exe\": the status INTERNAL instead of a decision (\"bad text\")"
    );
    assert_eq!(
        fails_on(|remark| remark == "before\0after"),
        "control-characters: the remark \"before\\0after\": the status INTERNAL instead of a decision (\"bad text\")"
    );
    assert_eq!(
        fails_on(|remark| remark.starts_with('\u{2028}')),
        "white-space: the remark \"\\u{2028}\": the status INTERNAL instead of a decision (\"bad text\"); and 1 more of 63"
    );
}

/// Turns requests away that hold a field which this version does not know.
async fn strict<S>(request: http::Request<Body>, mut next: S) -> Result<http::Response<Body>, S::Error>
where
    S: tower_service::Service<http::Request<Body>, Response = http::Response<Body>>,
{
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let is_rpc = head.uri.path().ends_with("BeforeSetFriendRemark");
    // A gRPC frame has five bytes before its message.
    if is_rpc && BeforeSetFriendRemarkRequest::decode(&bytes[5..]).expect("a message").encoded_len() != bytes.len() - 5
    {
        return Ok(Status::invalid_argument("unknown field").into_http());
    }
    std::future::poll_fn(|context| next.poll_ready(context)).await?;
    next.call(http::Request::from_parts(head, Body::new(Full::new(bytes)))).await
}

#[test]
fn a_service_that_takes_no_unknown_fields_fails_that_case() {
    let service = Serving::listening(|listener| async {
        let app = FriendCallbackServiceServer::new(App(Arc::new(|_| std::future::ready(allow()).boxed())));
        let layer = ServiceBuilder::new().layer(tower::layer::layer_fn(|next| {
            tower::service_fn(move |request| strict(request, Clone::clone(&next)))
        }));
        let server = Server::builder().layer(layer).add_service(app);
        server.serve_with_incoming(incoming(listener)).await.expect("it serves");
    });
    assert_eq!(
        the_failure(&checked(&service)),
        "unknown-fields: a new field, a number: the status INVALID_ARGUMENT instead of a decision (\"unknown field\"); and 6 more of 7"
    );
}

#[test]
fn a_service_that_decides_by_a_counter_fails_when_calls_are_repeated() {
    let calls = AtomicUsize::new(0);
    let service = decides(move |_| if calls.fetch_add(1, Relaxed).is_multiple_of(2) { allow() } else { refuse(5001) });
    let failure = the_failure(&checked(&service));
    assert!(failure.starts_with("repeated-calls: the remark \"My Best Friend\": first "), "{failure}");
    assert!(failure.contains("refuse with code 5001") && failure.contains("allow"), "{failure}");
}

#[test]
fn a_service_that_takes_a_hundred_calls_at_one_time_fails_a_thousand() {
    let now = Arc::new(AtomicUsize::new(0));
    let service = app(move |_| {
        let now = Arc::clone(&now);
        let before = now.fetch_add(1, Relaxed);
        let ends = scopeguard::guard(now, |now| {
            now.fetch_sub(1, Relaxed);
        });
        async move {
            let _ends = ends;
            // Long enough for the others to come, where there are any.
            sleep(Duration::from_millis(if before == 0 { 2 } else { 20 })).await;
            if before < 100 { allow() } else { Err(Status::resource_exhausted("busy")) }
        }
        .boxed()
    });
    let failure = the_failure(&checked(&service));
    assert!(failure.starts_with("concurrent-calls: "), "{failure}");
    assert!(
        failure.ends_with("had no decision: the status RESOURCE_EXHAUSTED instead of a decision (\"busy\")"),
        "{failure}"
    );
}

#[test]
fn a_service_that_keeps_something_for_each_cancelled_call_fails_after_a_thousand() {
    let leaked = Arc::new(AtomicUsize::new(0));
    let service = app(move |_| {
        let leaked = Arc::clone(&leaked);
        async move {
            if leaked.load(Relaxed) >= 200 {
                std::future::pending::<()>().await;
            }
            let cancelled = scopeguard::guard(leaked, |leaked| {
                leaked.fetch_add(1, Relaxed);
            });
            sleep(Duration::from_millis(5)).await;
            let _kept = scopeguard::ScopeGuard::into_inner(cancelled);
            allow()
        }
        .boxed()
    });
    let limits = CheckLimits { timeout: Duration::from_secs(3), ..PATIENT };
    let report = run(service.address, limits, &CASES.iter().collect::<Vec<_>>(), "");
    let failure = the_failure(&report);
    assert!(failure.starts_with("cancelled-calls: after "), "{failure}");
    assert!(failure.ends_with(" cancelled calls the next had no reply within 3s"), "{failure}");
}

#[test]
fn a_reply_that_is_no_valid_decision_fails_and_says_why() {
    type Wrong = fn() -> Decided;
    let wrong: [(Wrong, &str); 4] = [
        (|| Ok(None), "no decision is set"),
        (|| refuse(42), "it refuses with the code 42, which is not one of 5000 to 9899"),
        (|| refuse(9900), "it refuses with the code 9900, which is not one of 5000 to 9899"),
        (|| Ok(Some(Decision::ReplaceRemark(ReplaceRemark::default()))), "it replaces the remark by an empty one"),
    ];
    for (reply, why) in wrong {
        // Only what trims to nothing.
        let service = decides(move |remark| if remark == "\u{3000}" { reply() } else { allow() });
        let names = ["serves-rpc", "white-space", "valid-decisions"];
        let failure = the_failure(&run(service.address, PATIENT, &cases(&names), ""));
        assert_eq!(
            failure,
            format!("valid-decisions: 1 of 67 replies of this run are not: to the remark \"\\u{{3000}}\": {why}")
        );
    }
}

#[test]
fn refusals_without_a_code_and_at_both_ends_of_the_range_are_valid() {
    for code in [0, 5000, 9899] {
        let service = decides(move |_| refuse(code));
        assert!(run(service.address, PATIENT, &cases(&["valid-decisions"]), "").ok(), "{code}");
    }
}

const TABLE: &str = r#"
cases:
  - remark: "My Best Friend"
    expect: allow
  - name: no spam
    owner: u1
    remark: "buy now"
    expect: { refuse: { code: 5001, message: "Not allowed" } }
  - remark: "  Bob "
    expect: { replace: "Bob" }
  - remark: "worse"
    expect: { refuse: {} }
"#;

#[test]
fn the_apps_own_table_is_held_against_the_service() {
    let right = mock(
        "rules:
  - { when: { owner: u1, remark: buy now }, then: { refuse: { code: 5001, message: Not allowed, detail: list } } }
  - { when: { remark: '  Bob ' }, then: { replace: Bob } }
  - { when: { remark: worse }, then: { refuse: {} } }",
    );
    let report = run(right.address, PATIENT, &[], TABLE);
    assert!(report.ok(), "{:#?}", report.cases);

    let wrong = mock(
        "rules:
  - { when: { remark: My Best Friend }, then: { status: UNAVAILABLE } }
  - { when: { remark: buy now }, then: { refuse: { code: 5002, message: Not allowed } } }
  - { when: { remark: worse }, then: { invalid: unset } }",
    );
    let report = run(wrong.address, PATIENT, &[], TABLE);
    let lines: Vec<String> =
        report.cases.iter().map(|case| format!("{} | {} | {}", case.name, case.shows, case.verdict.seen())).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    expect-1 | table.yaml:3: the remark "My Best Friend" | expected allow, and had the status UNAVAILABLE instead of a decision ("As the mock was told to answer")
    expect-2 | table.yaml:5: no spam | expected refuse with code 5001, message "Not allowed", and got refuse with code 5002, message "Not allowed"
    expect-3 | table.yaml:9: the remark "  Bob " | expected replace by "Bob", and got allow
    expect-4 | table.yaml:11: the remark "worse" | expected refuse, and the reply is invalid: no decision is set
    "#);
}

#[test]
fn a_service_that_never_answers_or_closes_every_connection_ends_the_check_soon() {
    let silent = Serving::listening(|listener| async move {
        let mut open = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            open.push(stream);
        }
    });
    let closing = Serving::listening(|listener| async move { while listener.accept().await.is_ok() {} });
    let hanging = app(|_| std::future::pending().boxed());
    for (service, expected) in [(silent, "no reply within 400ms"), (closing, ""), (hanging, "no reply within 400ms")] {
        let began = Instant::now();
        let report = run(service.address, IMPATIENT, &CASES.iter().collect::<Vec<_>>(), TABLE);
        let failure = the_failure(&report);
        assert!(failure.starts_with("serves-rpc: ") && failure.contains(expected), "{failure}");
        assert_eq!(report.count("skipped"), CASES.len() - 1 + 4);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}

#[test]
fn a_service_that_hangs_from_some_call_on_is_waited_for_once_a_case() {
    let calls = AtomicUsize::new(0);
    let service = app(move |_| {
        let hangs = calls.fetch_add(1, Relaxed) > 20;
        async move { if hangs { std::future::pending().await } else { allow() } }.boxed()
    });
    let began = Instant::now();
    let report = run(service.address, IMPATIENT, &CASES.iter().collect::<Vec<_>>(), "");
    assert!(report.count("failed") > 5, "{:#?}", report.cases);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

// The command line.

fn command(arguments: &[&str]) -> Output {
    let command = Command::new(env!("CARGO_BIN_EXE_openim-bridge")).arg("check").args(arguments).output();
    command.expect("it runs")
}

/// Exit code and standard output, with times and the port taken out.
fn shown(service: &Serving, arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        command(&[&["--upstream", &service.url(), "--deadline", "20s", "--timeout", "60s"], arguments].concat());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let text = String::from_utf8(output.stdout).expect("UTF-8").replace(&service.address.port().to_string(), "PORT");
    let times = regex::Regex::new(r"\d+(\.\d+)?(µs|ms|s)\b").expect("a pattern");
    let numbers = regex::Regex::new(r#""milliseconds": [0-9.]+"#).expect("a pattern");
    let text = numbers.replace_all(&text, r#""milliseconds": 0"#).into_owned();
    (output.status.code(), times.replace_all(&text, "TIME").into_owned())
}

/// Fails on one kind of text.
fn wrong() -> Serving {
    decides(|remark| if remark == "🇨🇳🇺🇦" { Err(Status::unknown("UnicodeEncodeError\x1b[31m")) } else { allow() })
}

const FEW: [&str; 6] = ["--case", "health", "--case", "emoji", "--case", "right-to-left"];

#[test]
fn people_are_told_what_was_seen_why_it_matters_and_what_to_do() {
    let (code, text) = shown(&wrong(), &FEW);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r#"
    http://127.0.0.1:PORT (127.0.0.1:PORT)

    passed    serves-rpc     serves openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark: answered in TIME
    passed    health         serves grpc.health.v1.Health, and says SERVING: SERVING
    FAILED    emoji          decides about emoji, joined and flagged ones included
              seen: the remark "🇨🇳🇺🇦": the status UNKNOWN instead of a decision ("UnicodeEncodeError\u{1b}[31m")
              why:  users write them every day, and they are longer than one UTF-16 unit, which breaks careless
                    cutting
              do:   decide about every text, or refuse it with a code of yours (5000 to 9899): a status other than
                    OK is no decision. Look for validation before your rule, for libraries that cannot take such a
                    text, and for exceptions that become INTERNAL or UNKNOWN
    passed    right-to-left  decides about right-to-left text, and the marks that steer it: all 6 answered

    4 cases: 3 passed, 1 failed
    "#);
}

#[test]
fn programs_are_told_in_json() {
    let (code, text) = shown(&wrong(), &["--case", "emoji", "--output", "json"]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r#"
    {
      "ok": false,
      "upstream": "http://127.0.0.1:PORT",
      "endpoint": "127.0.0.1:PORT",
      "unreachable": null,
      "passed": 1,
      "advice": 0,
      "failed": 1,
      "skipped": 0,
      "cases": [
        {
          "name": "serves-rpc",
          "shows": "serves openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark",
          "result": "passed",
          "seen": "answered in TIME",
          "why": "without it every callback is decided by the bridge's fallback",
          "remedy": "register the generated FriendCallbackService with the gRPC server that listens at this address, over HTTP/2 without TLS for http://, with TLS for https://",
          "milliseconds": 0
        },
        {
          "name": "emoji",
          "shows": "decides about emoji, joined and flagged ones included",
          "result": "failed",
          "seen": "the remark \"🇨🇳🇺🇦\": the status UNKNOWN instead of a decision (\"UnicodeEncodeError\\u{1b}[31m\")",
          "why": "users write them every day, and they are longer than one UTF-16 unit, which breaks careless cutting",
          "remedy": "decide about every text, or refuse it with a code of yours (5000 to 9899): a status other than OK is no decision. Look for validation before your rule, for libraries that cannot take such a text, and for exceptions that become INTERNAL or UNKNOWN",
          "milliseconds": 0
        }
      ]
    }
    "#);
}

#[test]
fn documentation_gets_a_table_without_times() {
    let (code, text) = shown(&wrong(), &[&FEW[..], &["--output", "markdown"]].concat());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r#"
    | case | the service | result |
    | --- | --- | --- |
    | `serves-rpc` | serves openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark | passed |
    | `health` | serves grpc.health.v1.Health, and says SERVING | passed |
    | `emoji` | decides about emoji, joined and flagged ones included | failed: the remark "🇨🇳🇺🇦": the status UNKNOWN instead of a decision ("UnicodeEncodeError\u{1b}[31m") |
    | `right-to-left` | decides about right-to-left text, and the marks that steer it | passed |
    "#);
}

#[test]
fn ci_gets_junit_xml_that_reads_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("check.xml");
    let path = file.to_str().expect("UTF-8");
    let (code, _) = shown(&wrong(), &[&FEW[..], &["--junit", path]].concat());
    assert_eq!(code, Some(1));
    let report = junit(&file);
    let suite = &report.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors), (4, 1, 0));
    let failed = suite.test_cases.iter().find(|case| case.name.as_str() == "emoji").expect("the case");
    let quick_junit::TestCaseStatus::NonSuccess { message, description, .. } = &failed.status else {
        panic!("{:?}", failed.status)
    };
    let (message, description) = (message.as_ref().expect("what was seen"), description.as_ref().expect("more"));
    assert!(message.as_str().contains("UNKNOWN instead of a decision"), "{message:?}");
    assert!(description.as_str().contains("\ndo: decide about every text"), "{description:?}");
}

fn junit(file: &Path) -> quick_junit::Report {
    let xml = std::fs::read_to_string(file).expect("the file");
    quick_junit::Report::deserialize_from_str(&xml).expect("JUnit XML")
}

#[test]
fn a_service_that_is_not_there_has_an_exit_code_of_its_own() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("an address")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("check.xml");
    let path = file.to_str().expect("UTF-8");
    let output = command(&["--upstream", &format!("http://{address}"), "--junit", path]);
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).expect("UTF-8").replace(&address.port().to_string(), "PORT");
    insta::assert_snapshot!(text, @r"
    http://127.0.0.1:PORT

    FAILED    cannot connect to 127.0.0.1:PORT: Connection refused (os error 111)
              No case could be run. Is the service up, and is this its address?

    14 cases: 0 failed, 14 skipped
    ");
    let suite = &junit(&file).test_suites[0];
    assert_eq!((suite.errors, suite.failures), (1, 0));
}

#[test]
fn wrong_usage_is_told_before_anything_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let table = folder.path().join("table.yaml");
    std::fs::write(&table, "cases:\n  - remark: x\n    expct: allow\n").expect("the file");
    let table = table.to_str().expect("UTF-8");
    for (arguments, expected) in [
        (&["--upstream", "http://127.0.0.1:1,http://127.0.0.1:2"][..], "one service is tested at a time"),
        (&["--upstream", "127.0.0.1:1"], "expected a list of URLs of the form http://HOST:PORT"),
        (&["--case", "emojis"], "there is no such case; there is serves-rpc, health,"),
        (&["--timeout", "0s"], "it must be 10ms to 10m"),
        (&["--expect", table], "table.yaml:3:5"),
        (&["--expect", "/nowhere.yaml"], "cannot read the table of expected decisions /nowhere.yaml: No such file"),
    ] {
        let output = command(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(expected), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty());
    }
}

// What the documentation says.

const DOCS: &str = include_str!("../docs/check.md");

/// The part of docs/check.md that the cases give.
fn reference() -> String {
    let one = |case: &&Case| {
        let Case { name, shows, why, remedy, .. } = case;
        format!("### `{name}`\n\nThe service {shows}.\n\nWhy: {why}.\n\nTo do: {remedy}.\n")
    };
    CASES.iter().collect::<Vec<_>>().iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_case_is_documented() {
    let headline = "## The cases\n\n";
    let at = DOCS.find(headline).expect("a part with the cases") + headline.len();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/check.md");
        std::fs::write(path, format!("{}{}", &DOCS[..at], reference())).expect("written");
    } else {
        let renew = "docs/check.md is out of date; renew it: UPDATE_DOCS=1 cargo test --test check documented";
        assert!(DOCS[at..] == reference(), "{renew}");
    }
}

#[test]
fn the_documented_table_is_right() {
    let table = DOCS.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a table");
    assert_eq!(Expectations::parse("docs/check.md", table).expect("right").rows().len(), 4);
}
