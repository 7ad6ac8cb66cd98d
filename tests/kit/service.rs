//! A decision service on tonic that allows everything, with what the bundled one has no setting for: limits of the
//! server, and a health service that says what the test says.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use futures_util::{StreamExt as _, stream::Empty};
use openim_bridge::proto::{
    Allow, BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse,
    before_set_friend_remark_response::Decision,
    friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
};
use tokio::sync::{Barrier, oneshot, watch};
use tonic::{
    Code, Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse,
    health_check_response::ServingStatus,
    health_server::{Health, HealthServer},
};

/// What was seen of the bridge.
#[derive(Default)]
pub struct Seen {
    pub connections: AtomicUsize,
    pub calls: AtomicUsize,
    pub now: AtomicUsize,
    /// The most calls at one time.
    pub most: AtomicUsize,
    pub checks: AtomicUsize,
}

/// A running service.
pub struct Serving {
    pub address: SocketAddr,
    pub seen: Arc<Seen>,
    health: Arc<Mutex<Result<ServingStatus, Code>>>,
    holds: watch::Sender<bool>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Allows after this time.
pub fn serving(delay: Duration, limit: impl FnOnce(Server) -> Server) -> Serving {
    serving_together(1, delay, limit)
}

/// The same, but no call is answered before so many are there.
pub fn serving_together(calls: usize, delay: Duration, limit: impl FnOnce(Server) -> Server) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::new(Seen::default());
    let health = Arc::new(Mutex::new(Ok(ServingStatus::Serving)));
    let (holds, held) = watch::channel(false);
    let (stop, stopped) = oneshot::channel::<()>();
    let server = limit(Server::builder())
        .add_service(FriendCallbackServiceServer::new(Decides {
            together: Barrier::new(calls),
            delay,
            held,
            seen: Arc::clone(&seen),
        }))
        .add_service(HealthServer::new(Says { health: Arc::clone(&health), seen: Arc::clone(&seen) }));
    let counted = Arc::clone(&seen);
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).inspect(move |_| {
                counted.connections.fetch_add(1, Relaxed);
            });
            tokio::select! {
                served = server.serve_with_incoming(incoming) => served.expect("it serves"),
                _ = stopped => {}
            }
        });
    });
    Serving { address, seen, health, holds, stop: Some(stop), thread: Some(thread) }
}

impl Serving {
    /// What its health service says from now on.
    pub fn says(&self, health: Result<ServingStatus, Code>) {
        *self.health.lock().expect("health") = health;
    }

    /// Whether it keeps the calls that it has, and those that come.
    pub fn holds(&self, holds: bool) {
        self.holds.send_replace(holds);
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

struct Decides {
    together: Barrier,
    delay: Duration,
    held: watch::Receiver<bool>,
    seen: Arc<Seen>,
}

#[tonic::async_trait]
impl FriendCallbackService for Decides {
    async fn before_set_friend_remark(
        &self,
        _: Request<BeforeSetFriendRemarkRequest>,
    ) -> Result<Response<BeforeSetFriendRemarkResponse>, Status> {
        self.seen.calls.fetch_add(1, Relaxed);
        let now = self.seen.now.fetch_add(1, Relaxed) + 1;
        self.seen.most.fetch_max(now, Relaxed);
        let _ends = scopeguard::guard(&self.seen.now, |now| {
            now.fetch_sub(1, Relaxed);
        });
        self.together.wait().await;
        tokio::time::sleep(self.delay).await;
        // Fails only when the test is over.
        drop(self.held.clone().wait_for(|holds| !holds).await);
        Ok(Response::new(BeforeSetFriendRemarkResponse { decision: Some(Decision::Allow(Allow {})) }))
    }
}

struct Says {
    health: Arc<Mutex<Result<ServingStatus, Code>>>,
    seen: Arc<Seen>,
}

#[tonic::async_trait]
impl Health for Says {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        self.seen.checks.fetch_add(1, Relaxed);
        match *self.health.lock().expect("health") {
            Ok(status) => Ok(Response::new(HealthCheckResponse { status: status.into() })),
            Err(code) => Err(Status::new(code, "as the test says")),
        }
    }

    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("the bridge only checks"))
    }
}
