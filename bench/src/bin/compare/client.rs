//! One callback over a socket, its answer held against what OpenIM should be told.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail};
use openim_bridge_bench::callback::read_answer;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::yield_now,
    time::{self, Instant},
};
use tokio_rustls::TlsConnector;

use crate::kind::{Callbacks, Kind};

/// How long a contender may take from its start to its first good answer.
const START: Duration = Duration::from_secs(20);

/// A connection from the loopback address of `number`. Each address has ports of its own, so that connections in
/// `TIME_WAIT` do not use them up; and none is the contender's address, to which a socket may connect to itself while
/// nobody listens.
pub(crate) async fn connect(to: SocketAddr, number: u8) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 1, number), 0).into()).context("no port is left")?;
    let stream = socket.connect(to).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Good {
    /// When its last byte was there.
    pub(crate) at: Instant,
    /// Whether its connection closes.
    pub(crate) closes: bool,
}

/// Sends callback `number`, and reads the answer, which must be the decision.
pub(crate) async fn exchange(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    callbacks: &Callbacks,
    number: u64,
) -> anyhow::Result<Good> {
    stream.write_all(&callbacks.request(number)).await.context("cannot send")?;
    let answer = read_answer(stream).await?;
    callbacks.check(number, &answer.body).with_context(|| format!("status {}", answer.status))?;
    Ok(Good { at: answer.at, closes: answer.closes })
}

/// Asks repeatedly, from before anybody listens. When the first good answer was there.
pub(crate) async fn first_answer(host: SocketAddr, tls: Option<&TlsConnector>) -> anyhow::Result<Instant> {
    let callbacks = Callbacks::new(Kind::Remark, host)?;
    let mut last = None;
    let began = Instant::now();
    while began.elapsed() < START {
        match time::timeout(START, ask_once(&callbacks, tls)).await {
            Ok(Ok(good)) => return Ok(good.at),
            Ok(Err(error)) => last = Some(error),
            Err(_) => bail!("no answer within {START:?}"),
        }
        // Others of this program have their turn; nobody waits.
        yield_now().await;
    }
    let last = last.map(|error| format!("{error:#}")).unwrap_or_default();
    bail!("no good answer within {START:?} of its start, but: {last}")
}

async fn ask_once(callbacks: &Callbacks, tls: Option<&TlsConnector>) -> anyhow::Result<Good> {
    let host = callbacks.host();
    let mut stream = connect(host, 1).await?;
    let Some(tls) = tls else { return exchange(&mut stream, callbacks, 0).await };
    let mut stream = tls.connect(ServerName::from(host.ip()), stream).await.context("the TLS handshake failed")?;
    exchange(&mut stream, callbacks, 0).await
}
