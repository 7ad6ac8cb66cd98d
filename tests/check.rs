//! `check` against real gRPC services that break the contract, one rule at a time.

#![allow(clippy::expect_used, reason = "a test's helpers fail as the test does")]

mod kit;

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Output},
    sync::{
        Arc, Mutex,
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
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use openim_bridge::{
    callback::{CALLBACKS, Callback, ReplyDecision, reply_of},
    check::{self, CASES, Case, CaseOf, CaseVerdict, CheckLimits, CheckPlan, CheckReport, CheckSettings, Expectations},
    mock::{Mock, Rules},
    openim::ServiceCodes,
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

use kit::rpc::{AnyService, Asked, UNIMPLEMENTED, any_service, any_service_at, slow_service_at};

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
    run_with(address, cases, table, |settings| settings.limits = limits)
}

fn run_with(
    address: SocketAddr,
    cases: &[&'static Case],
    table: &str,
    set: impl FnOnce(&mut CheckSettings),
) -> CheckReport {
    let url = format!("http://{address}");
    let upstream =
        UpstreamSettings { addresses: vec![url.parse().expect("an address")], ..UpstreamSettings::default() };
    let codes = ServiceCodes::default();
    let mut settings = CheckSettings { upstream, limits: PATIENT, codes, only: vec![], texts: vec![] };
    set(&mut settings);
    let table =
        (!table.is_empty()).then(|| Expectations::parse("table.yaml", table, &settings.codes).expect("a table"));
    let rows: Vec<_> = table.iter().flat_map(Expectations::rows).collect();
    let plan = CheckPlan { cases, expectations: &rows };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let direct = Direct::new(settings.upstream.clone()).expect("no TLS");
        check::run(direct, &settings, plan, |_, _, _| {}).await
    })
}

/// All cases but the one of texts of one's own.
fn all() -> Vec<&'static Case> {
    CASES.iter().filter(|case| !case.needs_texts()).collect()
}

/// So many there are for what the service implements.
fn expected_cases(report: &CheckReport) -> usize {
    let of_service = all().iter().filter(|case| case.of == CaseOf::Service).count();
    let implemented = CALLBACKS.iter().filter(|callback| report.implemented.contains(&callback.name));
    of_service + implemented.map(count_of).sum::<usize>()
}

/// How many of them there are for a callback.
fn count_of(callback: &Callback) -> usize {
    let is_for = |of| match of {
        CaseOf::Service => false,
        CaseOf::Callback => true,
        CaseOf::Before => !callback.is_after(),
        CaseOf::After => callback.is_after(),
    };
    all().iter().filter(|case| is_for(case.of)).count()
}

fn checked(service: &Serving) -> CheckReport {
    run(service.address, PATIENT, &all(), "")
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
    assert_eq!(report.cases.len(), expected_cases(&report));
}

#[test]
fn a_service_without_any_rpc_fails_that_case_alone() {
    let service = Serving::listening(|listener| async {
        let server = Server::builder().add_service(HealthServer::new(Says(Some(ServingStatus::Serving))));
        server.serve_with_incoming(incoming(listener)).await.expect("it serves");
    });
    let report = checked(&service);
    assert_eq!(the_failure(&report), "serves-rpc: none of the 52 rpcs: the status UNIMPLEMENTED instead of OK");
    assert_eq!((report.cases.len(), report.not_implemented.len()), (2, 52));
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
    let report = run(empty.address, PATIENT, &cases(&["serves-rpc", "decides", "empty-fields", "emoji"]), "");
    assert_eq!(
        the_failure(&report),
        "empty-fields: every text empty: the status INVALID_ARGUMENT instead of OK; and 1 more of 3"
    );
    assert_eq!(
        fails_on(|remark| remark.len() > 4096),
        "long-texts: texts of 10 kB, one word: the status INTERNAL instead of OK (\"bad text\"); and 3 more of 4"
    );
    assert_eq!(
        fails_on(|remark| remark.contains('👩')),
        "emoji: the text \"👩\\u{200d}👩\\u{200d}👧\\u{200d}👦 family\": the status INTERNAL instead of OK (\"bad text\")"
    );
    assert_eq!(
        fails_on(|remark| remark.contains('\u{202e}')),
        "right-to-left: the text \"\\u{202e}txt.exe\": the status INTERNAL instead of OK (\"bad text\")"
    );
    assert_eq!(
        fails_on(|remark| remark == "before\0after"),
        "control-characters: the text \"before\\0after\": the status INTERNAL instead of OK (\"bad text\")"
    );
    assert_eq!(
        fails_on(|remark| remark.starts_with('\u{2028}')),
        "white-space: the text \"\\u{2028}\": the status INTERNAL instead of OK (\"bad text\")"
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
        "unknown-fields: new fields of every type: the status INVALID_ARGUMENT instead of OK (\"unknown field\"); and 1 more of 2"
    );
}

#[test]
fn a_service_that_decides_by_a_counter_fails_when_calls_are_repeated() {
    // One for each remark: other cases ask meanwhile.
    let calls = Mutex::new(BTreeMap::<String, usize>::new());
    let service = decides(move |remark| {
        let mut calls = calls.lock().expect("no panic");
        let count = calls.entry(remark.to_owned()).or_default();
        *count += 1;
        if count.is_multiple_of(2) { allow() } else { refuse(5001) }
    });
    let failure = the_failure(&checked(&service));
    assert!(failure.starts_with("repeated-calls: the "), "{failure}");
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
        failure.ends_with("failed: beforeSetFriendRemark: the status RESOURCE_EXHAUSTED instead of OK (\"busy\")"),
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
    let report = run(service.address, limits, &all(), "");
    let failure = the_failure(&report);
    assert!(failure.starts_with("cancelled-calls: after "), "{failure}");
    assert!(failure.ends_with(" cancelled calls the next had no reply within 3s"), "{failure}");
}

#[test]
fn a_reply_that_is_no_valid_decision_fails_and_says_why() {
    type Wrong = fn() -> Decided;
    let wrong: [(Wrong, &str); 4] = [
        (|| Ok(None), "no decision is set, or one that this bridge does not know"),
        (|| refuse(42), "it refuses with the code 42, which is not one of 5000 to 9899: OpenIM is told 9925"),
        (|| refuse(9900), "it refuses with the code 9900, which is not one of 5000 to 9899: OpenIM is told 9925"),
        (|| Ok(Some(Decision::ReplaceRemark(ReplaceRemark::default()))), "the change is empty: it sets no field"),
    ];
    for (reply, why) in wrong {
        // Only what trims to nothing.
        let service = decides(move |remark| if remark == "\u{3000}" { reply() } else { allow() });
        let names = ["serves-rpc", "white-space", "valid-decisions"];
        let failure = the_failure(&run(service.address, PATIENT, &cases(&names), ""));
        assert_eq!(
            failure,
            format!("valid-decisions: 1 of 16 replies of this run are not: to the text \"\\u{{3000}}\": {why}")
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

// Every rpc.

const ALLOW: fn() -> Vec<u8> = || reply_of(ReplyDecision::Allow, b"");

fn named(path: &str) -> &'static Callback {
    CALLBACKS.iter().find(|callback| callback.rpc.path == path).expect("a callback")
}

/// An allow to what it asks, and nothing to what it only tells.
fn taken(path: &str) -> Vec<u8> {
    if named(path).is_after() { vec![] } else { ALLOW() }
}

/// A service that has this rpc alone.
fn only(name: &'static str, answer: impl Fn(&Asked) -> Result<Vec<u8>, i32> + Send + Sync + 'static) -> AnyService {
    any_service_at(SocketAddr::from(([127, 0, 0, 1], 0)), move |asked| {
        if named(&asked.path).name == name { answer(asked) } else { Err(UNIMPLEMENTED) }
    })
}

#[test]
fn a_slow_service_that_has_every_rpc_is_tested_within_a_minute() {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let service = slow_service_at(address, Duration::from_millis(300), |asked| Ok(taken(&asked.path)));
    let limits = CheckLimits { deadline: Duration::from_secs(4), timeout: Duration::from_secs(4) };
    let began = Instant::now();
    // What 52 MB take is the time of a debug build.
    let cases: Vec<_> = all().into_iter().filter(|case| case.name != "long-texts").collect();
    let report = run(service.address, limits, &cases, "");
    let took = began.elapsed();
    assert_eq!(report.implemented.len(), 52);
    assert_eq!(report.cases.len(), expected_cases(&report) - 52);
    let wrong: Vec<_> = report.cases.iter().filter(|case| !matches!(case.verdict, CaseVerdict::Passed(_))).collect();
    // It has no health service.
    assert_eq!((wrong.len(), &*wrong[0].name), (1, "health"), "{took:?} {wrong:#?}");
    // One question after the other, of some 60 of each, would take 15 minutes.
    assert!(took < Duration::from_secs(62), "{took:?}");
}

#[test]
fn a_change_that_openim_cannot_carry_out_is_named_with_what_openim_would_do() {
    for (name, change, expected) in [
        (
            "beforeUpdateUserInfo",
            r#"{"nickName":""}"#,
            "`nickName` must not be empty. OpenIM takes an empty one for no change, or drops what its user asked for",
        ),
        (
            "beforeCreateGroup",
            r#"{"groupName":" "}"#,
            "`groupName` must not be blank. OpenIM drops the whole update, and reports success",
        ),
        (
            "beforeMsgModify",
            r#"{"content":"[1]"}"#,
            "`content` must be a JSON object. OpenIM fails, and its user's call with it",
        ),
        (
            "beforeMsgModify",
            r#"{"recvID":""}"#,
            "`recvID` must not be empty. OpenIM takes an empty one for no change, or drops what its user asked for",
        ),
        (
            "beforeMsgModify",
            r#"{"groupID":"g1"}"#,
            "`groupID` is only for messages of session type 3. OpenIM would lose the message",
        ),
        (
            "beforeUpdateUserInfoEx",
            r#"{"nickName":"n"}"#,
            "`nickName` is not a field that the user asked to change. OpenIM panics, and stores nothing",
        ),
        (
            "beforeUserRegister",
            r#"{"users":[{"nickname":"n"}]}"#,
            "each of `users` must have a `userID`. OpenIM panics, and stores nothing",
        ),
        ("beforeGroupOnlinePush", r#"{"userIDList":["u1"]}"#, "a notification must stay as it is. Clients rely on it"),
    ] {
        let callback = CALLBACKS.iter().find(|callback| callback.name == name).expect("a callback");
        let message = callback.rpc.change.and_then(|shape| shape.message_of(change)).expect("a change");
        let service = only(name, move |_| Ok(reply_of(ReplyDecision::Change, &message)));
        let report =
            run(service.address, PATIENT, &cases(&["serves-rpc", "decides", "empty-fields", "valid-decisions"]), "");
        let failure = the_failure(&report);
        assert!(failure.starts_with("valid-decisions: ") && failure.contains(expected), "{name}: {failure}");
        assert_eq!(report.implemented, [name]);
    }
}

#[test]
fn an_event_that_is_refused_the_second_time_is_found() {
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    let service = only("afterSendSingleMsg", move |asked| {
        let is_new = seen.lock().expect("a lock").insert(asked.metadata("callback-id").to_owned());
        if is_new { Ok(vec![]) } else { Err(6) }
    });
    assert_eq!(
        the_failure(&run(service.address, PATIENT, &all(), "")),
        "repeated-events: attempt 2 with the same callback-id: the status ALREADY_EXISTS instead of OK"
    );
    let asked = service.all();
    let of_it = asked.iter().filter(|asked| named(&asked.path).name == "afterSendSingleMsg");
    let attempts: Vec<&str> = of_it.map(|asked| asked.metadata("attempt")).collect();
    assert!(attempts.contains(&"2") && attempts.iter().all(|attempt| !attempt.is_empty()));
}

#[test]
fn a_word_of_ones_own_is_tried_in_every_field_and_within_a_content() {
    let service = any_service_at(SocketAddr::from(([127, 0, 0, 1], 0)), |asked| {
        let holds = |word: &[u8]| asked.message.windows(word.len()).any(|part| part == word);
        match named(&asked.path).name {
            "beforeSendSingleMsg" if holds(br#"{"content":"casino"}"#) => Err(13),
            "afterUserOnline" if holds(b"casino") => Err(13),
            "beforeSendSingleMsg" | "afterUserOnline" => Ok(taken(&asked.path)),
            _ => Err(UNIMPLEMENTED),
        }
    });
    let own = &CASES.iter().filter(|case| !matches!(case.name, "health")).collect::<Vec<_>>();
    let report = run_with(service.address, own, "", |settings| settings.texts = vec!["fine".into(), "casino".into()]);
    let failed = report.cases.iter().filter(|case| matches!(case.verdict, CaseVerdict::Failed(_)));
    let failed: Vec<_> = failed.map(|case| (&*case.name, case.callback, case.verdict.seen())).collect();
    let seen = "the text \"casino\": the status INTERNAL instead of OK";
    let expected = ["afterUserOnline", "beforeSendSingleMsg"].map(|name| ("own-texts", Some(name), seen));
    assert_eq!(failed, expected);
}

#[test]
fn what_is_asked_for_must_be_implemented() {
    let service = only("beforeAddFriend", |_| Ok(ALLOW()));
    let named = |name: &str| CALLBACKS.iter().find(|callback| callback.name == name).expect("a callback");
    let of = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| named(name)).collect();
        run_with(service.address, &cases(&["serves-rpc", "decides"]), "", |settings| settings.only = names)
    };
    assert!(of(&["beforeAddFriend"]).ok());
    assert_eq!(
        the_failure(&of(&["beforeAddFriend", "afterAddFriend"])),
        "serves-rpc: not afterAddFriend: the status UNIMPLEMENTED instead of OK"
    );
}

#[test]
fn a_service_that_refuses_what_no_user_learns_of_gets_advice() {
    let service = only("beforeOnlinePush", |_| Ok(reply_of(ReplyDecision::Refuse, b"")));
    let report = run(service.address, PATIENT, &cases(&["serves-rpc", "decides", "valid-decisions"]), "");
    let advice = "it refuses: OpenIM tells its user of success, and the message is lost".to_owned();
    assert_eq!(verdict(&report, "decides"), CaseVerdict::Advice(advice));
    assert!(report.ok());
}

/// Sends each message of a reply twice.
async fn twice<S>(request: http::Request<Body>, mut next: S) -> Result<http::Response<Body>, S::Error>
where
    S: tower_service::Service<http::Request<Body>, Response = http::Response<Body>>,
{
    std::future::poll_fn(|context| next.poll_ready(context)).await?;
    let (head, body) = next.call(request).await?.into_parts();
    let body = body.collect().await.expect("a body");
    let trailers = body.trailers().cloned().unwrap_or_default();
    let bytes = body.to_bytes();
    let frames = [Frame::data(bytes.clone()), Frame::data(bytes), Frame::trailers(trailers)];
    let frames = futures_util::stream::iter(frames.map(Ok::<_, std::convert::Infallible>));
    Ok(http::Response::from_parts(head, Body::new(StreamBody::new(frames))))
}

#[test]
fn two_messages_in_a_reply_are_an_error() {
    let service = Serving::listening(|listener| async {
        let app = FriendCallbackServiceServer::new(App(Arc::new(|_| std::future::ready(allow()).boxed())));
        let layer = ServiceBuilder::new().layer(tower::layer::layer_fn(|next| {
            tower::service_fn(move |request| twice(request, Clone::clone(&next)))
        }));
        let server = Server::builder().layer(layer).add_service(app);
        server.serve_with_incoming(incoming(listener)).await.expect("it serves");
    });
    assert_eq!(
        the_failure(&checked(&service)),
        "decides: a reply with more than one message, where the rpc has one. Its other cases were not run"
    );
}

#[test]
fn every_callback_can_have_expectations() {
    let table = r#"
cases:
  - callback: beforeSendSingleMsg
    name: no spam
    set: { sendID: u9, content: '{"content":"spam"}' }
    expect: { refuse: { code: 5001 } }
  - callback: beforeMsgModify
    expect: { change: { senderNickname: "N" } }
  - callback: beforeMsgModify
    set: { sessionType: 3 }
    expect: { change: { senderNickname: "M" } }
  - callback: afterSendSingleMsg
    expect: allow
"#;
    let service = any_service(|path| match named(path).name {
        "beforeSendSingleMsg" => Ok(ALLOW()),
        "beforeMsgModify" => {
            let shape = named(path).rpc.change.expect("it may be changed");
            let change = shape.message_of(r#"{"senderNickname":"N","ex":"e"}"#).expect("a change");
            Ok(reply_of(ReplyDecision::Change, &change))
        }
        _ => Err(UNIMPLEMENTED),
    });
    let report = run(service.address, PATIENT, &[], table);
    let shown = |case: &check::CaseReport| {
        format!("{} {}: {}: {}", case.verdict.into_str(), case.name, case.shows, case.verdict.seen())
    };
    insta::assert_snapshot!(report.cases.iter().map(shown).collect::<Vec<_>>().join("\n"), @r#"
    failed expect-1: table.yaml:3: no spam: expected refuse with code 5001, and got allow
    passed expect-2: table.yaml:7: beforeMsgModify: the callback as OpenIM sends it: change {"senderNickname":"N","ex":"e"}
    failed expect-3: table.yaml:9: beforeMsgModify: {"sessionType":3}: expected change {"senderNickname":"M"}, and got change {"senderNickname":"N","ex":"e"}
    failed expect-4: table.yaml:12: afterSendSingleMsg: the callback as OpenIM sends it: expected allow, and had the status UNIMPLEMENTED instead of OK
    "#);
    for (row, expected) in [
        ("callback: beforeSendMsg\n    expect: allow", "line 2: there is no callback \"beforeSendMsg\""),
        (
            "callback: beforeAddFriend\n    set: { userID: u }\n    expect: allow",
            "line 2: `set` of beforeAddFriend has no userID; it has ",
        ),
        (
            "callback: beforeAddFriend\n    set: { toUserID: 5 }\n    expect: allow",
            "toUserID is of another type: a text is written in quotes",
        ),
        ("callback: beforeAddFriend\n    expect: { change: { ex: x } }", "OpenIM takes no change of beforeAddFriend"),
        (
            "callback: beforeMsgModify\n    expect: { change: { sendID: x } }",
            "a change of beforeMsgModify has no sendID; it has ",
        ),
        (
            "callback: afterAddFriend\n    expect: { refuse: {} }",
            "afterAddFriend is an after callback: it can only be allowed",
        ),
        ("name: nothing\n    expect: allow", "it needs `remark`, or `callback`"),
    ] {
        let table = format!("cases:\n  - {row}\n");
        let error = Expectations::parse("table.yaml", &table, &ServiceCodes::default()).expect_err("wrong").to_string();
        assert!(error.contains(expected), "{error}");
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
    expect-1 | table.yaml:3: the remark "My Best Friend" | expected allow, and had the status UNAVAILABLE instead of OK ("As the mock was told to answer")
    expect-2 | table.yaml:5: no spam | expected refuse with code 5001, message "Not allowed", and got refuse with code 5002, message "Not allowed"
    expect-3 | table.yaml:9: the remark "  Bob " | expected change {"remark":"Bob"}, and got allow
    expect-4 | table.yaml:11: the remark "worse" | expected refuse, and the reply is invalid: no decision is set, or one that this bridge does not know
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
        let report = run(service.address, IMPATIENT, &all(), TABLE);
        let failure = the_failure(&report);
        assert!(failure.contains(expected), "{failure}");
        assert_eq!(report.count("passed"), report.implemented.len() * 2, "{:#?}", report.cases);
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
    let report = run(service.address, IMPATIENT, &all(), "");
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
    let times = regex_lite::Regex::new(r"\d+(\.\d+)?(µs|ms|s)\b").expect("a pattern");
    let numbers = regex_lite::Regex::new(r#""milliseconds": [0-9.]+"#).expect("a pattern");
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
              implemented: beforeSetFriendRemark
              not implemented: afterSetFriendRemark, beforeAddFriend, afterAddFriend, beforeAddFriendAgree,
                               afterAddFriendAgree, afterDeleteFriend, beforeImportFriends, afterImportFriends,
                               beforeAddBlack, afterRemoveBlack, UserCallbackService, GroupCallbackService,
                               MessageCallbackService, PushCallbackService, ConversationCallbackService

    passed    serves-rpc     implements rpcs of openim.bridge.v1: those of --only, or at least one: 1 of 52 rpcs
    passed    health         serves grpc.health.v1.Health, and reports SERVING: SERVING
    passed    decides        answers the callback as a real OpenIM Server sent it: answered in TIME
    FAILED    emoji          answers emoji, including joined emoji and flags
              seen: beforeSetFriendRemark: the text "🇨🇳🇺🇦": the status UNKNOWN instead of OK
                    ("UnicodeEncodeError\u{1b}[31m")
              why:  users write them every day. They are longer than one UTF-16 unit, and code that cuts texts
                    carelessly breaks them
              do:   decide about every text, or refuse it with a code of your own (5000 to 9899): a status other
                    than OK is no decision, and it loses an event. Look for validation that runs before your rule,
                    for libraries that cannot handle such a text, and for exceptions that become INTERNAL or
                    UNKNOWN
    passed    right-to-left  answers right-to-left text, and its control characters: all 6 answered

    5 cases: 4 passed, 1 failed
    "#);
}

#[test]
fn further_codes_and_texts_and_callbacks_are_given_by_flags() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts = folder.path().join("texts");
    std::fs::write(&texts, "fine\n\ncasino\n").expect("the file");
    let texts = texts.to_str().expect("UTF-8");
    let service = decides(|remark| if remark == "casino" { Err(Status::internal("")) } else { refuse(403) });
    let only = ["--output", "json", "--only", "beforeSetFriendRemark", "--case", "valid-decisions"];
    let (code, text) = shown(&service, &only);
    assert_eq!(code, Some(1));
    assert!(text.contains("the code 403, which is not one of 5000 to 9899: OpenIM is told 9925"), "{text}");
    let (code, text) = shown(&service, &[&only[..], &["--refusal-codes", "400-499"]].concat());
    assert_eq!(code, Some(0), "{text}");
    let codes = ["--refusal-codes", "400-499", "--case", "own-texts", "--texts", texts];
    let (code, text) = shown(&service, &codes);
    assert_eq!(code, Some(1));
    assert!(text.contains("the text \"casino\": the status INTERNAL"), "{text}");
    let (code, text) = shown(&service, &["--only", "beforeAddFriend"]);
    assert_eq!(code, Some(1));
    assert!(text.contains("seen: not beforeAddFriend: the status UNIMPLEMENTED"), "{text}");
}

#[test]
fn programs_are_told_in_json() {
    let only = ["--only", "beforeSetFriendRemark"];
    let (code, text) = shown(&wrong(), &[&only[..], &["--case", "emoji", "--output", "json"]].concat());
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r#"
    {
      "ok": false,
      "upstream": "http://127.0.0.1:PORT",
      "endpoint": "127.0.0.1:PORT",
      "unreachable": null,
      "services": [],
      "implemented": [
        "beforeSetFriendRemark"
      ],
      "not_implemented": [],
      "passed": 2,
      "advice": 0,
      "failed": 1,
      "skipped": 0,
      "cases": [
        {
          "name": "serves-rpc",
          "callback": null,
          "shows": "implements rpcs of openim.bridge.v1: those of --only, or at least one",
          "result": "passed",
          "seen": "1 of 1 rpcs",
          "why": "if an rpc is missing, the fallback decides its callback, or its event is dropped",
          "remedy": "register the generated services with the gRPC server that listens at this address, over HTTP/2 without TLS for http://, with TLS for https://",
          "milliseconds": 0
        },
        {
          "name": "decides",
          "callback": "beforeSetFriendRemark",
          "shows": "answers the callback as a real OpenIM Server sent it",
          "result": "passed",
          "seen": "answered in TIME",
          "why": "a status other than OK is no decision: the fallback decides. An event that gets one is retried, or dropped",
          "remedy": "look in your service's log for what failed. An ID that you do not know is not an error: decide about it",
          "milliseconds": 0
        },
        {
          "name": "emoji",
          "callback": "beforeSetFriendRemark",
          "shows": "answers emoji, including joined emoji and flags",
          "result": "failed",
          "seen": "the text \"🇨🇳🇺🇦\": the status UNKNOWN instead of OK (\"UnicodeEncodeError\\u{1b}[31m\")",
          "why": "users write them every day. They are longer than one UTF-16 unit, and code that cuts texts carelessly breaks them",
          "remedy": "decide about every text, or refuse it with a code of your own (5000 to 9899): a status other than OK is no decision, and it loses an event. Look for validation that runs before your rule, for libraries that cannot handle such a text, and for exceptions that become INTERNAL or UNKNOWN",
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
    | callback | case | the service | result |
    | --- | --- | --- | --- |
    |  | `serves-rpc` | implements rpcs of openim.bridge.v1: those of --only, or at least one | passed |
    |  | `health` | serves grpc.health.v1.Health, and reports SERVING | passed |
    | `beforeSetFriendRemark` | `decides` | answers the callback as a real OpenIM Server sent it | passed |
    | `beforeSetFriendRemark` | `emoji` | answers emoji, including joined emoji and flags | failed: the text "🇨🇳🇺🇦": the status UNKNOWN instead of OK ("UnicodeEncodeError\u{1b}[31m") |
    | `beforeSetFriendRemark` | `right-to-left` | answers right-to-left text, and its control characters | passed |
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
    assert_eq!((suite.tests, suite.failures, suite.errors), (5, 1, 0));
    let failed = suite.test_cases.iter().find(|case| case.name.as_str() == "emoji").expect("the case");
    let quick_junit::TestCaseStatus::NonSuccess { message, description, .. } = &failed.status else {
        panic!("{:?}", failed.status)
    };
    let (message, description) = (message.as_ref().expect("what was seen"), description.as_ref().expect("more"));
    assert!(message.as_str().contains("UNKNOWN instead of OK"), "{message:?}");
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
    insta::assert_snapshot!(text, @"
    http://127.0.0.1:PORT

    FAILED    cannot connect to 127.0.0.1:PORT: Connection refused (os error 111)
              No case could be run. Is the service up, and is this its address?
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
        (&["--only", "beforeSendMsg"], "there is no such callback; `config show` lists all"),
        (&["--texts", "/nowhere"], "cannot read --texts /nowhere: No such file"),
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
    assert_eq!(Expectations::parse("docs/check.md", table, &ServiceCodes::default()).expect("right").rows().len(), 4);
}
