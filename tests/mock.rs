//! The bundled decision service, over real sockets.

#![allow(clippy::expect_used)]

mod kit;

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, future::BoxFuture, future::join_all, stream};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::contract::{change_of, changes, expected, response_of, value_of};
use openim_bridge::{
    callback::{CALLBACKS, Callback},
    mock::{CallStage, ControlPort, Mock, MockAddress, MockCall, MockControl, MockEvent, MockTls, Rules},
    proto::{
        Allow, BeforeSetFriendRemarkRequest, Refuse, ReplaceRemark, before_set_friend_remark_response::Decision,
        friend_callback_service_client::FriendCallbackServiceClient,
    },
};
use prost::Message as _;
use prost_reflect::{DynamicMessage, Kind, ReflectMessage as _, SerializeOptions, Value as Field};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpStream, UnixStream},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tonic::{Code, Status, body::Body, client::GrpcService};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// The services of the contract.
const SERVICES: [&str; 6] = [
    "openim.bridge.v1.ConversationCallbackService",
    "openim.bridge.v1.FriendCallbackService",
    "openim.bridge.v1.GroupCallbackService",
    "openim.bridge.v1.MessageCallbackService",
    "openim.bridge.v1.PushCallbackService",
    "openim.bridge.v1.UserCallbackService",
];

/// A mock that is serving, and what it sees.
struct Running {
    address: MockAddress,
    events: mpsc::UnboundedReceiver<MockEvent>,
    control: MockControl,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    async fn with(rules: &str) -> Self {
        Self::with_rules(Rules::parse("rules", rules).expect("valid rules")).await
    }

    async fn with_rules(rules: Rules) -> Self {
        Self::of(bound(rules).await)
    }

    fn of(mut mock: Mock) -> Self {
        let (address, events, control) = (mock.address().clone(), mock.events(), mock.control());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            mock.serve(shutdown).await.expect("serves");
        });
        Self { address, events, control, stop, served }
    }

    async fn start() -> Self {
        Self::with("rules: []").await
    }

    fn tcp(&self) -> SocketAddr {
        self.address.tcp().expect("TCP")
    }

    async fn client(&self) -> FriendCallbackServiceClient<Connection> {
        FriendCallbackServiceClient::with_origin(Connection::to(self.tcp()).await, origin())
    }

    async fn decides(&self, remark: &str) -> Result<Option<Decision>, Status> {
        ask(self.client().await, "u1", remark).await
    }

    async fn next_event(&mut self) -> MockEvent {
        self.events.recv().await.expect("the mock is running")
    }
}

async fn bound(rules: Rules) -> Mock {
    Mock::bind(free(), rules).await.expect("a free port")
}

fn free() -> MockAddress {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()
}

/// One HTTP/2 connection, as what tonic's generated clients call.
#[derive(Clone)]
struct Connection(http2::SendRequest<Body>);

impl Connection {
    async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the mock listens");
        stream.set_nodelay(true).expect("is open");
        Self::over(stream).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("speaks HTTP/2");
        tokio::spawn(connection);
        Self(sender)
    }
}

impl GrpcService<Body> for Connection {
    type ResponseBody = Incoming;
    type Error = hyper::Error;
    type Future = BoxFuture<'static, Result<Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

fn origin() -> Uri {
    Uri::from_static("http://mock")
}

fn request(owner: &str, remark: &str) -> BeforeSetFriendRemarkRequest {
    BeforeSetFriendRemarkRequest {
        operation_id: "op-1".to_owned(),
        owner_user_id: owner.to_owned(),
        friend_user_id: "u2".to_owned(),
        remark: remark.to_owned(),
    }
}

async fn ask(
    mut client: FriendCallbackServiceClient<Connection>,
    owner: &str,
    remark: &str,
) -> Result<Option<Decision>, Status> {
    client.before_set_friend_remark(request(owner, remark)).await.map(|reply| reply.into_inner().decision)
}

fn refusal(code: i32, message: &str) -> Decision {
    Decision::Refuse(Refuse { code, message: message.to_owned(), detail: String::new() })
}

fn replacement(remark: &str) -> Decision {
    Decision::ReplaceRemark(ReplaceRemark { remark: remark.to_owned() })
}

/// Both versions of the protocol have the same messages in different packages.
macro_rules! reflected_services {
    ($mock:expr, $version:ident) => {{
        use tonic_reflection::pb::$version::{
            ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
            server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
        };
        let mut client = ServerReflectionClient::with_origin(Connection::to($mock.tcp()).await, origin());
        let message_request = Some(MessageRequest::ListServices(String::new()));
        let request = ServerReflectionRequest { host: String::new(), message_request };
        let replies = client.server_reflection_info(stream::iter([request])).await.expect("reflection");
        let reply = replies.into_inner().next().await.expect("a reply").expect("a good reply");
        let Some(MessageResponse::ListServicesResponse(list)) = reply.message_response else { panic!("{reply:?}") };
        let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        names.sort();
        names
    }};
}

#[tokio::test]
async fn remark_commands_are_answered() {
    let mock = Running::start().await;
    let decision = async |remark| mock.decides(remark).await.expect("a decision");
    assert_eq!(decision("My best friend").await, Some(Decision::Allow(Allow {})));
    assert_eq!(decision("mock:allow").await, Some(Decision::Allow(Allow {})));
    assert_eq!(decision("mock:refuse=5001,No, thanks").await, Some(refusal(5001, "No, thanks")));
    assert!(matches!(decision("mock:refuse").await, Some(Decision::Refuse(Refuse { code: 5000, .. }))));
    assert!(matches!(decision("mock:dance").await, Some(Decision::Refuse(Refuse { code: 5000, .. }))));
    assert_eq!(decision("mock:replace=New name").await, Some(replacement("New name")));
    assert_eq!(decision("mock:invalid=unset").await, None);
    assert!(matches!(decision("mock:invalid=code").await, Some(Decision::Refuse(Refuse { code: 42, .. }))));
    assert_eq!(decision("mock:invalid=empty").await, Some(replacement("")));
}

/// Calls any rpc with a message, and returns the reply's, or the code of the status.
async fn call(connection: &Connection, path: &str, message: &DynamicMessage) -> Result<Bytes, Code> {
    call_with(connection, path, &message.encode_to_vec()).await
}

async fn call_with(connection: &Connection, path: &str, message: &[u8]) -> Result<Bytes, Code> {
    let mut frame = BytesMut::zeroed(5);
    frame.extend_from_slice(message);
    let length = u32::try_from(frame.len() - 5).expect("short");
    frame[1..5].copy_from_slice(&length.to_be_bytes());
    let request = Request::post(format!("http://mock{path}")).header("content-type", "application/grpc");
    let request = request.body(Body::new(Full::new(frame.freeze()))).expect("a request");
    let (head, body) = connection.clone().0.send_request(request).await.expect("an answer").into_parts();
    let body = body.collect().await.expect("a whole answer");
    let status = body.trailers().unwrap_or(&head.headers)["grpc-status"].clone();
    match Code::from_bytes(status.as_bytes()) {
        Code::Ok => Ok(body.to_bytes().slice(5..)),
        code => Err(code),
    }
}

/// A message of a real server.
fn sample(callback: &Callback) -> DynamicMessage {
    expected(callback, callback.rpc.sample, "op-1").expect("a message")
}

/// A message as another implementation writes it, without the operation ID.
fn json_of(message: &DynamicMessage) -> Value {
    let options =
        SerializeOptions::new().skip_default_fields(false).use_enum_numbers(true).stringify_64_bit_integers(false);
    let json = message.serialize_with_options(serde_json::value::Serializer, &options);
    let mut json = json.expect("JSON");
    json.as_object_mut().expect("an object").remove("operationID");
    json
}

fn reply(callback: &Callback, message: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(response_of(callback), message).expect("a response")
}

/// The rules for this callback alone.
fn rules_for(callback: &Callback, mut when: Map<String, Value>, then: &Value) -> Rules {
    when.insert("callback".to_owned(), callback.name.into());
    Rules::parse("rules", &json!({ "rules": [{ "when": when, "then": then }] }).to_string()).expect(callback.name)
}

#[tokio::test]
async fn every_callback_is_allowed_and_seen_as_it_is_in_json() {
    let mut mock = Running::start().await;
    mock.control.keep_calls();
    let connection = Connection::to(mock.tcp()).await;
    for callback in CALLBACKS {
        let (name, asked) = (callback.name, sample(callback));
        let replied = call(&connection, callback.rpc.path, &asked).await.expect(name);
        let allowed = if callback.is_after() { json!({}) } else { json!({ "allow": {} }) };
        assert_eq!(serde_json::to_value(reply(callback, &replied)).expect("JSON"), allowed, "{name}");

        let seen = mock.next_event().await.call;
        assert_eq!((seen.callback, &*seen.operation_id, seen.decision), (name, "op-1", "allow"));
        assert_eq!(seen.request, json_of(&asked), "{name}");
        let recorded = mock.control.calls().calls.pop().expect("a record");
        assert_eq!((&recorded["callback"], &recorded["request"]), (&name.into(), &seen.request));
        assert_eq!(mock.next_event().await.stage, CallStage::Answered);
    }
}

#[tokio::test]
async fn every_before_callback_is_refused_by_a_rule() {
    let mock = Running::start().await;
    let connection = Connection::to(mock.tcp()).await;
    let refuse = json!({ "refuse": { "code": 5001, "message": "No", "detail": "why" } });
    for callback in CALLBACKS.iter().filter(|callback| !callback.is_after()) {
        mock.control.set_rules(rules_for(callback, Map::new(), &refuse));
        let replied = call(&connection, callback.rpc.path, &sample(callback)).await.expect(callback.name);
        assert_eq!(serde_json::to_value(reply(callback, &replied)).expect("JSON"), refuse, "{}", callback.name);
    }
    // Where all are refused, after callbacks are acknowledged.
    let all = json!({ "rules": [{ "then": refuse }] }).to_string();
    mock.control.set_rules(Rules::parse("rules", &all).expect("rules"));
    for callback in CALLBACKS {
        let replied = call(&connection, callback.rpc.path, &sample(callback)).await.expect(callback.name);
        assert_eq!(replied.is_empty(), callback.is_after(), "{}", callback.name);
    }
}

#[tokio::test]
async fn every_key_of_every_change_is_changed_by_a_rule() {
    let mock = Running::start().await;
    let connection = Connection::to(mock.tcp()).await;
    let mut changed = 0;
    for callback in CALLBACKS {
        let Some(shape) = change_of(callback) else { continue };
        let (mut change, mut told) = (DynamicMessage::new(shape.clone()), Map::new());
        for field in shape.fields() {
            let (value, json) = value_of(&field);
            change.set_field(&field, value);
            told.insert(field.json_name().to_owned(), json);
        }
        mock.control.set_rules(rules_for(callback, Map::new(), &json!({ "change": told })));
        let replied = call(&connection, callback.rpc.path, &sample(callback)).await.expect(callback.name);
        assert_eq!(reply(callback, &replied), reply(callback, &changes(&change)), "{}", callback.name);
        changed += 1;
    }
    assert!(changed >= 10, "{changed} callbacks have a change");
}

/// What a rule can ask of a message: every value that it holds, by its path.
fn conditions(json: &Value, path: &str, found: &mut Map<String, Value>) {
    match json {
        Value::Object(object) => {
            for (key, value) in object {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                conditions(value, &path, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| conditions(item, path, found)),
        value => drop(found.insert(path.to_owned(), value.clone())),
    }
}

#[tokio::test]
async fn a_rule_may_ask_for_every_field_of_every_callback() {
    let mock = Running::start().await;
    let connection = Connection::to(mock.tcp()).await;
    let status = json!({ "status": "ABORTED" });
    for callback in CALLBACKS {
        let (name, asked) = (callback.name, sample(callback));
        let mut all = Map::new();
        conditions(&json_of(&asked), "", &mut all);
        assert!(!all.is_empty(), "{name} has no fields");
        mock.control.set_rules(rules_for(callback, all.clone(), &status));
        assert_eq!(call(&connection, callback.rpc.path, &asked).await, Err(Code::Aborted), "{name}: {all:?}");
        for (key, value) in &all {
            let other = match value {
                Value::Bool(is_so) => (!is_so).into(),
                Value::Number(_) => 987_654.into(),
                _ => json!({ "regex": "no such text" }),
            };
            mock.control.set_rules(rules_for(callback, Map::from_iter([(key.clone(), other)]), &status));
            assert!(call(&connection, callback.rpc.path, &asked).await.is_ok(), "{name}: {key}");
        }
    }
}

/// The message with the text in each of its text fields, one after the other.
fn with_text(message: &DynamicMessage, text: &str) -> Vec<(String, DynamicMessage)> {
    let mut all = Vec::new();
    for field in message.descriptor().fields().filter(|field| field.name() != "operation_id") {
        let mut add = |name: String, value| {
            let mut message = message.clone();
            message.set_field(&field, if field.is_list() { Field::List(vec![value]) } else { value });
            all.push((name, message));
        };
        match field.kind() {
            Kind::String => add(field.name().to_owned(), Field::String(text.to_owned())),
            Kind::Message(inner) => {
                for (name, inner) in with_text(&DynamicMessage::new(inner), text) {
                    add(format!("{}.{name}", field.name()), Field::Message(inner));
                }
            }
            _ => {}
        }
    }
    all
}

#[tokio::test]
async fn a_command_is_followed_in_every_text_field_of_every_callback() {
    let mock = Running::start().await;
    let connection = Connection::to(mock.tcp()).await;
    for callback in CALLBACKS {
        for text in ["mock:status=ABORTED", r#"{"content":"mock:status=ABORTED"}"#] {
            let messages = with_text(&sample(callback), text);
            assert!(!messages.is_empty(), "{} has no texts", callback.name);
            for (field, message) in messages {
                let replied = call(&connection, callback.rpc.path, &message).await;
                assert_eq!(replied, Err(Code::Aborted), "{}: {field}: {text}", callback.name);
            }
        }
    }
}

#[tokio::test]
async fn an_rpc_that_is_left_out_or_unknown_is_unimplemented() {
    let left_out = |callback: &&Callback| !callback.rpc.path.contains("PushCallbackService");
    let (without, others): (Vec<_>, Vec<_>) = CALLBACKS.iter().partition(|callback| !left_out(callback));
    let mock = Running::of(bound(Rules::default()).await.without(without.clone()));
    let connection = Connection::to(mock.tcp()).await;
    let any = sample(others[0]);
    for callback in without {
        assert_eq!(call(&connection, callback.rpc.path, &any).await, Err(Code::Unimplemented), "{}", callback.name);
    }
    for path in ["/openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemarks", "/other.Service/Call"] {
        assert_eq!(call(&connection, path, &any).await, Err(Code::Unimplemented), "{path}");
    }
    for callback in others {
        assert!(call(&connection, callback.rpc.path, &sample(callback)).await.is_ok(), "{}", callback.name);
    }
    let services = reflected_services!(mock, v1);
    assert_eq!(services.len(), 2 + SERVICES.len() - 1, "{services:?}");
}

#[tokio::test]
async fn a_request_that_does_not_decode_is_an_error_and_unknown_fields_are_passed_over() {
    let mock = Running::start().await;
    let connection = Connection::to(mock.tcp()).await;
    for callback in CALLBACKS {
        let path = callback.rpc.path;
        assert!(call_with(&connection, path, b"\x9a\x06\x00").await.is_ok(), "{}", callback.name);
        for wrong in [&b"\x0a\x01\xff"[..], b"\x12\x05a", b"\xff"] {
            assert_eq!(call_with(&connection, path, wrong).await, Err(Code::Internal), "{}: {wrong:?}", callback.name);
        }
    }
}

/// Through a real bridge.
#[test]
fn each_attempt_of_a_delivery_is_seen_with_its_id() {
    let app = kit::app_ruled_by(
        "rules: [{ when: { callback: afterSendSingleMsg }, sequence: [{ status: UNAVAILABLE }, allow] }]",
    );
    let bridge = kit::bridge().asking(&app).start();
    let path = format!("{}/tests/fixtures/callbacks/afterSendSingleMsg.http", env!("CARGO_MANIFEST_DIR"));
    let mut client = bridge.connect();
    client.write(&std::fs::read(path).expect("the fixture"));
    assert_eq!(client.reply().origin(), "queued");
    let (first, second) = (app.next_call(), app.next_call());
    assert_eq!((first.attempt.as_deref(), second.attempt.as_deref()), (Some("1"), Some("2")));
    assert_eq!((first.decision, second.decision), ("status", "allow"));
    assert!(first.callback_id.is_some() && first.callback_id == second.callback_id);
    assert_eq!((first.callback, &first.request), ("afterSendSingleMsg", &second.request));
}

#[tokio::test]
async fn calls_beyond_the_concurrency_wait_for_those_before_them() {
    let mock = Running::of(bound(Rules::default()).await.concurrency(NonZeroUsize::new(2)));
    let since = Instant::now();
    let decided = join_all((0..5).map(|_| mock.decides("mock:delay=40ms"))).await;
    assert!(decided.iter().all(Result::is_ok));
    assert!(since.elapsed() >= Duration::from_millis(120), "three turns took {:?}", since.elapsed());
}

#[tokio::test]
async fn a_connection_ends_at_its_maximum_age_and_its_call_does_not() {
    let mock = Running::of(bound(Rules::default()).await.max_connection_age(Some(Duration::from_millis(50))));
    let connection = Connection::to(mock.tcp()).await;
    let client = FriendCallbackServiceClient::with_origin(connection.clone(), origin());
    assert!(ask(client, "u1", "mock:delay=200ms").await.is_ok());
    let ended = async {
        while !connection.0.is_closed() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it is still open");
}

#[tokio::test]
async fn a_delay_is_waited_before_the_answer() {
    let mock = Running::start().await;
    let since = Instant::now();
    assert_eq!(mock.decides("mock:delay=30ms").await.expect("a decision"), Some(Decision::Allow(Allow {})));
    assert!(since.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn every_status_can_be_asked_for() {
    let mock = Running::start().await;
    for (name, code) in [("unavailable", Code::Unavailable), ("PERMISSION_DENIED", Code::PermissionDenied)] {
        let status = mock.decides(&format!("mock:status={name}")).await.expect_err("a status");
        assert_eq!(status.code(), code);
    }
    // OK without a message: the client has to find out by itself.
    mock.decides("mock:status=OK").await.expect_err("no message");
}

#[tokio::test]
async fn rules_are_followed() {
    let mock = Running::with(
        "
rules:
  - when: { owner: u1, remark: { regex: spam } }
    then: { refuse: { code: 5001, message: No spam, detail: word list } }
    delay: 10ms
  - when: { owner: u1 }
    then: { replace: Colleague }
",
    )
    .await;
    let refuse = Refuse { code: 5001, message: "No spam".to_owned(), detail: "word list".to_owned() };
    assert_eq!(mock.decides("more spam").await.expect("a decision"), Some(Decision::Refuse(refuse)));
    assert_eq!(mock.decides("ham").await.expect("a decision"), Some(replacement("Colleague")));
    assert_eq!(ask(mock.client().await, "u3", "spam").await.expect("a decision"), Some(Decision::Allow(Allow {})));
}

#[tokio::test]
async fn a_sequence_is_answered_in_turn() {
    let mock = Running::with("rules: [{ sequence: [allow, { status: UNAVAILABLE }, { replace: x }] }]").await;
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(Decision::Allow(Allow {})));
    assert_eq!(mock.decides("r").await.expect_err("a status").code(), Code::Unavailable);
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(replacement("x")));
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(replacement("x")));
}

#[tokio::test]
async fn a_changed_rules_file_is_followed_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yaml");
    std::fs::write(&path, "rules: [{ then: { replace: old } }]").expect("a file");
    let mock = Running::with_rules(Rules::load(&path).expect("rules")).await;
    let watched = mock.control.watch(path.clone(), &mock.control.rules()).expect("a thread");
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(replacement("old")));

    std::fs::write(&path, "rules: [{ then: { replace: new } }]").expect("a file");
    eventually(async || watched.reloads().taken == 1).await;
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(replacement("new")));

    std::fs::write(&path, "rules: [{ then: dance }]").expect("a file");
    eventually(async || watched.reloads().refused == 1).await;
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(replacement("new")));

    // A reset goes back to the last good file.
    mock.control.set_rules(Rules::default());
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(Decision::Allow(Allow {})));
    mock.control.reset();
    assert_eq!(mock.decides("r").await.expect("a decision"), Some(replacement("new")));
}

/// Asks again and again, for half a minute at most.
async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), held).await.expect("holds after a while");
}

#[tokio::test]
async fn each_call_is_recorded_before_it_is_answered() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let rules = Rules::parse("rules", "rules: [{ then: { refuse: { code: 5001 } }, delay: 5ms }]").expect("rules");
    let mock = Mock::bind(free(), rules).await.expect("a free port");
    let mock = Running::of(mock.record_to(file.reopen().expect("a file")));
    let mut request = tonic::Request::new(request("u1", "Línea\n2"));
    request.set_timeout(Duration::from_mins(1));
    request.metadata_mut().insert("operation-id", "op-1".parse().expect("ASCII"));
    request.metadata_mut().insert("authorization", "secret".parse().expect("ASCII"));
    mock.client().await.before_set_friend_remark(request).await.expect("a decision");
    mock.decides("mock:status=NOT_FOUND").await.expect_err("a status");

    let text = std::fs::read_to_string(file.path()).expect("the record");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in &mut lines {
        let time = line["time"].take();
        humantime::parse_rfc3339(time.as_str().expect("a text")).expect("a time");
    }
    let refused = json!({
        "time": null, "callback": "beforeSetFriendRemark", "operation_id": "op-1",
        "request": { "ownerUserID": "u1", "friendUserID": "u2", "remark": "Línea\n2" },
        "answer": { "refuse": { "code": 5001, "message": "", "detail": "" } }, "delay_ms": 5, "deadline_left_ms": 60000,
        "metadata": { "operation-id": "op-1", "grpc-timeout": "60000000u" },
    });
    let failed = json!({
        "time": null, "callback": "beforeSetFriendRemark", "operation_id": "op-1",
        "request": { "ownerUserID": "u1", "friendUserID": "u2", "remark": "mock:status=NOT_FOUND" },
        "answer": { "status": "NOT_FOUND" }, "delay_ms": 0, "deadline_left_ms": null, "metadata": {},
    });
    assert_eq!(lines, [refused, failed]);
}

#[tokio::test]
async fn a_test_sees_what_was_asked_and_how_it_ended() {
    let mut mock = Running::start().await;
    let mut request = tonic::Request::new(request("u1", "mock:replace=x"));
    request.set_timeout(Duration::from_mins(1));
    request.metadata_mut().insert("operation-id", "op-1".parse().expect("ASCII"));
    request.metadata_mut().insert("traceparent", "00-1-2-01".parse().expect("ASCII"));
    request.metadata_mut().insert("callback-id", "018f".parse().expect("ASCII"));
    request.metadata_mut().insert("attempt", "2".parse().expect("ASCII"));
    mock.client().await.before_set_friend_remark(request).await.expect("a decision");

    let received = mock.next_event().await;
    assert_eq!(received.stage, CallStage::Received);
    let call = MockCall {
        callback: "beforeSetFriendRemark",
        operation_id: "op-1".to_owned(),
        request: json!({ "ownerUserID": "u1", "friendUserID": "u2", "remark": "mock:replace=x" }),
        operation_id_metadata: Some("op-1".to_owned()),
        grpc_timeout: Some("60000000u".to_owned()),
        traceparent: Some("00-1-2-01".to_owned()),
        callback_id: Some("018f".to_owned()),
        attempt: Some("2".to_owned()),
        decision: "change",
    };
    assert_eq!(*received.call, call);
    assert_eq!(mock.next_event().await, MockEvent { stage: CallStage::Answered, ..received });
}

#[tokio::test]
async fn a_hanging_call_ends_when_the_client_cancels_it() {
    let mut mock = Running::start().await;
    let client = mock.client().await;
    let hanging = tokio::spawn(ask(client.clone(), "u1", "mock:hang"));
    let received = mock.next_event().await;
    assert_eq!((received.stage, received.call.decision), (CallStage::Received, "hang"));
    hanging.abort();
    assert_eq!(mock.next_event().await, MockEvent { stage: CallStage::Cancelled, ..received });
    // The connection lives on.
    assert_eq!(ask(client, "u1", "r").await.expect("a decision"), Some(Decision::Allow(Allow {})));
}

#[tokio::test]
async fn a_hanging_call_ends_at_its_deadline() {
    let mut mock = Running::start().await;
    let mut request = tonic::Request::new(request("u1", "mock:hang"));
    request.set_timeout(Duration::from_millis(50));
    let status = mock.client().await.before_set_friend_remark(request).await.expect_err("no answer");
    assert_eq!(status.code(), Code::Cancelled);
    let mut stages = Vec::new();
    while let Ok(event) = mock.events.try_recv() {
        stages.push(event.stage);
    }
    // On a very busy machine the deadline may pass before the whole question has come in.
    assert!(stages.is_empty() || stages == [CallStage::Received, CallStage::Cancelled], "{stages:?}");
}

#[tokio::test]
async fn a_thousand_calls_can_hang_on_one_connection_and_be_given_up_at_once() {
    let mut mock = Running::start().await;
    let client = mock.client().await;
    let hanging: Vec<_> = (0..1000).map(|_| tokio::spawn(ask(client.clone(), "u1", "mock:hang"))).collect();
    for _ in &hanging {
        assert_eq!(mock.next_event().await.stage, CallStage::Received);
    }
    for call in &hanging {
        call.abort();
    }
    for _ in &hanging {
        assert_eq!(mock.next_event().await.stage, CallStage::Cancelled);
    }
    assert_eq!(ask(client, "u1", "r").await.expect("a decision"), Some(Decision::Allow(Allow {})));
}

#[tokio::test]
async fn calls_that_nobody_waited_for_do_not_end_the_connection() {
    let mock = Running::start().await;
    let client = mock.client().await;
    // Sent and reset in one go, before the mock has seen them.
    join_all((0..200).map(|_| {
        let client = client.clone();
        tokio::time::timeout(Duration::ZERO, ask(client, "u1", "mock:hang"))
    }))
    .await;
    assert_eq!(ask(client, "u1", "r").await.expect("a decision"), Some(Decision::Allow(Allow {})));
}

#[tokio::test]
async fn a_remark_of_many_megabytes_is_asked_about() {
    let mut mock = Running::start().await;
    let remark = "é".repeat(4 << 20);
    mock.decides(&remark).await.expect("a decision");
    assert!(mock.next_event().await.call.text("remark") == remark);
}

#[tokio::test]
async fn hanging_calls_do_not_keep_it_from_ending() {
    let mut mock = Running::start().await;
    let hanging = tokio::spawn(ask(mock.client().await, "u1", "mock:hang"));
    mock.next_event().await;
    let address = mock.tcp();
    mock.stop.send(()).expect("the mock is running");
    mock.served.await.expect("ends");
    assert_eq!(mock.events.recv().await.expect("told of the end").stage, CallStage::Cancelled);
    hanging.await.expect("not cancelled").expect_err("no answer");
    assert!(mock.events.recv().await.is_none(), "nothing of the mock is left");
    TcpStream::connect(address).await.expect_err("nothing listens");
}

#[tokio::test]
async fn health_says_serving() {
    let mock = Running::start().await;
    let mut health = HealthClient::with_origin(Connection::to(mock.tcp()).await, origin());
    for service in [""].into_iter().chain(SERVICES) {
        let reply = health.check(HealthCheckRequest { service: service.to_owned() }).await.expect("known");
        assert_eq!(reply.into_inner().status(), ServingStatus::Serving, "{service:?}");
    }
    let other = health.check(HealthCheckRequest { service: "other".to_owned() }).await.expect_err("not served");
    assert_eq!(other.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let mock = Running::start().await;
    assert_eq!(
        reflected_services!(mock, v1),
        [&["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"], &SERVICES[..]].concat()
    );
    assert_eq!(
        reflected_services!(mock, v1alpha),
        [&["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"], &SERVICES[..]].concat()
    );
}

#[tokio::test]
async fn a_socket_in_the_file_system_is_for_everybody_and_goes_with_the_mock() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mock.sock");
    let address = MockAddress::Unix(path.clone());
    // What a mock that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let mock = Running::of(Mock::bind(address.clone(), Rules::default()).await.expect("takes its place"));
    assert_eq!(path.metadata().expect("a socket").permissions().mode() & 0o777, 0o666);
    let stream = UnixStream::connect(&path).await.expect("the mock listens");
    let client = FriendCallbackServiceClient::with_origin(Connection::over(stream).await, origin());
    assert_eq!(ask(client, "u1", "mock:replace=x").await.expect("a decision"), Some(replacement("x")));

    Mock::bind(address, Rules::default()).await.expect_err("one is running");
    mock.stop.send(()).expect("the mock is running");
    mock.served.await.expect("ends");
    assert!(!path.exists());

    std::fs::write(&path, "precious").expect("a file");
    Mock::bind(MockAddress::Unix(path.clone()), Rules::default()).await.expect_err("a file that is no socket");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
}

/// Trusts this authority, and shows this certificate and key, all in PEM.
async fn by_tls(address: SocketAddr, ca: &str, pair: Option<(&str, &str)>) -> std::io::Result<Connection> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).expect("PEM")).expect("an authority");
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots);
    let mut config = match pair {
        None => config.with_no_client_auth(),
        Some((cert, key)) => config
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).expect("PEM")],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("PEM"),
            )
            .expect("a pair"),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = TcpStream::connect(address).await.expect("the mock listens");
    let name = "localhost".try_into().expect("a name");
    Ok(Connection::over(connector.connect(name, stream).await?).await)
}

#[tokio::test]
async fn a_certificate_made_on_the_spot_is_trusted_by_its_authority() {
    let (tls, ca) = MockTls::made_on_the_spot(&[]).expect("a certificate");
    let mock = Mock::bind(free(), Rules::default()).await.expect("a free port").secured(tls);
    let mock = Running::of(mock);
    let client = by_tls(mock.tcp(), &ca, None).await.expect("shakes hands");
    let client = FriendCallbackServiceClient::with_origin(client, origin());
    assert_eq!(ask(client, "u1", "mock:replace=x").await.expect("a decision"), Some(replacement("x")));

    let (_, other) = MockTls::made_on_the_spot(&[]).expect("a certificate");
    assert!(by_tls(mock.tcp(), &other, None).await.is_err(), "another authority");
}

#[tokio::test]
async fn with_a_client_authority_only_its_clients_are_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name)
    };
    // One certificate for all: its own authority, the service's and the client's.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls = MockTls::from_files(file("cert.pem", &cert), file("key.pem", &key)).expect("a pair");
    let tls = tls.for_clients_of(file("ca.pem", &cert)).expect("an authority");
    let mock = Running::of(Mock::bind(free(), Rules::default()).await.expect("a free port").secured(tls));

    let client = by_tls(mock.tcp(), &cert, Some((&cert, &key))).await.expect("shakes hands");
    let client = FriendCallbackServiceClient::with_origin(client, origin());
    assert_eq!(ask(client, "u1", "r").await.expect("a decision"), Some(Decision::Allow(Allow {})));

    // With TLS 1.3 a client learns only after its handshake that it is not wanted.
    if let Ok(nobody) = by_tls(mock.tcp(), &cert, None).await {
        let client = FriendCallbackServiceClient::with_origin(nobody, origin());
        ask(client, "u1", "r").await.expect_err("no certificate");
    }
}

/// What a control port answers: the status and the body.
async fn http(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.expect("the port listens");
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: mock\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("is taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body.to_owned())
}

#[tokio::test]
async fn the_control_port_sets_rules_and_shows_the_calls() {
    let mock = Running::with("rules: [{ sequence: [{ replace: first }, { replace: second }] }]").await;
    let port = ControlPort::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), mock.control.clone()).expect("a port");
    let address = port.local_addr();
    let serving = tokio::spawn(port.serve());
    let asked = async |method, path, body| http(address, method, path, "", body).await;
    let calls = async || -> Value {
        let (status, body) = asked("GET", "/calls", "").await;
        assert_eq!(status, 200);
        serde_json::from_str(&body).expect("JSON")
    };

    assert_eq!(mock.decides("one").await.expect("a decision"), Some(replacement("first")));
    let json = r#"{"rules": [{"then": {"refuse": {"code": 5001}}}]}"#;
    assert_eq!(asked("PUT", "/rules", json).await.0, 200);
    assert_eq!(asked("GET", "/rules", "").await, (200, json.to_owned()));
    assert_eq!(mock.decides("two").await.expect("a decision"), Some(refusal(5001, "")));
    let kept = calls().await;
    assert_eq!(kept["dropped"], 0);
    let remarks: Vec<_> =
        kept["calls"].as_array().expect("a list").iter().map(|call| call["request"]["remark"].clone()).collect();
    assert_eq!(remarks, ["one", "two"]);
    assert_eq!(kept["calls"][0]["answer"], json!({ "replace": "first" }));

    let (status, why) = asked("PUT", "/rules", "rules:\n  - then: dance\n").await;
    assert_eq!(status, 400);
    assert!(why.contains("line 2") && why.contains("unknown variant `dance`"), "{why}");
    assert_eq!(asked("GET", "/rules", "").await.1, json, "those before stay in force");

    assert_eq!(asked("DELETE", "/calls", "").await.0, 200);
    assert_eq!(calls().await, json!({ "dropped": 0, "calls": [] }));

    mock.decides("three").await.expect("a decision");
    assert_eq!(asked("POST", "/reset", "").await.0, 200);
    assert_eq!(calls().await["calls"], json!([]));
    assert_eq!(mock.decides("four").await.expect("a decision"), Some(replacement("first")), "the rules of the start");
    serving.abort();
}

#[tokio::test]
async fn the_control_port_turns_away_what_is_too_large_unknown_or_from_a_web_page() {
    let mock = Running::start().await;
    let port = ControlPort::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), mock.control.clone()).expect("a port");
    let address = port.local_addr();
    tokio::spawn(port.serve());
    let large = format!("rules: [] # {}", "x".repeat(1 << 20));
    assert_eq!(http(address, "PUT", "/rules", "", &large).await.0, 413);
    assert_eq!(http(address, "PUT", "/calls", "", "").await.0, 405);
    assert_eq!(http(address, "GET", "/", "", "").await.0, 404);
    assert_eq!(http(address, "POST", "/reset", "origin: http://evil.example\r\n", "").await.0, 403);
    assert_eq!(mock.control.rules().text(), "rules: []");
}
