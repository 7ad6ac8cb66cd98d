//! After callbacks at a constant rate, in the bodies of a real server, of many keys: the events of one key come one after
//! the other, each when the one before is answered, so that their order at the bridge is known.
//!
//! Each is known by its operation ID, which the bridge hands on: `KEY.NUMBER`, its key and its place among those of the key.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    task::JoinSet,
    time::{self, Instant},
};

use crate::{callback::read_answer, stats::per_mille};

/// Connections of OpenIM's services to the bridge.
const CONNECTIONS: usize = 50;
/// An answer that has not come by then is missing: OpenIM's client never waits longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// Two captured requests whose events are of one key, and what names the key in each.
#[derive(Debug)]
struct Kind([(&'static str, &'static str); 2]);

macro_rules! captured {
    ($name:literal) => {
        include_str!(concat!("../../tests/fixtures/callbacks/", $name, ".http"))
    };
}

/// Some callbacks.
#[derive(Debug, Clone, Copy)]
pub struct Kinds(&'static [Kind]);

/// Three of four are messages.
pub const ALL: Kinds = Kinds(&[GROUP, CHAT, GROUP, CHAT, USER, GROUP, CHAT, FRIEND]);
/// A callback that is not among them.
pub const READERS: Kinds = Kinds(&[Kind([READ, READ])]);
const GROUP: Kind = Kind([
    (captured!("afterSendGroupMsg"), "\"groupID\":\"g1\""),
    (captured!("afterSetGroupInfo"), "\"groupID\":\"G3\""),
]);
const CHAT: Kind =
    Kind([(captured!("afterSendSingleMsg"), "\"sendID\":\"u1\""), (captured!("afterMsgSaveDB"), "\"sendID\":\"u1\"")]);
const USER: Kind =
    Kind([(captured!("afterUserOnline"), "\"userID\":\"u1\""), (captured!("afterUserOffline"), "\"userID\":\"u1\"")]);
const READ: (&str, &str) = (captured!("afterGroupMsgRead"), "\"sendID\":\"u2\"");
const FRIEND: Kind = Kind([
    (captured!("afterSetFriendRemark"), "\"ownerUserID\":\"u1\""),
    (captured!("afterDeleteFriend"), "\"ownerUserID\":\"u1\""),
]);

/// Events that are being sent.
#[derive(Debug)]
pub struct Events {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<anyhow::Result<Sent>>,
}

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// How many of each key, by its name.
    keys: HashMap<String, usize>,
    /// Which were not answered as taken in, by their operation IDs, and why.
    pub unanswered: HashMap<String, String>,
    /// The seconds until each was answered.
    took: Vec<f64>,
}

impl Events {
    /// Sends `rate` events a second from now on, of so many keys in turn.
    #[must_use]
    pub fn start(bridge: SocketAddr, rate: u32, keys: usize) -> Self {
        Self::start_named(bridge, rate, keys, "k")
    }

    /// The same with names of keys that begin with `name`, which no others in the same bridge do.
    #[must_use]
    pub fn start_named(bridge: SocketAddr, rate: u32, keys: usize, name: &str) -> Self {
        Self::start_of(ALL, bridge, rate, keys, name)
    }

    /// The same of some callbacks only.
    #[must_use]
    pub fn start_of(kinds: Kinds, bridge: SocketAddr, rate: u32, keys: usize, name: &str) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let connections = CONNECTIONS.min(keys);
        let every = Duration::from_secs(1) * u32::try_from(connections).unwrap_or(u32::MAX) / rate.max(1);
        let mut tasks = JoinSet::new();
        for connection in 0..connections {
            let keys = (connection..keys).step_by(connections).map(|key| Key::new(kinds, key, name, bridge)).collect();
            // Spread over the time in which each sends one.
            let first = Instant::now() + every.mul_f64(fraction(connection, connections));
            tasks.spawn(send(bridge, keys, first, every, Arc::clone(&stop)));
        }
        Self { stop, tasks }
    }

    /// Sends no more, waits for the answers that are to come, and tells what became of all.
    ///
    /// # Errors
    ///
    /// When the load generator itself failed.
    pub async fn finish(mut self) -> anyhow::Result<Sent> {
        self.stop.store(true, Relaxed);
        let mut all = Sent::default();
        while let Some(sent) = self.tasks.join_next().await {
            all.extend(sent??);
        }
        Ok(all)
    }
}

#[allow(clippy::cast_precision_loss, reason = "small numbers")]
fn fraction(of: usize, all: usize) -> f64 {
    of as f64 / all as f64
}

/// One key's events.
struct Key {
    name: String,
    bodies: [(String, String); 2],
    host: SocketAddr,
    next: usize,
}

impl Key {
    fn new(Kinds(kinds): Kinds, number: usize, name: &str, host: SocketAddr) -> Self {
        let name = format!("{name}{number}");
        let bodies = kinds[number % kinds.len()].0.map(|(captured, id)| {
            let (head, body) = captured.split_once("\r\n\r\n").unwrap_or_default();
            let target = head.split(' ').nth(1).unwrap_or_default();
            let (field, _) = id.split_once(':').unwrap_or_default();
            (target.to_owned(), body.replacen(id, &format!("{field}:\"{name}\""), 1))
        });
        Self { name, bodies, host, next: 0 }
    }

    /// The next event, and its operation ID.
    fn request(&mut self) -> (Vec<u8>, String) {
        let (target, body) = &self.bodies[self.next % 2];
        let operation_id = format!("{}.{}", self.name, self.next);
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
             Content-Type: application/json; charset=utf-8\r\nOperationid: {operation_id}\r\nAccept-Encoding: gzip\r\n\r\n\
             {body}",
            self.host,
            body.len(),
        );
        self.next += 1;
        (request.into_bytes(), operation_id)
    }
}

/// On one connection, for as long as that lives.
async fn send(
    bridge: SocketAddr,
    mut keys: Vec<Key>,
    first: Instant,
    every: Duration,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Sent> {
    let mut sent = Sent::default();
    let mut kept = None;
    let mut due = first;
    for turn in 0.. {
        time::sleep_until(due).await;
        if stop.load(Relaxed) {
            break;
        }
        due += every;
        let index = turn % keys.len();
        let (request, operation_id) = keys[index].request();
        let began = Instant::now();
        match time::timeout(PATIENCE, exchange(bridge, kept.take(), &request)).await {
            Ok(Ok(stream)) => {
                kept = stream;
                sent.took.push(began.elapsed().as_secs_f64());
            }
            Ok(Err(error)) => _ = sent.unanswered.insert(operation_id, format!("{error:#}")),
            Err(_) => _ = sent.unanswered.insert(operation_id, format!("no answer within {PATIENCE:?}")),
        }
    }
    sent.keys = keys.into_iter().map(|key| (key.name, key.next)).collect();
    Ok(sent)
}

/// The event must be answered as one that the bridge has taken in. The connection, unless it closes.
async fn exchange(bridge: SocketAddr, kept: Option<TcpStream>, request: &[u8]) -> anyhow::Result<Option<TcpStream>> {
    let mut stream = match kept {
        Some(stream) => stream,
        None => connect(bridge).await?,
    };
    stream.write_all(request).await.context("cannot send")?;
    let answer = read_answer(&mut stream).await?;
    let is_success =
        answer.body.starts_with(b"{\"actionCode\":0,\"errCode\":0,") && answer.body.ends_with(b"\"nextCode\":0}");
    if answer.status != 200 || !is_success || !matches!(answer.origin.as_str(), "queued" | "route") {
        bail!("answered {} from {:?}: {}", answer.status, answer.origin, answer.body.escape_ascii());
    }
    Ok((!answer.closes).then_some(stream))
}

async fn connect(bridge: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(bridge).await.context("cannot connect")?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Sent {
    /// How many were answered as taken in.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.keys.values().sum::<usize>() - self.unanswered.len()
    }

    /// Whether this one was sent, answered or not.
    #[must_use]
    pub fn has(&self, operation_id: &str) -> bool {
        parts(operation_id).is_some_and(|(key, number)| self.keys.get(key).is_some_and(|sent| number < *sent))
    }

    /// The seconds that 999 of 1,000 answers did not exceed, and the longest.
    #[must_use]
    pub fn took(&self) -> (f64, f64) {
        let mut sorted = self.took.clone();
        sorted.sort_by(f64::total_cmp);
        (per_mille(&sorted, 999).unwrap_or_default(), sorted.last().copied().unwrap_or_default())
    }

    /// Adds others.
    pub fn extend(&mut self, others: Self) {
        self.keys.extend(others.keys);
        self.unanswered.extend(others.unanswered);
        self.took.extend(others.took);
    }
}

/// The key and the number of an event, by its operation ID.
#[must_use]
pub fn parts(operation_id: &str) -> Option<(&str, usize)> {
    let (key, number) = operation_id.rsplit_once('.')?;
    Some((key, number.parse().ok()?))
}
