//! The decision service that every contender asks: it allows every callback, except a remark `mock:hang`, which it never
//! answers, and a message whose content holds `edit `, which becomes `edited `.
//!
//! One thread, and as little work per call as a gRPC server can do, for what is measured to be the contender. It speaks
//! the bridge's contract, and that of the transcoders, whose service has to answer in OpenIM's own shape.

use std::{
    error::Error,
    future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use clap::Parser;
use tokio::{io::AsyncWriteExt as _, net::TcpListener, runtime, task::JoinSet};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

#[allow(clippy::pedantic)] // generated
mod proto {
    pub mod bridge {
        tonic::include_proto!("openim.bridge.v1");
    }
    pub mod bench {
        tonic::include_proto!("bench.v1");
    }
}
use proto::{
    bench::{
        self,
        open_im_callback_service_server::{OpenImCallbackService, OpenImCallbackServiceServer},
    },
    bridge::{
        self, before_msg_modify_response, before_online_push_response, before_send_single_msg_response,
        before_set_friend_remark_response, before_set_group_info_ex_response,
        friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
        group_callback_service_server::{GroupCallbackService, GroupCallbackServiceServer},
        message_callback_service_server::{MessageCallbackService, MessageCallbackServiceServer},
        push_callback_service_server::{PushCallbackService, PushCallbackServiceServer},
    },
};

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Flags {
    /// Where it listens; may be given again, for as many endpoints in one process.
    #[arg(long, required = true)]
    listen: Vec<SocketAddr>,
    /// Where whoever connects is told how many after callbacks there were, in decimal.
    #[arg(long)]
    count_listen: Option<SocketAddr>,
}

#[derive(Clone, Default)]
struct Service {
    /// After callbacks.
    events: Arc<AtomicU64>,
}

type Answer<T> = Result<Response<T>, Status>;

async fn think(remark: &str) {
    if remark == "mock:hang" {
        future::pending::<()>().await;
    }
}

/// What a content becomes.
fn edited(content: &str) -> Option<String> {
    let (before, after) = content.split_once("edit ")?;
    Some(format!("{before}edited {after}"))
}

/// What the transcoders' service answers in OpenIM's shape to let a user's action go on.
fn success() -> bench::CommonResponse {
    bench::CommonResponse { err_msg: "Success".to_owned(), ..Default::default() }
}

#[tonic::async_trait]
impl FriendCallbackService for Service {
    async fn before_set_friend_remark(
        &self,
        request: Request<bridge::BeforeSetFriendRemarkRequest>,
    ) -> Answer<bridge::BeforeSetFriendRemarkResponse> {
        think(&request.get_ref().remark).await;
        let decision = Some(before_set_friend_remark_response::Decision::Allow(bridge::Allow {}));
        Ok(Response::new(bridge::BeforeSetFriendRemarkResponse { decision }))
    }
}

#[tonic::async_trait]
impl GroupCallbackService for Service {
    async fn before_set_group_info_ex(
        &self,
        _: Request<bridge::BeforeSetGroupInfoExRequest>,
    ) -> Answer<bridge::BeforeSetGroupInfoExResponse> {
        let decision = Some(before_set_group_info_ex_response::Decision::Allow(bridge::Allow {}));
        Ok(Response::new(bridge::BeforeSetGroupInfoExResponse { decision }))
    }
}

#[tonic::async_trait]
impl PushCallbackService for Service {
    async fn before_online_push(
        &self,
        _: Request<bridge::BeforeOnlinePushRequest>,
    ) -> Answer<bridge::BeforeOnlinePushResponse> {
        let decision = Some(before_online_push_response::Decision::Allow(bridge::Allow {}));
        Ok(Response::new(bridge::BeforeOnlinePushResponse { decision }))
    }
}

#[tonic::async_trait]
impl MessageCallbackService for Service {
    async fn before_send_single_msg(
        &self,
        _: Request<bridge::BeforeSendSingleMsgRequest>,
    ) -> Answer<bridge::BeforeSendSingleMsgResponse> {
        let decision = Some(before_send_single_msg_response::Decision::Allow(bridge::Allow {}));
        Ok(Response::new(bridge::BeforeSendSingleMsgResponse { decision }))
    }

    async fn before_msg_modify(
        &self,
        request: Request<bridge::BeforeMsgModifyRequest>,
    ) -> Answer<bridge::BeforeMsgModifyResponse> {
        use before_msg_modify_response::Decision;
        let decision = Some(match edited(&request.get_ref().content) {
            None => Decision::Allow(bridge::Allow {}),
            content => Decision::Change(bridge::BeforeMsgModifyChange { content, ..Default::default() }),
        });
        Ok(Response::new(bridge::BeforeMsgModifyResponse { decision }))
    }

    async fn after_send_single_msg(
        &self,
        _: Request<bridge::AfterSendSingleMsgRequest>,
    ) -> Answer<bridge::AfterSendSingleMsgResponse> {
        self.events.fetch_add(1, Relaxed);
        Ok(Response::new(bridge::AfterSendSingleMsgResponse {}))
    }

    async fn after_msg_save_db(
        &self,
        _: Request<bridge::AfterMsgSaveDbRequest>,
    ) -> Answer<bridge::AfterMsgSaveDbResponse> {
        self.events.fetch_add(1, Relaxed);
        Ok(Response::new(bridge::AfterMsgSaveDbResponse {}))
    }
}

#[tonic::async_trait]
impl OpenImCallbackService for Service {
    async fn before_set_friend_remark(
        &self,
        request: Request<bench::BeforeSetFriendRemarkRequest>,
    ) -> Answer<bench::BeforeSetFriendRemarkResponse> {
        let remark = request.into_inner().remark;
        think(&remark).await;
        Ok(Response::new(bench::BeforeSetFriendRemarkResponse {
            err_msg: "Success".to_owned(),
            remark,
            ..Default::default()
        }))
    }

    async fn before_send_single_msg(&self, _: Request<bench::MessageRequest>) -> Answer<bench::CommonResponse> {
        Ok(Response::new(success()))
    }

    async fn before_msg_modify(
        &self,
        request: Request<bench::MessageRequest>,
    ) -> Answer<bench::BeforeMsgModifyResponse> {
        Ok(Response::new(bench::BeforeMsgModifyResponse {
            err_msg: "Success".to_owned(),
            content: edited(&request.get_ref().content),
            ..Default::default()
        }))
    }

    async fn before_online_push(&self, _: Request<bench::BeforeOnlinePushRequest>) -> Answer<bench::CommonResponse> {
        Ok(Response::new(success()))
    }

    async fn before_set_group_info_ex(
        &self,
        request: Request<bench::BeforeSetGroupInfoExRequest>,
    ) -> Answer<bench::BeforeSetGroupInfoExResponse> {
        let asked = request.into_inner();
        Ok(Response::new(bench::BeforeSetGroupInfoExResponse {
            err_msg: "Success".to_owned(),
            group_id: asked.group_id,
            group_name: asked.group_name,
            introduction: asked.introduction,
            face_url: asked.face_url,
            ex: asked.ex,
            need_verification: asked.need_verification,
            look_member_info: asked.look_member_info,
            apply_member_friend: asked.apply_member_friend,
            ..Default::default()
        }))
    }

    async fn after_send_single_msg(&self, _: Request<bench::MessageRequest>) -> Answer<bench::CommonResponse> {
        self.events.fetch_add(1, Relaxed);
        Ok(Response::new(success()))
    }

    async fn after_msg_save_db(&self, _: Request<bench::MessageRequest>) -> Answer<bench::CommonResponse> {
        self.events.fetch_add(1, Relaxed);
        Ok(Response::new(success()))
    }
}

async fn serve(address: SocketAddr, service: Service) -> Result<(), Failure> {
    let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
    Server::builder()
        // A contender may have all that hangs on one connection.
        .max_concurrent_streams(16_384)
        .add_service(FriendCallbackServiceServer::new(service.clone()))
        .add_service(GroupCallbackServiceServer::new(service.clone()))
        .add_service(MessageCallbackServiceServer::new(service.clone()))
        .add_service(PushCallbackServiceServer::new(service.clone()))
        .add_service(OpenImCallbackServiceServer::new(service))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

/// Tells how many after callbacks there were, and closes.
async fn tell(address: SocketAddr, service: Service) -> Result<(), Failure> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        // Whoever has gone does not want to know.
        _ = stream.write_all(service.events.load(Relaxed).to_string().as_bytes()).await;
    }
}

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let service = Service::default();
        let mut serving: JoinSet<_> = flags.listen.into_iter().map(|address| serve(address, service.clone())).collect();
        if let Some(address) = flags.count_listen {
            serving.spawn(tell(address, service));
        }
        while let Some(ended) = serving.join_next().await {
            ended??;
        }
        Ok(())
    })
}
