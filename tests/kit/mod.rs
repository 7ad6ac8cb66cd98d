//! The test kit: a real bridge on a real socket, a real decision service behind it, and a client that writes bytes.
//!
//! It reads like a sentence: `bridge().asking(&app).timeout(ms(200)).start().ask("mock:hang")`.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc, clippy::disallowed_methods)]

pub mod callback;
pub mod contract;
pub mod dns;
pub mod frames;
pub mod log;
pub mod otlp;
pub mod process;
pub mod receiver;
pub mod rpc;
pub mod service;
pub mod tls;

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Mutex,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use openim_bridge::callback::{CALLBACKS, Callback, Callbacks, Codec};
pub use openim_bridge::mock::MockCall;
use openim_bridge::mock::{CallStage, Mock, MockEvent, Rules};
use openim_bridge::openim::client::OpenIm;
use openim_bridge::policy::Action;
use openim_bridge::server::Server;
use openim_bridge::server::Settings;
use openim_bridge::upstream::ErrorClass;
use serde_json::Value;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::sync::{mpsc, oneshot};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const COMMAND: &str = "callbackBeforeSetFriendRemarkCommand";
/// What OpenIM 3.5 and 3.6 call it.
pub const ALIAS: &str = "callbackBeforeSetFriendRemark";
pub const PATH: &str = "/callbackExample/callbackBeforeSetFriendRemarkCommand";

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The bundled decision service, on a thread of its own.
pub struct App {
    pub address: SocketAddr,
    events: Mutex<mpsc::UnboundedReceiver<MockEvent>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A decision service that decides by `mock:` remarks, and allows everything else.
pub fn app() -> App {
    app_at(SocketAddr::from(([127, 0, 0, 1], 0)))
}

/// The same, on a loopback address of its own: once it has stopped, no other test can take its port.
pub fn app_to_stop() -> App {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [high, low] = NEXT.fetch_add(1, Relaxed).to_be_bytes();
    app_at(SocketAddr::from(([127, 64 | high, low, 1], 0)))
}

/// The same, on an address that was used before.
pub fn app_at(address: SocketAddr) -> App {
    start_app(address, Rules::default())
}

/// A decision service that decides by these rules, in YAML.
pub fn app_ruled_by(rules: &str) -> App {
    start_app(SocketAddr::from(([127, 0, 0, 1], 0)), Rules::parse("the test's rules", rules).expect("rules"))
}

fn start_app(address: SocketAddr, rules: Rules) -> App {
    let (started, is_started) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut mock = Mock::bind(address.into(), rules).await.expect("the mock binds");
            started.send((mock.address().tcp().expect("TCP"), mock.events())).expect("the test waits");
            let _ended = mock.serve(async { drop(stopped.await) }).await;
        });
    });
    let (address, events) = is_started.recv().expect("the mock starts");
    App { address, events: Mutex::new(events), stop: Some(stop), thread: Some(thread) }
}

impl App {
    /// The next thing that happens to a call.
    pub fn next_event(&self) -> MockEvent {
        let mut events = self.events.lock().expect("events");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime
            .block_on(async { tokio::time::timeout(PATIENCE, events.recv()).await })
            .expect("the decision service was not asked in time")
            .expect("the mock runs")
    }

    /// The next call that is received.
    pub fn next_call(&self) -> MockCall {
        loop {
            let event = self.next_event();
            if event.stage == CallStage::Received {
                return (*event.call).clone();
            }
        }
    }

    /// How many calls were received that nobody has looked at yet.
    pub fn calls(&self) -> usize {
        let mut events = self.events.lock().expect("events");
        let mut calls = 0;
        while let Ok(event) = events.try_recv() {
            calls += usize::from(event.stage == CallStage::Received);
        }
        calls
    }

    /// Stops the service: its port refuses connections from now on.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the mock ends");
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.end();
    }
}

/// Something on the decision service's port that does with each connection what the test says.
pub fn peer(behaviour: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let behaviour = behaviour.clone();
            thread::spawn(move || behaviour(stream));
        }
    });
    address
}

/// An address where nothing listens, and nothing ever will: the port stays taken.
pub fn nowhere() -> SocketAddr {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    let address = socket.local_addr().expect("an address").as_socket().expect("an IP address");
    std::mem::forget(socket);
    address
}

/// Waits for what must come to be, and cannot be waited for in another way.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not in time: {what}");
        thread::sleep(ms(2));
    }
}

/// A bridge to be started.
pub struct BridgeBuilder {
    settings: Settings,
    callbacks: &'static [Callback],
    codec: Codec,
}

/// A bridge with default settings, on a free port, whose decision service is nowhere.
pub fn bridge() -> BridgeBuilder {
    let mut settings = Settings::default();
    settings.listen.set_port(0);
    settings.admin.listen = None;
    BridgeBuilder { settings, callbacks: CALLBACKS, codec: Codec::TABLES }.asking_at(nowhere())
}

impl BridgeBuilder {
    pub fn asking(self, app: &App) -> Self {
        self.asking_at(app.address)
    }

    pub fn asking_at(mut self, address: SocketAddr) -> Self {
        self.settings.upstream.addresses = vec![format!("http://{address}").parse().expect("an upstream address")];
        self
    }

    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.bridge.decision.timeout = timeout;
        self.settings.upstream.connect_timeout = self.settings.upstream.connect_timeout.min(timeout);
        self
    }

    /// The fallback refuses, so that the code tells the error class.
    pub fn refusing(self) -> Self {
        self.with(|settings| {
            let fallback = &mut settings.bridge.fallback;
            fallback.action = Action::Refuse;
            fallback.class[ErrorClass::Unimplemented as usize] = Some(Action::Refuse);
        })
    }

    pub fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// With a listener for operators.
    pub fn admin(self) -> Self {
        self.with(|settings| settings.admin.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0))))
    }

    /// With callbacks of the test's own.
    pub fn serving(mut self, callbacks: &'static [Callback]) -> Self {
        self.callbacks = callbacks;
        self
    }

    /// With code of the test's own on the path.
    pub fn coded_by(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    pub fn start(self) -> Bridge {
        Bridge {
            server: Server::start(self.settings, Callbacks::new(self.callbacks, self.codec))
                .expect("the bridge starts"),
        }
    }
}

/// A running bridge.
pub struct Bridge {
    pub server: Server,
}

impl Bridge {
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A new connection.
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Asks the listener for operators, on a connection of its own.
    pub fn operator(&self, method: &str, target: &str, body: &str) -> Reply {
        let mut client = Client::connect(self.server.admin_address().expect("an admin listener"));
        client.write(&Request::new().method(method).target(target).body(body).bytes());
        client.reply()
    }

    /// Every sample of its metrics: the name with labels, and the value.
    pub fn scrape(&self) -> BTreeMap<String, f64> {
        let reply = self.operator("GET", "/metrics", "");
        assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let samples = reply.body.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ').expect("a sample");
            (name.to_owned(), value.parse().expect("a number"))
        };
        samples.map(sample).collect()
    }

    /// Sends a request on a connection of its own.
    pub fn send(&self, request: &Request) -> Reply {
        let mut client = self.connect();
        client.write(&request.bytes());
        client.reply()
    }

    /// Asks for this remark as OpenIM would.
    pub fn ask(&self, remark: &str) -> Reply {
        self.send(&Request::new().remark(remark))
    }
}

/// A request as OpenIM sends it, to be changed.
#[derive(Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new() -> Self {
        Self {
            method: "POST".to_owned(),
            target: PATH.to_owned(),
            headers: vec![
                ("Host".to_owned(), b"127.0.0.1:10006".to_vec()),
                ("Content-Type".to_owned(), b"application/json; charset=utf-8".to_vec()),
                ("Operationid".to_owned(), b"op-1".to_vec()),
            ],
            body: Vec::new(),
        }
        .remark("pal")
    }

    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let mut without = self.without(name);
        without.headers.push((name.to_owned(), value.as_ref().to_vec()));
        without
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    pub fn callback(self, command: &str, owner: &str, friend: &str, remark: &str) -> Self {
        let body = serde_json::json!({
            "callbackCommand": command, "ownerUserID": owner, "friendUserID": friend, "remark": remark
        });
        self.body(body.to_string())
    }

    pub fn remark(self, remark: &str) -> Self {
        self.callback(COMMAND, "u1", "u2", remark)
    }

    /// The head, with the length of the body.
    pub fn head(&self) -> Vec<u8> {
        self.head_for(self.body.len())
    }

    pub fn head_for(&self, length: usize) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("Content-Length: {length}\r\n\r\n").as_bytes());
        bytes
    }

    pub fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }

    /// The same request without a length: its body in chunks of `size` bytes.
    pub fn chunked(&self, size: usize) -> Vec<u8> {
        let head = String::from_utf8(self.head_for(0)).expect("a head in UTF-8");
        let mut bytes = head.replace("Content-Length: 0", "Transfer-Encoding: chunked").into_bytes();
        for chunk in self.body.chunks(size) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }
}

/// A client's connection.
pub struct Client {
    pub stream: TcpStream,
    read: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("the bridge accepts")
    }

    /// An error where nobody accepts.
    pub fn try_connect(address: SocketAddr) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Ok(Self { stream, read: Vec::new() })
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the bridge reads");
    }

    /// The next response, whole.
    pub fn reply(&mut self) -> Reply {
        let head = self.reply_head();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .expect("a content-length")
            .parse()
            .expect("a number");
        while self.read.len() < length {
            assert!(self.fill() > 0, "closed before a whole body");
        }
        let body = String::from_utf8(self.read.drain(..length).collect()).expect("a body in UTF-8");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        Reply { status, head, body }
    }

    /// `count` callbacks, one after the other, all decided by the App.
    #[track_caller]
    pub fn all_decided(&mut self, count: usize) {
        for _ in 0..count {
            self.write(&Request::new().bytes());
            self.reply().goes_on_with("pal");
        }
    }

    /// The next head alone: of an interim response, or of one to HEAD.
    pub fn reply_head(&mut self) -> String {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|window| window == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.fill() > 0, "closed before a whole head: {:?}", String::from_utf8_lossy(&self.read));
        };
        String::from_utf8(self.read.drain(..end).collect()).expect("a head in ASCII")
    }

    /// Whether the bridge closes without another byte.
    pub fn is_closed(&mut self) -> bool {
        self.read.is_empty() && self.fill() == 0
    }

    /// All that comes until the bridge closes.
    pub fn all(&mut self) -> String {
        while self.fill() > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Resets the connection.
    pub fn leave(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("a setting");
    }

    /// Tells the bridge that nothing more comes, and goes on reading.
    pub fn has_sent_all(&self) {
        self.stream.shutdown(Shutdown::Write).expect("a FIN");
    }

    fn fill(&mut self) -> usize {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(read) => {
                self.read.extend_from_slice(&buffer[..read]);
                read
            }
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => 0,
            Err(error) => panic!("nothing came: {error}"),
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (header, value) = line.split_once(": ")?;
            header.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub fn announces_close(&self) -> bool {
        self.header("connection") == Some("close")
    }

    /// OpenIM goes on, and stores this remark.
    #[track_caller]
    pub fn goes_on_with(&self, remark: &str) {
        let head = r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0,"remark":""#;
        assert!(self.status == 200 && self.body.starts_with(head) && self.body.ends_with("\"}"), "{}", self.body);
        // As OpenIM reads it: what came is repeated as it came, however it was written.
        let callback = CALLBACKS.iter().find(|callback| callback.command == COMMAND).expect("the callback");
        let (reading, effects) = callback.read_answer(b"", self.body.as_bytes());
        assert!(matches!(reading.open_im(), OpenIm::GoesOn), "{}", self.body);
        assert_eq!(effects.decoded, [("remark", remark.into())], "{}", self.body);
        self.says_who_decided();
    }

    /// OpenIM goes on, and nothing is said of the remark.
    #[track_caller]
    pub fn goes_on(&self) {
        let expected = r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0}"#;
        assert_eq!((self.status, &*self.body), (200, expected));
        self.says_who_decided();
    }

    /// Who decided.
    pub fn origin(&self) -> &str {
        self.header("openim-bridge").unwrap_or_default()
    }

    #[track_caller]
    fn says_who_decided(&self) {
        let word = self.origin().split("; ").next().unwrap_or_default();
        assert!(
            ["decision", "fallback", "shadow", "queued", "forwarded", "route", "rejected"].contains(&word),
            "{}",
            self.head
        );
    }

    /// Whether this is an answer that OpenIM's decoder reads, whatever it says.
    pub fn is_complete(&self) -> bool {
        let Ok(Value::Object(mut answer)) = serde_json::from_str(&self.body) else { return false };
        let mut take = |key| answer.remove(key).unwrap_or_default();
        let is_whole = take("actionCode") == 0
            && take("errCode").is_i64()
            && take("errMsg").as_str().is_some_and(|text| !text.is_empty())
            && take("errDlt").is_string()
            && matches!(take("nextCode").as_u64(), Some(0 | 1));
        is_whole && answer.into_iter().all(|(key, value)| key == "remark" && value.is_string())
    }

    /// OpenIM refuses with this code, in a complete answer. `status` is for people.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: i32) {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.is_complete(), "{}", self.body);
        let json = self.json();
        assert_eq!(json["nextCode"], 1, "{}", self.body);
        assert_eq!(json["errCode"], code, "{}", self.body);
        self.says_who_decided();
        match code {
            9900..9910 => {
                assert_eq!(self.origin(), format!("rejected; code={code}"));
                // What is for operators is in another header, and never here.
                assert_eq!(json["errDlt"], "", "{}", self.body);
            }
            9910 => assert_eq!(self.origin(), "route"),
            // A refusal of the App's with a code that is none of an App's.
            9925 if self.origin() == "decision" => {}
            9920..=9926 => {
                let class = ErrorClass::ALL.into_iter().find(|class| class.code() as i32 == code).expect("a class");
                assert_eq!(self.origin(), format!("fallback; class={class}"));
            }
            _ => {}
        }
        assert_eq!(self.header("content-type"), Some("application/json"));
    }
}
