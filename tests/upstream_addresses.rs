//! Every kind of address that a decision service can have.

#![allow(clippy::expect_used)]

mod kit;

use std::{
    convert::Infallible,
    path::Path,
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use http::Uri;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kit::{BridgeBuilder, PATIENCE, app, bridge, eventually, ms};
use openim_bridge::decision::UpstreamAddress;
use openim_bridge::proto::{
    Allow, BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse,
    before_set_friend_remark_response::Decision,
    friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
    sync::oneshot,
};
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
        std::fs::remove_file(&path).expect("the socket's file");
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
