//! One callback over a socket, its answer held against what OpenIM should be told.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail};
use openim_bridge_bench::{
    answer::{Told, told},
    callback::{self, read_answer},
};
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    task::yield_now,
    time::{self, Instant},
};
use tokio_rustls::TlsConnector;

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
    host: SocketAddr,
    number: u64,
) -> anyhow::Result<Good> {
    let remark = format!("pal {number}");
    let request = callback::request(host, &format!("compare-{number}"), &remark);
    stream.write_all(&request).await.context("cannot send")?;
    let answer = read_answer(stream).await?;
    match told(&answer.body, &remark) {
        Told::Decided => Ok(Good { at: answer.at, closes: answer.closes }),
        Told::FellBack(code) => bail!("a fallback, {code}"),
        Told::Wrong(body) | Told::Missing(body) => bail!("a wrong answer to {remark:?}: {} {body}", answer.status),
    }
}

/// Asks again and again, from before anybody listens. When the first good answer was there.
pub(crate) async fn first_answer(host: SocketAddr, tls: Option<&TlsConnector>) -> anyhow::Result<Instant> {
    let mut last = None;
    let began = Instant::now();
    while began.elapsed() < START {
        match time::timeout(START, ask_once(host, tls)).await {
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

async fn ask_once(host: SocketAddr, tls: Option<&TlsConnector>) -> anyhow::Result<Good> {
    let mut stream = connect(host, 1).await?;
    let Some(tls) = tls else { return exchange(&mut stream, host, 0).await };
    let mut stream = tls.connect(ServerName::from(host.ip()), stream).await.context("the TLS handshake failed")?;
    exchange(&mut stream, host, 0).await
}
