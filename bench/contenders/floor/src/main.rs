//! The smallest axum and tonic program that answers OpenIM's callback when all goes well: no check, no deadline, no
//! metrics. As many single-threaded runtimes as workers, each with a listener and a `Channel` of its own.

use std::{borrow::Cow, error::Error, net::SocketAddr, path::PathBuf, thread};

use axum::{
    Json, Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    routing::post,
    serve::ListenerExt as _,
};
use clap::Parser;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpListener, runtime};
use tokio_rustls::rustls::ServerConfig;
use tonic::transport::{Channel, Endpoint};

use proto::{before_set_friend_remark_response::Decision, friend_callback_service_client::FriendCallbackServiceClient};

mod tls;

#[allow(clippy::pedantic)] // generated
mod proto {
    tonic::include_proto!("openim.bridge.v1");
}

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Clone, Parser)]
struct Flags {
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    upstream: SocketAddr,
    /// Taken, as by every contender, and ignored: a decision service that hangs is waited for.
    #[arg(long)]
    timeout: Option<String>,
    #[arg(long, default_value_t = 2)]
    workers: usize,
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Callback {
    #[serde(rename = "ownerUserID")]
    owner_user_id: String,
    #[serde(rename = "friendUserID")]
    friend_user_id: String,
    remark: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    action_code: i32,
    err_code: i32,
    err_msg: Cow<'static, str>,
    err_dlt: Cow<'static, str>,
    next_code: i32,
    remark: String,
}

struct OperationId(String);

impl<S: Sync> FromRequestParts<S> for OperationId {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        let value = parts.headers.get("operationid").and_then(|value| value.to_str().ok());
        value.map(|value| Self(value.to_owned())).ok_or(StatusCode::BAD_REQUEST)
    }
}

async fn before_set_friend_remark(
    State(mut decisions): State<FriendCallbackServiceClient<Channel>>,
    OperationId(operation_id): OperationId,
    Json(Callback { owner_user_id, friend_user_id, remark }): Json<Callback>,
) -> Result<Json<Answer>, StatusCode> {
    let request =
        proto::BeforeSetFriendRemarkRequest { operation_id, owner_user_id, friend_user_id, remark: remark.clone() };
    let reply = decisions.before_set_friend_remark(request).await.map_err(|_| StatusCode::BAD_GATEWAY)?;
    let allow = |remark| Answer {
        action_code: 0,
        err_code: 0,
        err_msg: "Success".into(),
        err_dlt: "".into(),
        next_code: 0,
        remark,
    };
    Ok(Json(match reply.into_inner().decision.ok_or(StatusCode::BAD_GATEWAY)? {
        Decision::Allow(_) => allow(remark),
        Decision::ReplaceRemark(replaced) => allow(replaced.remark),
        Decision::Refuse(refusal) => Answer {
            action_code: 0,
            err_code: refusal.code,
            err_msg: refusal.message.into(),
            err_dlt: refusal.detail.into(),
            next_code: 1,
            remark: String::new(),
        },
    }))
}

/// A listener that shares its port with those of the other workers.
fn listener(address: SocketAddr) -> Result<TcpListener, Failure> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(TcpListener::from_std(socket.into())?)
}

fn worker(flags: &Flags, tls: Option<ServerConfig>) -> Result<(), Failure> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let channel = Endpoint::from_shared(format!("http://{}", flags.upstream))?.tcp_nodelay(true).connect_lazy();
        let router = Router::new()
            .route("/callbackExample/callbackBeforeSetFriendRemarkCommand", post(before_set_friend_remark))
            .with_state(FriendCallbackServiceClient::new(channel));
        let listener = listener(flags.listen)?;
        match tls {
            None => {
                let listener = listener.tap_io(|stream| _ = stream.set_nodelay(true));
                Ok(axum::serve(listener, router).await?)
            }
            Some(config) => tls::serve(listener, config, router).await,
        }
    })
}

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    let tls = flags.cert.as_ref().zip(flags.key.as_ref()).map(|(cert, key)| tls::config(cert, key)).transpose()?;
    let workers: Vec<_> = (0..flags.workers)
        .map(|_| {
            let (flags, tls) = (flags.clone(), tls.clone());
            thread::spawn(move || worker(&flags, tls))
        })
        .collect();
    workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err("a worker panicked".into())))
}
