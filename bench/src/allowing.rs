//! Decision services that give the same answer by every rpc: one that allows, and the core of others.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header};
use tokio::net::{TcpListener, TcpStream};

/// A message of gRPC that sets the decision `allow`: no flag, two bytes long.
const ALLOW: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];

/// Serves on loopback until the runtime ends, and says where.
///
/// # Errors
///
/// When the system gives no port.
pub async fn serve() -> anyhow::Result<SocketAddr> {
    serve_by(|_| async { ALLOW }).await
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
