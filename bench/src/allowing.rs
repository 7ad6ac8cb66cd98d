//! Decision services that give the same answer by every rpc: one that allows, one with any answer, and the core of others;
//! and an HTTP receiver that allows.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Context as _;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpStream},
};

use crate::callback::read_request;

/// A message of gRPC that sets the decision `allow`: no flag, two bytes long.
pub const ALLOW: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];

/// Serves on loopback until the runtime ends, and says where.
///
/// # Errors
///
/// When the system gives no port.
pub async fn serve() -> anyhow::Result<SocketAddr> {
    serve_answer(ALLOW).await
}

/// The same with another answer, a message in gRPC's frame.
///
/// # Errors
///
/// When the system gives no port.
pub async fn serve_answer(answer: &'static [u8]) -> anyhow::Result<SocketAddr> {
    serve_by(move |_| async move { answer }).await
}

/// The same, with the answer that `answer` has to a question; both are messages in gRPC's frame.
pub(crate) async fn serve_by<F>(answer: impl Fn(Vec<u8>) -> F + Clone + Send + 'static) -> anyhow::Result<SocketAddr>
where
    F: Future<Output = &'static [u8]> + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_all(stream, answer.clone()));
        }
    });
    Ok(address)
}

/// Ends when the connection does.
async fn answer_all<F>(stream: TcpStream, answer: impl Fn(Vec<u8>) -> F + Clone + Send + 'static) -> Option<()>
where
    F: Future<Output = &'static [u8]> + Send + 'static,
{
    stream.set_nodelay(true).ok()?;
    let mut connection = h2::server::handshake(stream).await.ok()?;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut question = Vec::new();
            while let Some(Ok(chunk)) = body.data().await {
                body.flow_control().release_capacity(chunk.len()).ok()?;
                question.extend_from_slice(&chunk);
            }
            let answer = answer(question).await;
            let mut head = Response::new(());
            head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            let mut stream = respond.send_response(head, false).ok()?;
            stream.send_data(Bytes::from_static(answer), false).ok()?;
            let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
            stream.send_trailers(HeaderMap::from_iter([status])).ok()
        });
    }
    Some(())
}

/// An HTTP receiver on loopback until the runtime ends, which lets OpenIM go on with the remark that it asks about.
///
/// # Errors
///
/// When the system gives no port.
pub async fn serve_http() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream));
        }
    });
    Ok(address)
}

/// Ends when the connection does.
async fn converse(mut stream: TcpStream) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    while let Some(request) = read_request(&mut stream).await? {
        stream.write_all(&allowed(remark_in(&request).context("no remark")?)).await?;
    }
    Ok(())
}

/// A remark that needs no escaping.
fn remark_in(body: &[u8]) -> Option<&str> {
    let (_, rest) = str::from_utf8(body).ok()?.split_once("\"remark\":\"")?;
    Some(rest.split_once('"')?.0)
}

fn allowed(remark: &str) -> Vec<u8> {
    let body = format!(
        "{{\"actionCode\":0,\"errCode\":0,\"errMsg\":\"\",\"errDlt\":\"\",\"nextCode\":0,\"remark\":\"{remark}\"}}"
    );
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
    format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::{Told, told},
        callback::{read_answer, request},
    };

    #[tokio::test]
    async fn each_request_of_a_kept_connection_is_allowed_with_its_remark() {
        let receiver = serve_http().await.expect("started");
        let mut stream = TcpStream::connect(receiver).await.expect("connected");
        for remark in ["one", "other"] {
            stream.write_all(&request(receiver, "id", remark)).await.expect("sent");
            let answer = read_answer(&mut stream).await.expect("answered");
            assert_eq!(told(&answer.body, remark), Told::Decided);
        }
    }
}
