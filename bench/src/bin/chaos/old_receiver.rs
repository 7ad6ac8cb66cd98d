//! The HTTP receiver that a team already has, and its ways to fail. It counts how often it got each callback.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use anyhow::Context as _;
use openim_bridge_bench::callback::read_request;
use serde::Deserialize;
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpListener, TcpSocket, TcpStream},
    task::{JoinHandle, JoinSet},
};

pub(crate) const GARBAGE: &[u8] = b"<html>Bad Gateway</html>";
const LARGE: usize = 3_000_000;

/// What it does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Answers,
    /// Nobody listens, and all connections are reset.
    Gone,
    Hangs,
    /// A connection's second request is read, and the connection closed.
    ClosesKept,
    Large,
    Garbage,
}

#[derive(Debug)]
struct State {
    way: Way,
    /// By remark, which no two callbacks share.
    got: HashMap<String, usize>,
    connections: usize,
}

pub(crate) struct OldReceiver {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: Option<JoinHandle<()>>,
}

impl OldReceiver {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let state = State { way: Way::Answers, got: HashMap::new(), connections: 0 };
        let address = SocketAddr::from(([127, 0, 0, 40], 0));
        let mut receiver = Self { address, state: Arc::new(Mutex::new(state)), serving: None };
        receiver.listen()?;
        Ok(receiver)
    }

    fn listen(&mut self) -> anyhow::Result<()> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(self.address)?;
        let listener = socket.listen(1024)?;
        self.address = listener.local_addr()?;
        self.serving = Some(tokio::spawn(serve(listener, Arc::clone(&self.state))));
        Ok(())
    }

    pub(crate) async fn turn(&mut self, way: Way) -> anyhow::Result<()> {
        lock(&self.state).way = way;
        if way == Way::Gone {
            let serving = self.serving.take().context("it is gone already")?;
            serving.abort();
            // Until the listener is closed.
            let _aborted = serving.await;
        } else if self.serving.is_none() {
            self.listen()?;
        }
        Ok(())
    }

    /// Callbacks that came more than once.
    pub(crate) fn twice(&self) -> usize {
        lock(&self.state).got.values().filter(|times| **times > 1).count()
    }

    pub(crate) fn got(&self) -> usize {
        lock(&self.state).got.len()
    }

    pub(crate) fn connections(&self) -> usize {
        lock(&self.state).connections
    }
}

impl Drop for OldReceiver {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Its connections end with it.
async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        lock(&state).connections += 1;
        connections.spawn(converse(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

#[derive(Deserialize)]
struct Asked {
    remark: String,
}

/// Ends as the connection does, or as the receiver's way is to end it.
async fn converse(mut stream: TcpStream, state: Arc<Mutex<State>>) -> anyhow::Result<()> {
    let mut is_kept = false;
    while let Some(body) = read_request(&mut stream).await? {
        let Asked { remark } = serde_json::from_slice(&body)?;
        let way = {
            let mut state = lock(&state);
            *state.got.entry(remark.clone()).or_default() += 1;
            state.way
        };
        let answer = match way {
            Way::Hangs => std::future::pending().await,
            Way::Gone => return Ok(()),
            Way::ClosesKept if is_kept => return Ok(()),
            Way::Large => vec![b' '; LARGE],
            Way::Garbage => GARBAGE.to_vec(),
            Way::Answers | Way::ClosesKept => {
                format!(r#"{{"actionCode":0,"errCode":0,"errMsg":"","errDlt":"","nextCode":0,"remark":"{remark}"}}"#)
                    .into_bytes()
            }
        };
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
        stream.write_all(&[head.as_bytes(), &answer].concat()).await?;
        is_kept = true;
    }
    Ok(())
}
