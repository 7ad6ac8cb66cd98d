//! A decision service for every rpc, which answers as the test says, and gives out what it was asked as bytes.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc, clippy::disallowed_methods)]

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use tokio::sync::oneshot;

use super::PATIENCE;

/// The code of gRPC for an rpc that is not there.
pub const UNIMPLEMENTED: i32 = 12;
/// No code: the call is never answered.
pub const HANGS: i32 = -1;

/// A running service.
pub struct AnyService {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
    asked: Mutex<mpsc::Receiver<Asked>>,
}

/// What it was asked.
#[derive(Debug)]
pub struct Asked {
    /// Of the rpc.
    pub path: String,
    pub metadata: HeaderMap,
    pub message: Bytes,
}

impl Asked {
    pub fn metadata(&self, name: &str) -> &str {
        self.metadata.get(name).map(|value| value.to_str().expect("ASCII")).unwrap_or_default()
    }
}

/// Answers each call of an rpc, by its path, with a message, or a status of gRPC.
pub fn any_service(answer: impl Fn(&str) -> Result<Vec<u8>, i32> + Send + Sync + 'static) -> AnyService {
    any_service_at(SocketAddr::from(([127, 0, 0, 1], 0)), move |asked| answer(&asked.path))
}

/// The same by all that it is asked, on this address.
pub fn any_service_at(
    address: SocketAddr,
    answer: impl Fn(&Asked) -> Result<Vec<u8>, i32> + Send + Sync + 'static,
) -> AnyService {
    slow_service_at(address, Duration::ZERO, answer)
}

/// The same, each answer after this time.
pub fn slow_service_at(
    address: SocketAddr,
    delay: Duration,
    answer: impl Fn(&Asked) -> Result<Vec<u8>, i32> + Send + Sync + 'static,
) -> AnyService {
    let listener = TcpListener::bind(address).expect("a port");
    listener.set_nonblocking(true).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (tell, asked) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let answer = Arc::new(answer);
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let serve = async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, answer) = (tell.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        let (tell, answer) = (tell.clone(), Arc::clone(&answer));
                        tokio::spawn(async move {
                            let (head, mut body) = request.into_parts();
                            let mut frame = BytesMut::new();
                            while let Some(Ok(chunk)) = body.data().await {
                                let _released = body.flow_control().release_capacity(chunk.len());
                                frame.extend_from_slice(&chunk);
                            }
                            let path = head.uri.path().to_owned();
                            let is_callback = path.starts_with("/openim.bridge.v1.");
                            let answer = if is_callback {
                                let asked = Asked { path, metadata: head.headers, message: message_in(&frame) };
                                let answer = answer(&asked);
                                tokio::time::sleep(delay).await;
                                let _over = tell.send(asked);
                                answer
                            } else {
                                Err(UNIMPLEMENTED)
                            };
                            if matches!(answer, Err(HANGS)) {
                                return std::future::pending().await;
                            }
                            let head = Response::builder().header("content-type", "application/grpc");
                            let Ok(mut stream) = respond.send_response(head.body(()).expect("a head"), false) else {
                                return;
                            };
                            let status = *answer.as_ref().err().unwrap_or(&0);
                            if let Ok(message) = answer {
                                let _gone = stream.send_data(framed(&message), false);
                            }
                            let status = HeaderValue::from(status);
                            let _gone = stream.send_trailers(HeaderMap::from_iter([(
                                "grpc-status".parse().expect("a name"),
                                status,
                            )]));
                        });
                    }
                });
            }
        };
        runtime.block_on(async {
            tokio::select! {
                () = serve => {}
                // A service that nobody holds any more stays for whoever still asks it.
                Ok(()) = stopped => {}
            }
        });
    });
    AnyService { address, stop, thread, asked: Mutex::new(asked) }
}

/// The frame must be whole, and hold the one message.
fn message_in(frame: &[u8]) -> Bytes {
    let (head, message) = frame.split_at_checked(5).expect("a frame");
    assert_eq!(head[0], 0, "compressed");
    assert_eq!(head[1..], u32::try_from(message.len()).expect("short").to_be_bytes(), "another length");
    Bytes::copy_from_slice(message)
}

fn framed(message: &[u8]) -> Bytes {
    let mut framed = vec![0];
    framed.extend_from_slice(&u32::try_from(message.len()).expect("short").to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

impl AnyService {
    /// Ends the service: its connections break, and its port refuses new ones.
    pub fn stop(self) {
        let _ended = self.stop.send(());
        self.thread.join().expect("the service ends");
    }

    /// What it is asked next.
    #[track_caller]
    pub fn next(&self) -> Asked {
        self.asked.lock().expect("calls").recv_timeout(PATIENCE).expect("the service was not asked in time")
    }

    /// What it was asked, and nobody has looked at.
    pub fn all(&self) -> Vec<Asked> {
        self.asked.lock().expect("calls").try_iter().collect()
    }
}
