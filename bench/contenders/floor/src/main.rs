//! The smallest axum and tonic program that answers OpenIM's callbacks when all goes well: no check, no deadline, no
//! metrics. As many single-threaded runtimes as workers, each with a listener and a `Channel` of its own.
//!
//! `bodies` has what OpenIM sends and reads; `messages` the callbacks about a message.

use std::{error::Error, net::SocketAddr, path::PathBuf, thread};

use axum::{
    Json, Router,
    extract::{FromRequestParts, State},
    http::{StatusCode, request::Parts},
    routing::post,
    serve::ListenerExt as _,
};
use bodies::{Answer, GroupAnswer, GroupEx, OnlinePush, Remark, RemarkAnswer};
use clap::Parser;
use proto::{
    before_online_push_response, before_set_friend_remark_response, before_set_group_info_ex_response,
    friend_callback_service_client::FriendCallbackServiceClient,
    group_callback_service_client::GroupCallbackServiceClient,
    message_callback_service_client::MessageCallbackServiceClient,
    push_callback_service_client::PushCallbackServiceClient,
};
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{net::TcpListener, runtime};
use tokio_rustls::rustls::ServerConfig;
use tonic::transport::{Channel, Endpoint};

mod bodies;
mod messages;
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

/// The clients of one channel.
#[derive(Clone)]
struct Decisions {
    friends: FriendCallbackServiceClient<Channel>,
    groups: GroupCallbackServiceClient<Channel>,
    messages: MessageCallbackServiceClient<Channel>,
    pushes: PushCallbackServiceClient<Channel>,
}

/// An answer, or a refusal, which has fewer fields.
#[derive(Serialize)]
#[serde(untagged)]
enum Said<T> {
    Allowed(T),
    Refused(Answer),
}

type Answered<T> = Result<Json<Said<T>>, StatusCode>;

struct OperationId(String);

impl<S: Sync> FromRequestParts<S> for OperationId {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, StatusCode> {
        let value = parts.headers.get("operationid").and_then(|value| value.to_str().ok());
        value.map(|value| Self(value.to_owned())).ok_or(StatusCode::BAD_REQUEST)
    }
}

fn refused<T>(refusal: proto::Refuse) -> Said<T> {
    let proto::Refuse { code, message, detail } = refusal;
    let answer = Answer::success();
    Said::Refused(Answer { err_code: code, err_msg: message.into(), err_dlt: detail.into(), next_code: 1, ..answer })
}

/// Whatever goes wrong on the way to a decision, or with it.
fn no_decision<E>(_: E) -> StatusCode {
    StatusCode::BAD_GATEWAY
}

async fn before_set_friend_remark(
    State(mut decisions): State<Decisions>,
    OperationId(operation_id): OperationId,
    Json(Remark { owner_user_id, friend_user_id, remark }): Json<Remark>,
) -> Answered<RemarkAnswer> {
    use before_set_friend_remark_response::Decision;
    let request =
        proto::BeforeSetFriendRemarkRequest { operation_id, owner_user_id, friend_user_id, remark: remark.clone() };
    let reply = decisions.friends.before_set_friend_remark(request).await.map_err(no_decision)?;
    let allow = |remark| Said::Allowed(RemarkAnswer::success(remark));
    Ok(Json(match reply.into_inner().decision.ok_or(StatusCode::BAD_GATEWAY)? {
        Decision::Allow(_) => allow(remark),
        Decision::ReplaceRemark(replaced) => allow(replaced.remark),
        Decision::Refuse(refusal) => refused(refusal),
    }))
}

async fn before_online_push(
    State(mut decisions): State<Decisions>,
    OperationId(operation_id): OperationId,
    Json(push): Json<OnlinePush>,
) -> Answered<Answer> {
    use before_online_push_response::Decision;
    let request = proto::BeforeOnlinePushRequest {
        operation_id,
        sender_platform_id: push.platform_id,
        sender_platform_name: push.platform,
        receiver_user_ids: push.user_ids.unwrap_or_default(),
        client_msg_id: push.client_msg_id,
        sender_user_id: push.send_id,
        group_id: push.group_id,
        session_type: push.session_type,
        content_type: push.content_type,
        at_user_ids: push.at_user_ids.unwrap_or_default(),
        content: push.content,
    };
    let reply = decisions.pushes.before_online_push(request).await.map_err(no_decision)?;
    Ok(Json(match reply.into_inner().decision.ok_or(StatusCode::BAD_GATEWAY)? {
        Decision::Allow(_) => Said::Allowed(Answer::success()),
        Decision::Refuse(refusal) => refused(refusal),
    }))
}

async fn before_set_group_info_ex(
    State(mut decisions): State<Decisions>,
    OperationId(operation_id): OperationId,
    Json(mut group): Json<GroupEx>,
) -> Answered<GroupAnswer> {
    use before_set_group_info_ex_response::Decision;
    let request = proto::BeforeSetGroupInfoExRequest {
        operation_id,
        group_id: group.group_id.clone(),
        group_name: group.group_name.clone(),
        notification: group.notification.take(),
        introduction: group.introduction.clone(),
        face_url: group.face_url.clone(),
        ex: group.ex.clone(),
        need_verification: group.need_verification,
        look_member_info: group.look_member_info,
        apply_member_friend: group.apply_member_friend,
    };
    let reply = decisions.groups.before_set_group_info_ex(request).await.map_err(no_decision)?;
    let change = match reply.into_inner().decision.ok_or(StatusCode::BAD_GATEWAY)? {
        Decision::Allow(_) => proto::BeforeSetGroupInfoExChange::default(),
        Decision::Change(change) => change,
        Decision::Refuse(refusal) => return Ok(Json(refused(refusal))),
    };
    Ok(Json(Said::Allowed(GroupAnswer::success(
        group.group_id,
        change.group_name.or(group.group_name),
        change.introduction.or(group.introduction),
        change.face_url.or(group.face_url),
        change.ex.or(group.ex),
        change.need_verification.or(group.need_verification),
        change.look_member_info.or(group.look_member_info),
        change.apply_member_friend.or(group.apply_member_friend),
    ))))
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
        let decisions = Decisions {
            friends: FriendCallbackServiceClient::new(channel.clone()),
            groups: GroupCallbackServiceClient::new(channel.clone()),
            messages: MessageCallbackServiceClient::new(channel.clone()),
            pushes: PushCallbackServiceClient::new(channel),
        };
        let callbacks = Router::new()
            .route("/callbackBeforeSetFriendRemarkCommand", post(before_set_friend_remark))
            .route("/callbackBeforeOnlinePushCommand", post(before_online_push))
            .route("/callbackBeforeSetGroupInfoExCommand", post(before_set_group_info_ex))
            .route("/callbackBeforeSendSingleMsgCommand", post(messages::before_send_single_msg))
            .route("/callbackBeforeMsgModifyCommand", post(messages::before_msg_modify))
            .route("/callbackAfterSendSingleMsgCommand", post(messages::after_send_single_msg))
            .route("/callbackAfterMsgSaveDBCommand", post(messages::after_msg_save_db))
            .with_state(decisions);
        let router = Router::new().nest("/callbackExample", callbacks);
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
