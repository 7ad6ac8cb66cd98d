//! A decision service behind TLS or on a socket in the file system, and what makes certificates.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    convert::Infallible,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc::{self, Receiver, Sender},
    },
    thread,
};

use http::Uri;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use openim_bridge::proto::{
    Allow, BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse,
    before_set_friend_remark_response::Decision,
    friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
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

use super::{BridgeBuilder, PATIENCE, bridge, ms};

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
pub type Config = Arc<Mutex<Arc<ServerConfig>>>;

/// A decision service on a thread of its own. Dropped, it closes its connections.
pub struct Service {
    pub asked: Receiver<Uri>,
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
    pub fn secured(config: &Config) -> (Self, SocketAddr) {
        Self::secured_at(config, SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// The same, on an address that was used before.
    pub fn secured_at(config: &Config, address: SocketAddr) -> (Self, SocketAddr) {
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

    pub fn on_socket(path: &Path) -> Self {
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
    pub fn next_call(&self) -> Uri {
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
pub fn asking(addresses: &[&str]) -> BridgeBuilder {
    let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
    bridge().refusing().timeout(ms(14_000)).with(|settings| {
        settings.upstream.addresses = addresses;
        settings.upstream.eject.probe_min = ms(20);
        settings.upstream.eject.probe_max = ms(50);
    })
}

/// An authority, and what it has signed, in PEM.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub cert: String,
}

/// A certificate with its key, in PEM.
pub struct Pair {
    pub cert: String,
    pub key: String,
}

impl Authority {
    /// Each has a name of its own.
    pub fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(1);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, format!("authority {}", NUMBER.fetch_add(1, Relaxed)));
        let key = KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), cert }
    }

    pub fn signs(&self, name: &str) -> Pair {
        self.signs_with(name, |_| {})
    }

    pub fn signs_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Pair {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        change(&mut params);
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        Pair { cert, key: key.serialize_pem() }
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("a certificate")).expect("a root");
        roots
    }
}

/// How a service shakes hands: with `pair`, and with whom `clients` has signed only, if there is one.
pub fn shows(pair: &Pair, clients: Option<&Authority>, protocol: &str) -> Arc<ServerConfig> {
    shows_over(rustls::ALL_VERSIONS, pair, clients, protocol)
}

/// The same, over these versions of TLS.
pub fn shows_over(
    versions: &[&'static SupportedProtocolVersion],
    pair: &Pair,
    clients: Option<&Authority>,
    protocol: &str,
) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let config =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).expect("versions");
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
pub struct Files(TempDir);

impl Files {
    pub fn new(authority: &Authority) -> Self {
        let files = Self(tempfile::tempdir().expect("a folder"));
        files.put("ca.pem", &authority.cert);
        files
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// As a whole, at once.
    pub fn put(&self, file: &str, text: &str) {
        fs::write(self.path("new"), text).expect("a file");
        fs::rename(self.path("new"), self.path(file)).expect("a file");
    }

    pub fn put_pair(&self, pair: &Pair) {
        self.put("cert.pem", &pair.cert);
        self.put("key.pem", &pair.key);
    }

    pub fn asking(&self, address: SocketAddr) -> BridgeBuilder {
        asking(&[&format!("https://{address}")]).with(|settings| {
            settings.upstream.tls.ca = Some(self.path("ca.pem"));
            settings.upstream.tls.look_every = ms(5);
            // Each callback shows what a new connection comes to, however many have failed.
            settings.upstream.eject.failures = 1_000_000.try_into().expect("a number");
        })
    }

    pub fn asking_with_pair(&self, address: SocketAddr) -> BridgeBuilder {
        self.asking(address)
            .with(|settings| settings.upstream.tls.client = Some((self.path("cert.pem"), self.path("key.pem"))))
    }
}

pub fn changing(config: Arc<ServerConfig>) -> Config {
    Arc::new(Mutex::new(config))
}
