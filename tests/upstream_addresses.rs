//! Every kind of address that a decision service can have.

#![allow(clippy::expect_used)]

mod kit;

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use http::Uri;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::{BridgeBuilder, PATIENCE, app, bridge, eventually, ms};
use openim_bridge::callback::REGISTRY;
use openim_bridge::config::Settings;
use openim_bridge::decision::UpstreamAddress;
use openim_bridge::proto::{
    Allow, BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse,
    before_set_friend_remark_response::Decision,
    friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
};
use openim_bridge::server::Server;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::oneshot,
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status};
use tower_service::Service as _;

/// The code of a fallback that refuses, for the class `unavailable`.
const UNAVAILABLE: i32 = 9921;

/// Allows everything.
#[derive(Debug, Clone, Copy)]
struct AllowAll;

#[tonic::async_trait]
impl FriendCallbackService for AllowAll {
    async fn before_set_friend_remark(
        &self,
        _: Request<BeforeSetFriendRemarkRequest>,
    ) -> Result<Response<BeforeSetFriendRemarkResponse>, Status> {
        Ok(Response::new(BeforeSetFriendRemarkResponse { decision: Some(Decision::Allow(Allow {})) }))
    }
}

/// Answers one connection's requests, and tells for which URIs.
async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, asked: Sender<Uri>) {
    let service = service_fn(move |request: http::Request<Incoming>| {
        // Nobody may look any more.
        let _told = asked.send(request.uri().clone());
        let mut service = FriendCallbackServiceServer::new(AllowAll);
        async move { Ok::<_, Infallible>(service.call(request).await.unwrap_or_else(|never| match never {})) }
    });
    let _ended = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

/// How new connections shake hands.
type Config = Arc<Mutex<Arc<ServerConfig>>>;

/// A decision service on a thread of its own. Dropped, it closes its connections.
struct Service {
    asked: Receiver<Uri>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Service {
    fn start<F: Future<Output = ()>>(listen: impl FnOnce(Sender<Uri>, Sender<()>) -> F + Send + 'static) -> Self {
        let (tell, asked) = mpsc::channel();
        let (listens, is_listening) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                tokio::select! {
                    () = listen(tell, listens) => {}
                    _ = stopped => {}
                }
            });
        });
        is_listening.recv().expect("the service listens");
        Self { asked, stop: Some(stop), thread: Some(thread) }
    }

    /// By TLS, on a free port of 127.0.0.1, as the configuration says that is there when a connection comes.
    fn secured(config: &Config) -> (Self, SocketAddr) {
        Self::secured_at(config, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same, on an address that was used before.
    fn secured_at(config: &Config, address: SocketAddr) -> (Self, SocketAddr) {
        let config = Arc::clone(config);
        let (tell, told) = mpsc::channel();
        let service = Self::start(move |asked, listens| async move {
            let listener = TcpListener::bind(address).await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("the test waits");
            listens.send(()).expect("the test waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let acceptor = TlsAcceptor::from(Arc::clone(&config.lock().expect("a configuration")));
                let asked = asked.clone();
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, asked).await;
                    }
                });
            }
        });
        (service, told.recv().expect("an address"))
    }

    fn on_socket(path: &Path) -> Self {
        let path = path.to_owned();
        Self::start(move |asked, listens| async move {
            let listener = UnixListener::bind(path).expect("a socket");
            listens.send(()).expect("the test waits");
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                tokio::spawn(serve(stream, asked.clone()));
            }
        })
    }

    /// The URI of the next callback's request.
    fn next_call(&self) -> Uri {
        loop {
            let uri = self.asked.recv_timeout(PATIENCE).expect("a request");
            if !uri.path().starts_with("/grpc.health") {
                return uri;
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the service ends");
        }
    }
}

/// Its fallback refuses.
fn asking(addresses: &[&str]) -> BridgeBuilder {
    let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
    bridge().refusing().timeout(ms(14_000)).with(|settings| {
        settings.upstream.addresses = addresses;
        settings.upstream.eject.probe_min = ms(20);
        settings.upstream.eject.probe_max = ms(50);
    })
}

#[test]
fn a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.sock");
    let service = Service::on_socket(&path);
    let bridge = asking(&[&format!("unix://{}", path.display())]).start();
    let mut client = bridge.connect();
    for _ in 0..3 {
        client.write(&kit::Request::new().bytes());
        client.reply().goes_on_with("pal");
    }
    let asked = service.next_call();
    assert_eq!(asked.scheme_str(), Some("http"));
    assert_eq!(asked.authority().map(http::uri::Authority::as_str), Some("localhost"));
}

#[test]
fn a_unix_socket_that_goes_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.sock");
    let bridge = asking(&[&format!("unix://{}", path.display())]).start();
    bridge.ask("pal").refuses(200, UNAVAILABLE);
    for _ in 0..2 {
        let service = Service::on_socket(&path);
        eventually("it is asked", || bridge.ask("pal").json()["nextCode"] == 0);
        drop(service);
        fs::remove_file(&path).expect("the socket's file");
        bridge.ask("pal").refuses(200, UNAVAILABLE);
    }
}

#[test]
fn a_unix_socket_beside_a_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("decisions.sock");
    let service = Service::on_socket(&path);
    let app = app();
    let by_name = format!("http://localhost:{}", app.address.port());
    let bridge = asking(&[&format!("unix://{}", path.display()), &by_name]).start();
    let mut asked = 0;
    eventually("both are asked", || {
        bridge.ask("pal").goes_on_with("pal");
        asked += service.asked.try_iter().filter(|uri| !uri.path().starts_with("/grpc.health")).count();
        asked > 0 && app.calls() > 0
    });
}

#[test]
fn forms_of_addresses() {
    let long = format!("unix:///{}", "x".repeat(200));
    for (text, shown) in [
        ("http://decisions", "http://decisions:80"),
        ("http://decisions:50051/", "http://decisions:50051"),
        ("http://[::1]:50051", "http://[::1]:50051"),
        ("https://decisions", "https://decisions:443"),
        ("https://[::1]:50051", "https://[::1]:50051"),
        ("unix:///run/decisions.sock", "unix:///run/decisions.sock"),
        ("unix:///run/a b?c%20.sock", "unix:///run/a b?c%20.sock"),
    ] {
        assert_eq!(text.parse::<UpstreamAddress>().expect(text).to_string(), shown);
    }
    for text in [
        "",
        "decisions:50051",
        "ftp://decisions",
        "http://",
        "http://:50051",
        "http://decisions:",
        "http://decisions:0",
        "http://decisions:65536",
        "http://decisions:+80",
        "http://[decisions]:80",
        "http://user@decisions",
        "http://user:80@decisions",
        "http://decisions/path",
        "http://decisions?query",
        "https://decisions:0",
        "https://-:443",
        "unix:",
        "unix:///",
        "unix://decisions.sock",
        "unix:/run/decisions.sock",
        "unix:///run/",
        "unix:///run/a\0b",
        &long,
    ] {
        assert!(text.parse::<UpstreamAddress>().is_err(), "{text}");
    }
}

/// An authority, and what it has signed, in PEM.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cert: String,
}

/// A certificate with its key, in PEM.
struct Pair {
    cert: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), cert }
    }

    fn signs(&self, name: &str) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { cert, key: key.serialize_pem() }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("a certificate")).expect("a root");
        roots
    }
}

/// How a service shakes hands: with `pair`, and with whom `clients` has signed only, if there is one.
fn shows(pair: &Pair, clients: Option<&Authority>, protocol: &str) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions");
    let config = match clients {
        Some(authority) => config.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(Arc::new(authority.roots()), provider)
                .build()
                .expect("a verifier"),
        ),
        None => config.with_no_client_auth(),
    };
    let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
    let mut config = config.with_single_cert(vec![cert], key).expect("a pair");
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    Arc::new(config)
}

/// The files of a bridge.
struct Files(TempDir);

impl Files {
    fn new(authority: &Authority) -> Self {
        let files = Self(tempfile::tempdir().expect("a folder"));
        files.put("ca.pem", &authority.cert);
        files
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// As a whole, at once.
    fn put(&self, file: &str, text: &str) {
        fs::write(self.path("new"), text).expect("a file");
        fs::rename(self.path("new"), self.path(file)).expect("a file");
    }

    fn put_pair(&self, pair: &Pair) {
        self.put("cert.pem", &pair.cert);
        self.put("key.pem", &pair.key);
    }

    fn asking(&self, address: SocketAddr) -> BridgeBuilder {
        asking(&[&format!("https://{address}")]).with(|settings| {
            settings.upstream.tls.ca = Some(self.path("ca.pem"));
            settings.upstream.tls.look_every = ms(5);
            // Each callback shows what a new connection comes to, however many have failed.
            settings.upstream.eject.failures = 1_000_000.try_into().expect("a number");
        })
    }

    fn asking_with_pair(&self, address: SocketAddr) -> BridgeBuilder {
        self.asking(address)
            .with(|settings| settings.upstream.tls.client = Some((self.path("cert.pem"), self.path("key.pem"))))
    }
}

fn changing(config: Arc<ServerConfig>) -> Config {
    Arc::new(Mutex::new(config))
}

#[test]
fn a_service_with_a_certificate_by_address_and_by_name() {
    let authority = Authority::new();
    let files = Files::new(&authority);
    let (service, address) = Service::secured(&changing(shows(&authority.signs("127.0.0.1"), None, "h2")));
    files.asking(address).start().ask("pal").goes_on_with("pal");
    let asked = service.next_call();
    assert_eq!(asked.scheme_str(), Some("https"));
    assert_eq!(asked.authority().map(ToString::to_string), Some(address.to_string()));

    let (_service, address) = Service::secured(&changing(shows(&authority.signs("localhost"), None, "h2")));
    let by_name = format!("https://localhost:{}", address.port()).parse().expect("an address");
    let bridge = files.asking(address).with(|settings| settings.upstream.addresses = vec![by_name]).start();
    // Another address of that name may refuse connections.
    eventually("it is asked", || bridge.ask("pal").json()["nextCode"] == 0);
}

#[test]
fn a_certificate_of_another_authority_or_name_or_without_http2() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    for config in [
        shows(&other.signs("127.0.0.1"), None, "h2"),
        shows(&authority.signs("decisions"), None, "h2"),
        shows(&authority.signs("127.0.0.1"), None, "http/1.1"),
    ] {
        let (service, address) = Service::secured(&changing(config));
        files.asking(address).start().ask("pal").refuses(200, UNAVAILABLE);
        assert!(service.asked.try_recv().is_err(), "it was asked");
    }
}

#[test]
fn plain_text_where_tls_is_expected() {
    let app = app();
    let files = Files::new(&Authority::new());
    files.asking(app.address).start().ask("pal").refuses(200, UNAVAILABLE);
    assert_eq!(app.calls(), 0);
}

#[test]
fn a_certificate_of_a_name_that_is_set() {
    let authority = Authority::new();
    let (_service, address) = Service::secured(&changing(shows(&authority.signs("decisions"), None, "h2")));
    let name = ServerName::try_from("decisions").expect("a name");
    let files = Files::new(&authority);
    let bridge = files.asking(address).with(|settings| settings.upstream.tls.server_name = Some(name));
    bridge.start().ask("pal").goes_on_with("pal");
}

#[test]
fn a_service_that_asks_for_a_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let files = Files::new(&authority);
    let config = shows(&authority.signs("127.0.0.1"), Some(&clients), "h2");
    let (_service, address) = Service::secured(&changing(config));
    files.asking(address).start().ask("pal").refuses(200, UNAVAILABLE);

    files.put_pair(&authority.signs("bridge"));
    files.asking_with_pair(address).start().ask("pal").refuses(200, UNAVAILABLE);

    files.put_pair(&clients.signs("bridge"));
    files.asking_with_pair(address).start().ask("pal").goes_on_with("pal");
}

#[test]
fn certificates_of_both_sides_that_change() {
    let old = Authority::new();
    let new = Authority::new();
    let files = Files::new(&old);
    files.put_pair(&old.signs("bridge"));
    let config = changing(shows(&old.signs("127.0.0.1"), Some(&old), "h2"));
    let (service, address) = Service::secured(&config);
    let bridge = files.asking_with_pair(address).start();
    let is_asked = || bridge.ask("pal").json()["nextCode"] == 0;
    assert!(is_asked());

    // What cannot be used changes nothing, for connections that are open and for new ones.
    files.put("ca.pem", "no certificate");
    eventually("the bad files are seen", || bridge.server.upstream_reloads().is_some_and(|seen| seen.refused == 1));
    assert!(is_asked());
    drop(service);
    let again = |config| Service::secured_at(config, address);
    let (service, _) = again(&config);
    eventually("it is asked", is_asked);

    // New files of both, without a restart of the bridge.
    files.put("ca.pem", &new.cert);
    files.put_pair(&new.signs("bridge"));
    drop(service);
    *config.lock().expect("a configuration") = shows(&new.signs("127.0.0.1"), Some(&new), "h2");
    let (_service, _) = again(&config);
    eventually("it is asked by the new certificates", is_asked);
}

#[test]
fn files_that_are_not_right_at_the_start() {
    let files = Files::new(&Authority::new());
    files.put("ca.pem", "no certificate");
    let mut settings = Settings { listen: SocketAddr::from(([127, 0, 0, 1], 0)), ..Settings::default() };
    settings.admin.listen = None;
    settings.upstream.addresses = vec!["https://127.0.0.1:1".parse().expect("an address")];
    for (ca, expected) in [("ca.pem", "holds no certificate in PEM"), ("nothing.pem", "cannot be read")] {
        let ca = files.path(ca);
        settings.upstream.tls.ca = Some(ca.clone());
        let error = Server::start(settings.clone(), REGISTRY).expect_err("no authority");
        assert_eq!(error.to_string(), format!("`upstream.tls.ca` ({}) {expected}", ca.display()));
    }
}
