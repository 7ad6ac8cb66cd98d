//! A TCP proxy that counts connections and GOAWAYs, and can stop forwarding without closing anything, as a network does
//! that loses every packet.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// A proxy in front of a server. It ends when this is dropped; what it forwards goes on until either side closes.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub address: SocketAddr,
    stopped: watch::Sender<bool>,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    goaways: AtomicUsize,
}

impl Proxy {
    /// Forwards to `server`.
    ///
    /// # Errors
    ///
    /// When the system gives no port.
    pub async fn start(server: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (stopped, _) = watch::channel(false);
        let seen = Arc::<Seen>::default();
        let (stops, counts) = (stopped.clone(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                counts.connections.fetch_add(1, Relaxed);
                tokio::spawn(forward(client, server, stops.subscribe(), Arc::clone(&counts)));
            }
        });
        Ok(Self { address, stopped, seen, task })
    }

    /// Forwards nothing from now on, or again. Connections stay open, and new ones are taken.
    pub fn stop(&self, stop: bool) {
        self.stopped.send_replace(stop);
    }

    /// Connections that were made to it.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Relaxed)
    }

    /// GOAWAY frames that the server has sent.
    #[must_use]
    pub fn goaways(&self) -> usize {
        self.seen.goaways.load(Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(client: TcpStream, server: SocketAddr, mut stopped: watch::Receiver<bool>, seen: Arc<Seen>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    // Without it bytes only come later.
    let _later = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut back = stopped.clone();
    // Either side's end is the end of both, as of a connection.
    tokio::select! {
        _ = copy(from_client, to_server, &mut stopped, |_| ()) => {}
        _ = async {
            let mut frames = Frames::default();
            copy(from_server, to_client, &mut back, |bytes| {
                seen.goaways.fetch_add(frames.goaways(bytes), Relaxed);
            }).await
        } => {}
    }
}

async fn copy(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    stopped: &mut watch::Receiver<bool>,
    mut look: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut buffer).await?;
        // The proxy may have gone, and forwards what it has.
        drop(stopped.wait_for(|stopped| !stopped).await);
        if length == 0 {
            return Ok(());
        }
        look(&buffer[..length]);
        to.write_all(&buffer[..length]).await?;
    }
}

/// An HTTP/2 server's frames, as their bytes go by.
#[derive(Debug, Default)]
struct Frames {
    head: Vec<u8>,
    /// Bytes of the payload that are still to come.
    payload: usize,
}

impl Frames {
    /// How many GOAWAYs have begun in `bytes`.
    fn goaways(&mut self, mut bytes: &[u8]) -> usize {
        const HEAD: usize = 9;
        const GOAWAY: u8 = 7;
        let mut found = 0;
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = self.payload.min(bytes.len());
                self.payload -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let (head, rest) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
            self.head.extend_from_slice(head);
            bytes = rest;
            if let [high, middle, low, kind, ..] = self.head[..]
                && self.head.len() == HEAD
            {
                self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
                found += usize::from(kind == GOAWAY);
                self.head.clear();
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goaways_are_counted_however_the_bytes_are_cut() {
        let settings = [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100];
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7];
        let bytes = [&settings[..], &goaway, &settings, &goaway].concat();
        for size in 1..=bytes.len() {
            let mut frames = Frames::default();
            assert_eq!(bytes.chunks(size).map(|chunk| frames.goaways(chunk)).sum::<usize>(), 2, "by {size}");
        }
    }
}
