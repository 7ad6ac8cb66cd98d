//! HTTPS from OpenIM: both protocols, certificates that change, and what comes to a TLS port that is no TLS.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    fs,
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use kit::callback::{Gate, STOPS, set, wait_until};
use kit::{App, Bridge, BridgeBuilder, PATIENCE, Reply, Request, app, bridge, eventually, ms};
use openim_bridge::base::file_watch::Reloads;
use openim_bridge::callback::Callbacks;
use openim_bridge::cli::send::{self, Ending, NoAnswer, exchange_trusting};
use openim_bridge::openim::client::{CallbackRequest, UrlForm};
use openim_bridge::server::{Load, Server};
use openim_bridge::server::{Settings, TlsSettings};
use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
    version::{TLS12, TLS13},
};
use socket2::SockRef;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    runtime::Runtime,
    task::{JoinHandle, yield_now},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A certificate for 127.0.0.1, with its key, both in PEM.
struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
        Self { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("a certificate")
    }
}

/// The files of a certificate as Kubernetes mounts a secret: links through a link, which is swapped.
struct Secret {
    folder: TempDir,
}

impl Secret {
    fn new(pair: &Pair) -> Self {
        let secret = Self { folder: tempfile::tempdir().expect("a folder") };
        secret.swap("1", &pair.cert, &pair.key);
        for file in ["tls.crt", "tls.key"] {
            symlink(Path::new("..data").join(file), secret.path(file)).expect("a link");
        }
        secret
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// `version` is a new one each time.
    fn swap(&self, version: &str, cert: &str, key: &str) {
        let versioned = self.path(version);
        fs::create_dir(&versioned).expect("a folder");
        fs::write(versioned.join("tls.crt"), cert).expect("a file");
        fs::write(versioned.join("tls.key"), key).expect("a file");
        symlink(version, self.path("..data_tmp")).expect("a link");
        fs::rename(self.path("..data_tmp"), self.path("..data")).expect("the swap");
    }

    fn settings(&self) -> TlsSettings {
        TlsSettings { cert: self.path("tls.crt"), key: self.path("tls.key"), look_every: ms(5) }
    }
}

fn https(secret: &Secret) -> BridgeBuilder {
    bridge().with(|settings| settings.tls = Some(secret.settings()))
}

/// An App, a bridge with a certificate before it, and what trusts that.
fn with_app() -> (App, Bridge, Trust) {
    let pair = Pair::new();
    let app = app();
    let bridge = https(&Secret::new(&pair)).asking(&app).timeout(ms(14_000)).start();
    (app, bridge, Trust::of([&pair]))
}

/// What a client trusts and offers.
#[derive(Clone)]
struct Trust {
    roots: Arc<RootCertStore>,
    protocols: Vec<&'static [u8]>,
    versions: Vec<&'static SupportedProtocolVersion>,
    resets: bool,
}

impl Trust {
    fn of<'a>(pairs: impl IntoIterator<Item = &'a Pair>) -> Self {
        let mut roots = RootCertStore::empty();
        for pair in pairs {
            roots.add(pair.der()).expect("a root");
        }
        Self { roots: Arc::new(roots), protocols: vec![HTTP2, HTTP1], versions: vec![&TLS12, &TLS13], resets: false }
    }

    fn offering(mut self, protocols: &[&'static [u8]]) -> Self {
        self.protocols = protocols.to_vec();
        self
    }

    fn speaking(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// Closes no connection, but resets it.
    fn resetting(self) -> Self {
        Self { resets: true, ..self }
    }

    async fn shake_hands(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&self.versions)
            .expect("versions")
            .with_root_certificates(Arc::clone(&self.roots))
            .with_no_client_auth();
        config.alpn_protocols = self.protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let stream = TcpStream::connect(address).await?;
        if self.resets {
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
        let name = ServerName::from(address.ip());
        let shaken = TlsConnector::from(Arc::new(config)).connect(name, stream);
        timeout(PATIENCE, shaken).await.expect("the handshake ends")
    }

    /// A connection, with the protocol that was agreed on.
    async fn connect(&self, address: SocketAddr) -> Client {
        let stream = self.shake_hands(address).await.expect("a handshake");
        let tls = stream.get_ref().1;
        let shown = tls.peer_certificates().expect("a certificate")[0].clone().into_owned();
        let version = tls.protocol_version().expect("a version");
        let is_http2 = tls.alpn_protocol() == Some(HTTP2);
        let stream = TokioIo::new(stream);
        let (sender, ended) = if is_http2 {
            let (sender, connection) = http2::handshake(OnRuntime, stream).await.expect("HTTP/2");
            (Sender::Http2(sender), tokio::spawn(connection))
        } else {
            let (sender, connection) = http1::handshake(stream).await.expect("HTTP/1.1");
            (Sender::Http1(sender), tokio::spawn(connection))
        };
        Client { sender, ended, shown, version }
    }
}

#[derive(Clone)]
struct OnRuntime;

impl<F: Future<Output: Send> + Send + 'static> hyper::rt::Executor<F> for OnRuntime {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<bytes::Bytes>>),
    Http2(http2::SendRequest<Full<bytes::Bytes>>),
}

struct Client {
    sender: Sender,
    ended: JoinHandle<hyper::Result<()>>,
    shown: CertificateDer<'static>,
    version: ProtocolVersion,
}

impl Client {
    fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    async fn ask(&mut self, remark: &str) -> Reply {
        self.send(&Request::new().remark(remark)).await
    }

    async fn send(&mut self, request: &Request) -> Reply {
        self.try_send(request).await.expect("an answer")
    }

    async fn try_send(&mut self, request: &Request) -> hyper::Result<Reply> {
        let target = match self.sender {
            Sender::Http1(_) => request.target.clone(),
            Sender::Http2(_) => format!("https://127.0.0.1{}", request.target),
        };
        let mut sent = http::Request::builder().method(&*request.method).uri(target);
        for (name, value) in &request.headers {
            sent = sent.header(name, &**value);
        }
        let sent = sent.body(Full::from(request.body.clone())).expect("a request");
        let response = match &mut self.sender {
            Sender::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(sent).await?
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(sent).await?
            }
        };
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes().to_vec();
        Ok(reply(head.status, &head.headers, body))
    }

    /// Several at a time, on this one connection.
    fn clone_http2(&self) -> Self {
        let Sender::Http2(sender) = &self.sender else { panic!("HTTP/1.1 answers one after another") };
        let ended = tokio::spawn(async { Ok(()) });
        Self { sender: Sender::Http2(sender.clone()), ended, shown: self.shown.clone(), version: self.version }
    }

    /// Waits until the bridge has closed, which this client does not do.
    async fn is_closed(&mut self) {
        let ended = timeout(PATIENCE, &mut self.ended).await.expect("the bridge closes");
        ended.expect("no panic").expect("a close that is no error");
    }
}

fn reply(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Reply {
    let lines = headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().expect("text")));
    Reply { status: status.as_u16(), head: lines.collect(), body: String::from_utf8(body).expect("UTF-8") }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn both_protocols_over_both_versions() {
    let (_app, bridge, trust) = with_app();
    runtime().block_on(async {
        for (version, expected) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
            for (protocols, is_http2) in
                [(&[HTTP1, HTTP2][..], true), (&[HTTP2], true), (&[HTTP1], false), (&[], false)]
            {
                let trust = trust.clone().offering(protocols).speaking(version);
                let mut client = trust.connect(bridge.address()).await;
                assert_eq!((client.version, client.is_http2()), (expected, is_http2));
                client.ask("mock:replace=ä").await.goes_on_with("ä");
                let reply = client.ask("pal").await;
                reply.goes_on_with("pal");
                assert_eq!(reply.header("connection"), None);
                client.send(&Request::new().target("/")).await.refuses(404, 9901);
            }
        }
    });
}

#[test]
fn a_protocol_that_is_not_spoken_gets_no_connection() {
    let (_app, bridge, trust) = with_app();
    let refused = runtime().block_on(trust.offering(&[b"spdy/3"]).shake_hands(bridge.address()));
    assert!(refused.is_err());
}

#[test]
fn many_callbacks_at_a_time_share_one_connection() {
    let (app, bridge, trust) = with_app();
    runtime().block_on(async {
        let client = trust.connect(bridge.address()).await;
        let asked = (0..500).map(|number| {
            let mut client = client.clone_http2();
            async move { client.ask(&format!("remark {number}")).await.goes_on_with(&format!("remark {number}")) }
        });
        join_all(asked).await;
        assert_eq!(bridge.server.load().connections, 1);
    });
    assert_eq!(app.calls(), 500);
}

#[test]
fn the_deadline_is_of_each_callback_on_a_shared_connection() {
    let pair = Pair::new();
    let app = app();
    let bridge = https(&Secret::new(&pair)).asking(&app).timeout(ms(200)).refusing().start();
    runtime().block_on(async {
        let mut client = Trust::of([&pair]).connect(bridge.address()).await;
        let mut other = client.clone_http2();
        let (hung, answered) = tokio::join!(client.ask("mock:hang"), other.ask("pal"));
        hung.refuses(200, 9920);
        answered.goes_on_with("pal");
        client.ask("pal").await.goes_on_with("pal");
    });
}

#[test]
fn large_heads_and_bodies_over_http2() {
    let (_app, bridge, trust) = with_app();
    runtime().block_on(async {
        let mut client = trust.connect(bridge.address()).await;
        let long = "x".repeat(15_000);
        client.send(&Request::new().header("operationID", &long)).await.goes_on_with("pal");
        let reply = client.send(&Request::new().header("operationID", "x".repeat(17_000))).await;
        assert_eq!((reply.status, &*reply.body), (431, ""), "16 KiB of a head");
        let remark = "r".repeat(900_000);
        client.ask(&remark).await.goes_on_with(&remark);
        client.ask(&"r".repeat(3 << 20)).await.refuses(413, 9904);
        client.send(&Request::new().target("/").remark(&"r".repeat(8 << 20))).await.refuses(404, 9901);
        client.ask("pal").await.goes_on_with("pal");
    });
}

#[test]
fn many_that_give_up_at_once_do_not_end_the_connection_of_the_others() {
    let pair = Pair::new();
    let secret = Secret::new(&pair);
    let app = app();
    let bridge = https(&secret).asking(&app).timeout(ms(14_000)).coded_by(STOPS).start();
    let trust = Trust::of([&pair]);
    runtime().block_on(async {
        let mut client = trust.connect(bridge.address()).await;
        client.ask("pal").await.goes_on_with("pal");
        set(Gate::Shut);
        let ask = |remark: &'static str| {
            let mut client = client.clone_http2();
            tokio::spawn(async move { client.ask(remark).await })
        };
        let stopped = ask("stop");
        tokio::task::spawn_blocking(|| wait_until(|gate| gate == Gate::Reached)).await.expect("no panic");
        // All are there before the bridge looks at one.
        let all_sent = async || {
            for _ in 0..100 {
                yield_now().await;
            }
        };
        let kept = ask("pal");
        let given_up: Vec<_> = (0..200).map(|_| ask("pal")).collect();
        all_sent().await;
        given_up.iter().for_each(JoinHandle::abort);
        all_sent().await;
        set(Gate::Open);
        stopped.await.expect("an answer").goes_on_with("stop");
        kept.await.expect("an answer").goes_on_with("pal");
    });
}

#[test]
fn a_client_that_gives_up_frees_what_its_callback_held() {
    let (app, bridge, trust) = with_app();
    let runtime = runtime();
    let client = runtime.block_on(async {
        let client = trust.connect(bridge.address()).await;
        let mut asking = client.clone_http2();
        let asked = tokio::spawn(async move { asking.ask("mock:hang").await });
        while bridge.server.load().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        asked.abort();
        assert!(asked.await.is_err(), "it hangs");
        // The connection stays, and tells the bridge.
        client.clone_http2().ask("pal").await.goes_on_with("pal");
        client
    });
    eventually("the callback is given up", || bridge.server.load().in_flight == 0);
    assert_eq!(bridge.server.load().connections, 1);
    drop((app, client));
}

#[test]
fn a_client_that_leaves_is_noticed_over_http1_too() {
    let (app, bridge, trust) = with_app();
    runtime().block_on(async {
        let mut client = trust.offering(&[HTTP1]).resetting().connect(bridge.address()).await;
        let asked = tokio::spawn(async move { client.ask("mock:hang").await });
        while bridge.server.load().in_flight == 0 {
            yield_now().await;
        }
        asked.abort();
        assert!(asked.await.is_err(), "it hangs");
    });
    eventually("the callback is given up", || bridge.server.load().in_flight == 0);
    drop(app);
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_no_callback_is_lost() {
    let (old, new) = (Pair::new(), Pair::new());
    let secret = Secret::new(&old);
    let app = app();
    let bridge = https(&secret).asking(&app).start();
    let address = bridge.address();
    let trust = Trust::of([&old, &new]);
    runtime().block_on(async {
        let mut kept = [trust.connect(address).await, trust.clone().offering(&[HTTP1]).connect(address).await];
        let mut swapped = false;
        loop {
            for client in &mut kept {
                client.ask("pal").await.goes_on_with("pal");
            }
            let mut fresh = trust.connect(address).await;
            fresh.ask("pal").await.goes_on_with("pal");
            if fresh.shown == new.der() {
                assert!(swapped);
                break;
            }
            assert_eq!(fresh.shown, old.der());
            if !std::mem::replace(&mut swapped, true) {
                secret.swap("2", &new.cert, &new.key);
            }
        }
        for client in &mut kept {
            client.ask("pal").await.goes_on_with("pal");
        }
    });
    assert_eq!(bridge.server.reloads(), Some(Reloads { taken: 1, refused: 0, last_refused: false }));
}

#[test]
fn a_bad_new_certificate_leaves_the_old_in_place() {
    let (old, new) = (Pair::new(), Pair::new());
    let secret = Secret::new(&old);
    let app = app();
    let bridge = https(&secret).asking(&app).start();
    let shown = || {
        runtime().block_on(async {
            let mut client = Trust::of([&old, &new]).connect(bridge.address()).await;
            client.ask("pal").await.goes_on_with("pal");
            client.shown.clone()
        })
    };
    let reloads = || bridge.server.reloads().expect("HTTPS");
    let garbage = "-----BEGIN CERTIFICATE-----\nnonsense\n";
    let bad = [(garbage, &*old.key), (&old.cert, ""), (&new.cert, &old.key), (&old.cert, &new.cert)];
    for (refused, (cert, key)) in (1..).zip(bad) {
        secret.swap(&format!("bad-{refused}"), cert, key);
        eventually("it is refused", || reloads().refused == refused);
        assert_eq!(shown(), old.der());
    }
    fs::remove_file(secret.path("..data")).expect("the link");
    eventually("its absence is seen", || reloads().refused == 5);
    assert_eq!(shown(), old.der());
    assert_eq!(reloads().taken, 0);

    secret.swap("good", &new.cert, &new.key);
    eventually("it is taken", || reloads().taken == 1);
    assert_eq!(shown(), new.der());
    assert_eq!(reloads().refused, 5);
}

#[test]
fn what_is_no_certificate_is_told_at_the_start() {
    let (one, other) = (Pair::new(), Pair::new());
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("a file");
        path
    };
    let (cert, key) = (file("one.crt", &one.cert), file("one.key", &one.key));
    let (empty, other) = (file("empty", ""), file("other.key", &other.key));
    let told = |cert: &Path, key: &Path| {
        let mut settings = Settings::default();
        settings.admin.listen = None;
        settings.listen.set_port(0);
        settings.tls = Some(TlsSettings { cert: cert.to_owned(), key: key.to_owned(), look_every: ms(5) });
        let error = Server::start(settings, Callbacks::all()).expect_err("no certificate");
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    insta::assert_snapshot!(told(&folder.path().join("gone"), &key), @"`tls.cert` (gone) cannot be read: name a file that is there, and that this process may read");
    insta::assert_snapshot!(told(&cert, &folder.path().join("gone")), @"`tls.key` (gone) cannot be read: name a file that is there, and that this process may read");
    insta::assert_snapshot!(told(&empty, &key), @"`tls.cert` (empty) holds no certificate in PEM: it must have one between BEGIN and END lines");
    insta::assert_snapshot!(told(&key, &key), @"`tls.cert` (one.key) holds no certificate in PEM: it must have one between BEGIN and END lines");
    insta::assert_snapshot!(told(&cert, &cert), @"`tls.key` (one.crt) holds no unencrypted private key in PEM: it must have one between BEGIN and END lines");
    insta::assert_snapshot!(told(&cert, &other), @"`tls.cert` (one.crt) and `tls.key` (other.key) are no pair: name the key that the certificate was issued for");
}

#[test]
fn what_is_no_tls_is_closed() {
    let (_app, bridge, trust) = with_app();
    for bytes in [Request::new().bytes(), vec![0; 300], vec![0xff; 300], b"\x16\x03\x01\x00\x05hello".to_vec()] {
        let mut client = bridge.connect();
        client.write(&bytes);
        let answer = client.all();
        assert!(!answer.contains("HTTP"), "{answer}");
    }
    eventually("none is left", || bridge.server.load().connections == 0);
    runtime().block_on(async { trust.connect(bridge.address()).await.ask("pal").await.goes_on_with("pal") });
}

/// The head of a TLS record of 512 bytes with a `ClientHello`, and no more.
const HALF_A_HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";

#[test]
fn a_handshake_that_never_ends_holds_up_nobody_and_is_closed() {
    let (_app, bridge, trust) = with_app();
    let mut unfinished: Vec<_> = (0..20).map(|_| bridge.connect()).collect();
    for client in &mut unfinished {
        client.write(HALF_A_HELLO);
    }
    eventually("all are accepted", || bridge.server.load().connections == 20);
    runtime().block_on(async {
        let mut client = trust.connect(bridge.address()).await;
        client.ask("pal").await.goes_on_with("pal");
        // One that has shaken hands, and then says nothing.
        let silent = trust.shake_hands(bridge.address()).await.expect("a handshake");
        assert_eq!(bridge.server.load().connections, 22);
        assert!(unfinished.iter_mut().all(kit::Client::is_closed), "the limit is 10 s");
        drop(silent);
        client.ask("pal").await.goes_on_with("pal");
    });
}

#[test]
fn a_connection_without_a_request_is_closed_and_one_with_is_kept() {
    let (_app, bridge, trust) = with_app();
    runtime().block_on(async {
        let mut spoken =
            [trust.connect(bridge.address()).await, trust.clone().offering(&[HTTP1]).connect(bridge.address()).await];
        for client in &mut spoken {
            client.ask("pal").await.goes_on_with("pal");
        }
        let silent =
            [trust.connect(bridge.address()).await, trust.clone().offering(&[HTTP1]).connect(bridge.address()).await];
        for mut client in silent {
            // Closed without a word, which may be an error.
            let _ended = timeout(PATIENCE, &mut client.ended).await.expect("the bridge closes");
        }
        for client in &mut spoken {
            client.ask("pal").await.goes_on_with("pal");
        }
    });
}

#[test]
fn the_connection_too_many_pushes_out_a_silent_one() {
    let pair = Pair::new();
    let app = app();
    let two = std::num::NonZeroUsize::new(2);
    let bridge = https(&Secret::new(&pair)).asking(&app).with(|settings| settings.connections = two).start();
    let mut silent = bridge.connect();
    silent.write(HALF_A_HELLO);
    eventually("it is accepted", || bridge.server.load().connections == 1);
    // It has had its time to speak.
    thread::sleep(ms(200));
    runtime().block_on(async {
        let trust = Trust::of([&pair]);
        let mut first = trust.connect(bridge.address()).await;
        first.ask("pal").await.goes_on_with("pal");
        // One too many: it goes with its answer, and the silent one at once.
        let mut second = trust.connect(bridge.address()).await;
        second.ask("pal").await.goes_on_with("pal");
        second.is_closed().await;
        eventually("the silent one is gone", || bridge.server.load().connections == 1);
        let mut third = trust.connect(bridge.address()).await;
        third.ask("pal").await.goes_on_with("pal");
        let mut fourth = trust.connect(bridge.address()).await;
        fourth.ask("pal").await.goes_on_with("pal");
        fourth.is_closed().await;
        // It has been idle longest, so it is told to go, once it has its answer.
        first.ask("pal").await.goes_on_with("pal");
        first.is_closed().await;
        third.ask("pal").await.goes_on_with("pal");
        assert_eq!(bridge.server.load().connections, 1);
    });
}

/// Announces, drains, and says whether all was done in time.
fn drain(mut bridge: Bridge, delay: Duration) -> thread::JoinHandle<(bool, Load)> {
    bridge.server.announce();
    thread::spawn(move || {
        let done = runtime().block_on(bridge.server.drain(delay, PATIENCE));
        (done, bridge.server.load())
    })
}

#[track_caller]
fn is_done(draining: thread::JoinHandle<(bool, Load)>) {
    let done = draining.join().expect("the drain ends");
    assert_eq!(done, (true, Load { connections: 0, in_flight: 0, body_bytes: 0, queued: 0 }));
}

#[test]
fn an_announcement_is_a_goaway_and_open_streams_are_answered() {
    let (app, bridge, trust) = with_app();
    let address = bridge.address();
    let runtime = runtime();
    let (mut idle, mut busy, hung) = runtime.block_on(async {
        let mut idle = trust.connect(address).await;
        idle.ask("pal").await.goes_on_with("pal");
        let busy = trust.connect(address).await;
        let mut asking = busy.clone_http2();
        let hung = tokio::spawn(async move { asking.ask("mock:hang").await });
        while bridge.server.load().in_flight == 0 {
            tokio::task::yield_now().await;
        }
        (idle, busy, hung)
    });

    bridge.server.announce();
    runtime.block_on(async {
        // Both clients would stay.
        idle.is_closed().await;
        let refused = timeout(PATIENCE, async { while busy.try_send(&Request::new()).await.is_ok() {} }).await;
        assert!(refused.is_ok(), "the GOAWAY says to send no more here");
        assert!(!hung.is_finished());
        // A connection made while draining has its answer, and then goes.
        let mut late = trust.connect(address).await;
        let reply = late.ask("pal").await;
        reply.goes_on_with("pal");
        assert_eq!(reply.header("connection"), None);
        late.is_closed().await;
        let mut late = trust.clone().offering(&[HTTP1]).connect(address).await;
        assert!(late.ask("pal").await.announces_close());
    });

    let draining = drain(bridge, Duration::ZERO);
    // The mock ends its calls when it ends.
    app.stop();
    runtime.block_on(async {
        hung.await.expect("no panic").goes_on_with("mock:hang");
        busy.is_closed().await;
    });
    is_done(draining);
}

#[test]
fn a_drain_waits_for_no_connection_without_a_request() {
    let (app, bridge, trust) = with_app();
    let address = bridge.address();
    let mut unfinished = bridge.connect();
    unfinished.write(HALF_A_HELLO);
    runtime().block_on(async {
        let silent = trust.connect(address).await;
        let unanswering = trust.shake_hands(address).await.expect("a handshake");
        eventually("all are accepted", || bridge.server.load().connections == 3);
        let draining = drain(bridge, Duration::ZERO);
        is_done(draining);
        drop((silent, unanswering));
    });
    assert!(unfinished.is_closed());
    assert_eq!(app.calls(), 0);
}

#[test]
fn a_client_that_ignores_the_goaway_does_not_hold_up_the_drain() {
    let (app, bridge, trust) = with_app();
    runtime().block_on(async {
        // Its connection is driven by this runtime, which the drain below stops.
        let mut client = trust.connect(bridge.address()).await;
        client.ask("pal").await.goes_on_with("pal");
        is_done(drain(bridge, Duration::ZERO));
        drop(client);
    });
    assert_eq!(app.calls(), 1);
}

fn callback(remark: &str) -> CallbackRequest {
    CallbackRequest {
        command: kit::COMMAND,
        body: format!(
            r#"{{"callbackCommand":"{}","ownerUserID":"u1","friendUserID":"u2","remark":"{remark}"}}"#,
            kit::COMMAND
        )
        .into(),
        operation_id: http::HeaderValue::from_static("op-1"),
        form: UrlForm::Path,
    }
}

#[test]
fn send_speaks_https_as_openim_does() {
    let pair = Pair::new();
    let secret = Secret::new(&pair);
    let app = app();
    let bridge = https(&secret).asking(&app).start();
    let url = format!("https://{}/callbackExample", bridge.address());
    let ca = secret.path("tls.crt");
    // The path goes along: after a 307 no command is appended.
    let location = format!("https://{}{}", bridge.address(), kit::PATH);
    let redirecting = kit::peer(move |mut stream| {
        let mut request = [0; 4096];
        let _read = io::Read::read(&mut stream, &mut request);
        let head = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let _gone = stream.write_all(head.as_bytes());
    });
    runtime().block_on(async {
        for base in [url.clone(), format!("http://{redirecting}/cb")] {
            let exchange = exchange_trusting(Some(&ca), &callback("pal"), &base, PATIENCE).await.expect("sent");
            assert_eq!(exchange.ending(), Ending::GoesOn, "{base}: {exchange:?}");
        }
        assert_eq!(app.calls(), 2);
        // The system does not know this certificate, so OpenIM would not take it.
        let exchange = send::exchange(&callback("pal"), &url, PATIENCE).await.expect("sent");
        assert!(matches!(exchange.answer, Err(NoAnswer::Connection(_))), "{exchange:?}");
        assert_eq!(app.calls(), 0);
        for wrong in [secret.path("tls.key"), secret.path("gone")] {
            let error = exchange_trusting(Some(&wrong), &callback("pal"), &url, PATIENCE).await.expect_err("no roots");
            assert!(error.to_string().starts_with("--ca must name a file"), "{error}");
        }
    });
}

#[test]
fn send_puts_a_load_on_connections_that_are_shared() {
    let pair = Pair::new();
    let secret = Secret::new(&pair);
    let app = app();
    let bridge = https(&secret).asking(&app).timeout(ms(14_000)).start();
    let url = format!("https://{}/callbackExample", bridge.address());
    let client =
        send::OpenImClient::new(&callback("pal").url(&url), Some(&secret.path("tls.crt")), PATIENCE).expect("a client");
    runtime().block_on(async {
        assert_eq!(client.exchange(&callback("pal")).await.ending(), Ending::GoesOn);
        // More than there may be connections over HTTP/1.1, and all of them at one time.
        let hanging = callback("mock:hang");
        let all = join_all((0..120).map(|_| client.exchange(&hanging)));
        let seen = async {
            while bridge.server.load().in_flight < 120 {
                tokio::time::sleep(ms(2)).await;
            }
            bridge.server.load().connections
        };
        let connections = tokio::select! {
            _ = all => panic!("nothing was under way at one time"),
            connections = timeout(PATIENCE, seen) => connections.expect("not in time"),
        };
        assert_eq!(connections, 1);
    });
}

#[test]
fn the_demo_shows_https() {
    let demo = std::process::Command::new(env!("CARGO_BIN_EXE_openim-bridge"))
        .args(["demo", "--tls", "--once"])
        .output()
        .expect("the demo runs");
    let shown = String::from_utf8(demo.stdout).expect("UTF-8");
    assert!(demo.status.success(), "{shown}");
    assert_eq!(shown.matches("POST https://127.0.0.1:").count(), 8, "{shown}");
}

/// Asks for a remark of 900 kB, and lets out nothing of the answer. Returns its body.
async fn ask_behind_a_closed_window(bridge: &Bridge, trust: &Trust) -> h2::RecvStream {
    let stream = trust.shake_hands(bridge.address()).await.expect("a handshake");
    let shaken = h2::client::Builder::new().initial_window_size(0).handshake::<_, hyper::body::Bytes>(stream);
    let (mut sender, connection) = shaken.await.expect("HTTP/2");
    tokio::spawn(connection);
    let asked = Request::new().remark(&"r".repeat(900_000));
    let request = hyper::Request::post(format!("https://127.0.0.1{}", asked.target));
    let request = request.header("content-type", "application/json").header("operationid", "op").body(());
    let (response, mut body) = sender.send_request(request.expect("a request"), false).expect("it is sent");
    body.send_data(asked.body.into(), true).expect("it is sent");
    let response = timeout(PATIENCE, response).await.expect("in time").expect("an answer");
    assert_eq!(response.status(), 200);
    response.into_body()
}

#[test]
fn an_answer_counts_until_it_is_taken() {
    let (_app, bridge, trust) = with_app();
    runtime().block_on(async {
        let body = ask_behind_a_closed_window(&bridge, &trust).await;
        assert!(bridge.server.load().body_bytes > 900_000, "it is not taken");
        drop(body);
        let dropped = async {
            while bridge.server.load().body_bytes > 0 {
                tokio::time::sleep(ms(2)).await;
            }
        };
        timeout(PATIENCE, dropped).await.expect("it is dropped");
    });
}

#[test]
#[ignore = "takes half a minute: .ci/full memory"]
fn an_answer_that_makes_no_progress_is_reset() {
    let (_app, bridge, trust) = with_app();
    runtime().block_on(async {
        let mut body = ask_behind_a_closed_window(&bridge, &trust).await;
        let ended = timeout(ms(40_000), body.data()).await.expect("the limit is 30 s").expect("no end of the answer");
        assert_eq!(ended.expect_err("no data").reason(), Some(h2::Reason::CANCEL));
        eventually("nothing is held", || bridge.server.load().body_bytes == 0);
        assert_eq!(bridge.server.load().connections, 1, "the connection stays");
    });
}
