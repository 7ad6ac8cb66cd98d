//! The decision service that every contender asks: it allows every remark, except `mock:hang`, which it never answers.
//!
//! One thread, and as little work per call as a gRPC server can do, for what is measured to be the contender. It speaks
//! the bridge's contract, and that of the transcoders, whose service has to answer in OpenIM's own shape.

use std::{error::Error, future, net::SocketAddr};

use clap::Parser;
use tokio::{runtime, task::JoinSet};
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
        self,
        before_set_friend_remark_response::Decision,
        friend_callback_service_server::{FriendCallbackService, FriendCallbackServiceServer},
    },
};

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
struct Flags {
    /// Where it listens; may be given again, for as many endpoints in one process.
    #[arg(long, required = true)]
    listen: Vec<SocketAddr>,
}

#[derive(Clone)]
struct Service;

async fn think(remark: &str) {
    if remark == "mock:hang" {
        future::pending::<()>().await;
    }
}

#[tonic::async_trait]
impl FriendCallbackService for Service {
    async fn before_set_friend_remark(
        &self,
        request: Request<bridge::BeforeSetFriendRemarkRequest>,
    ) -> Result<Response<bridge::BeforeSetFriendRemarkResponse>, Status> {
        think(&request.get_ref().remark).await;
        let decision = Some(Decision::Allow(bridge::Allow {}));
        Ok(Response::new(bridge::BeforeSetFriendRemarkResponse { decision }))
    }
}

#[tonic::async_trait]
impl OpenImCallbackService for Service {
    async fn before_set_friend_remark(
        &self,
        request: Request<bench::BeforeSetFriendRemarkRequest>,
    ) -> Result<Response<bench::BeforeSetFriendRemarkResponse>, Status> {
        let remark = request.into_inner().remark;
        think(&remark).await;
        Ok(Response::new(bench::BeforeSetFriendRemarkResponse {
            err_msg: "Success".to_owned(),
            remark,
            ..Default::default()
        }))
    }
}

async fn serve(address: SocketAddr) -> Result<(), Failure> {
    let incoming = TcpIncoming::bind(address)?.with_nodelay(Some(true));
    Server::builder()
        // A contender may have all that hangs on one connection.
        .max_concurrent_streams(16_384)
        .add_service(FriendCallbackServiceServer::new(Service))
        .add_service(OpenImCallbackServiceServer::new(Service))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut endpoints: JoinSet<_> = flags.listen.into_iter().map(serve).collect();
        while let Some(ended) = endpoints.join_next().await {
            ended??;
        }
        Ok(())
    })
}
