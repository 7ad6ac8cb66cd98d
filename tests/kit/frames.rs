//! A decision service written in HTTP/2 frames, for what no gRPC library would ever answer:
//! `plays([answer().reset(REFUSED_STREAM), allow()])`. The health check that each connection begins with is no request: it
//! is answered by UNIMPLEMENTED.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc, clippy::disallowed_methods)]

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use openim_bridge::proto::{Allow, BeforeSetFriendRemarkResponse, before_set_friend_remark_response::Decision};
use prost::Message as _;
use socket2::SockRef;

use super::{eventually, peer};

// RFC 9113, section 7.
pub const NO_ERROR: u32 = 0x0;
pub const INTERNAL_ERROR: u32 = 0x2;
pub const REFUSED_STREAM: u32 = 0x7;
pub const CANCEL: u32 = 0x8;
pub const ENHANCE_YOUR_CALM: u32 = 0xb;
pub const INADEQUATE_SECURITY: u32 = 0xc;

// RFC 9113, section 6.5.2.
pub const HEADER_TABLE_SIZE: u16 = 0x1;
pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
pub const MAX_FRAME_SIZE: u16 = 0x5;

// RFC 9113, section 6.
pub const DATA: u8 = 0x0;
pub const HEADERS: u8 = 0x1;
pub const RST_STREAM: u8 = 0x3;
pub const SETTINGS: u8 = 0x4;
pub const PING: u8 = 0x6;
pub const GOAWAY: u8 = 0x7;
pub const WINDOW_UPDATE: u8 = 0x8;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
const ACK: u8 = 0x1;
const PREFACE_BYTES: usize = 24;

/// `/grpc.health.v1.Health/Check` in HPACK's Huffman code, as it comes the first time on a connection.
const HEALTH_CHECK: [u8; 21] = [
    0x62, 0x6b, 0x2b, 0x22, 0xf3, 0x94, 0x74, 0x26, 0x75, 0xfb, 0x85, 0x7c, 0x65, 0x1d, 0x09, 0x9d, 0x8b, 0xd3, 0x94,
    0x9d, 0x7f,
];

/// What is done with one request, step by step.
#[derive(Debug, Clone, Default)]
pub struct Answer(Vec<Step>);

#[derive(Debug, Clone)]
enum Step {
    Frame { kind: u8, flags: u8, on: On, payload: Vec<u8> },
    Ping,
    Wait(Duration),
    Until(Arc<AtomicBool>),
    GivenUp(Answer),
    Close,
    Reset,
}

/// Which stream a frame is of.
#[derive(Debug, Clone, Copy)]
pub enum On {
    Request,
    Connection,
    Another(u32),
}

/// Nothing at all.
pub fn answer() -> Answer {
    Answer::default()
}

/// The decision *allow*, as gRPC sends it.
pub fn allow() -> Answer {
    let reply = BeforeSetFriendRemarkResponse { decision: Some(Decision::Allow(Allow {})) };
    grpc().message(&reply.encode_to_vec()).trailers("0")
}

/// The head of a gRPC response.
pub fn grpc() -> Answer {
    answer().head(200, "application/grpc", false)
}

/// A whole response of something that does not speak gRPC, such as a proxy.
pub fn http(status: u16) -> Answer {
    answer().head(status, "text/html", false).data(b"<html></html>", true)
}

impl Answer {
    pub fn head(self, status: u16, content_type: &str, is_all: bool) -> Self {
        self.headers(&[(":status", &status.to_string()), ("content-type", content_type)], is_all)
    }

    pub fn message(self, message: &[u8]) -> Self {
        let length = u32::try_from(message.len()).expect("a short message");
        self.data(&[&[0][..], &length.to_be_bytes(), message].concat(), false)
    }

    pub fn data(self, data: &[u8], is_all: bool) -> Self {
        self.frame(DATA, if is_all { END_STREAM } else { 0 }, data)
    }

    pub fn trailers(self, grpc_status: &str) -> Self {
        self.headers(&[("grpc-status", grpc_status)], true)
    }

    /// Trailers that hold this too.
    pub fn trailers_with(self, grpc_status: &str, name: &str, value: &str) -> Self {
        self.headers(&[("grpc-status", grpc_status), (name, value)], true)
    }

    /// And this behind it.
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Resets the stream.
    pub fn reset(self, code: u32) -> Self {
        self.frame(RST_STREAM, 0, &code.to_be_bytes())
    }

    /// Says that the connection goes, and that no request on it was looked at.
    pub fn goes_away(self, code: u32) -> Self {
        self.connection(GOAWAY, &[0u32.to_be_bytes(), code.to_be_bytes()].concat())
    }

    /// The same, and why, in words.
    pub fn goes_away_saying(self, code: u32, text: &str) -> Self {
        self.connection(GOAWAY, &[&0u32.to_be_bytes(), &code.to_be_bytes(), text.as_bytes()].concat())
    }

    /// Says that the connection goes once the requests on it are answered.
    pub fn will_go_away(self) -> Self {
        self.connection(GOAWAY, &[(u32::MAX >> 1).to_be_bytes(), NO_ERROR.to_be_bytes()].concat())
    }

    /// Asks whether the bridge is there, and waits for no answer.
    pub fn pings(self) -> Self {
        self.connection(PING, &[1; 8])
    }

    /// Says how many calls there may be at one time on this connection.
    pub fn permits(self, calls: u32) -> Self {
        self.connection(SETTINGS, &setting(MAX_CONCURRENT_STREAMS, calls))
    }

    /// Waits until the test says so.
    pub fn waits_until(self, is_so: &Arc<AtomicBool>) -> Self {
        self.step(Step::Until(Arc::clone(is_so)))
    }

    /// Plays this when the bridge has reset the stream, which it does once for a call that it gives up.
    pub fn given_up(self, late: Self) -> Self {
        self.step(Step::GivenUp(late))
    }

    /// Waits until the bridge has read all this. A connection that breaks may overtake what was sent on it.
    pub fn reaches_the_bridge(self) -> Self {
        self.step(Step::Ping)
    }

    pub fn waits(self, time: Duration) -> Self {
        self.step(Step::Wait(time))
    }

    /// Closes the connection.
    pub fn closes(self) -> Self {
        self.step(Step::Close)
    }

    /// Resets the TCP connection.
    pub fn resets(self) -> Self {
        self.step(Step::Reset)
    }

    pub fn headers(self, headers: &[(&str, &str)], is_all: bool) -> Self {
        self.frame(HEADERS, END_HEADERS | if is_all { END_STREAM } else { 0 }, &block(headers))
    }

    /// Any frame.
    pub fn frame_on(self, on: On, kind: u8, flags: u8, payload: &[u8]) -> Self {
        self.step(Step::Frame { kind, flags, on, payload: payload.to_vec() })
    }

    fn frame(self, kind: u8, flags: u8, payload: &[u8]) -> Self {
        self.frame_on(On::Request, kind, flags, payload)
    }

    fn connection(self, kind: u8, payload: &[u8]) -> Self {
        self.frame_on(On::Connection, kind, 0, payload)
    }

    fn step(mut self, step: Step) -> Self {
        self.0.push(step);
        self
    }
}

/// A running service that plays answers.
pub struct Player {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<usize>>>,
    open: Arc<AtomicUsize>,
    heard: Arc<AtomicUsize>,
    resets: Arc<AtomicUsize>,
}

impl Player {
    /// How many calls the bridge has cancelled.
    pub fn resets(&self) -> usize {
        self.resets.load(Relaxed)
    }

    /// How often the bridge has said that it knows what is permitted.
    pub fn heard(&self) -> usize {
        self.heard.load(Relaxed)
    }

    /// For each request until now the number of the connection that it came on, the first being 0.
    pub fn requests(&self) -> Vec<usize> {
        self.requests.lock().expect("requests").clone()
    }

    /// How many connections have not ended.
    pub fn open_connections(&self) -> usize {
        self.open.load(Relaxed)
    }
}

/// Plays the first answer to the first request, and so on, on whichever connection it comes; the last one again and
/// again.
pub fn plays<const N: usize>(answers: [Answer; N]) -> Player {
    terms().plays(answers)
}

/// On what terms a service takes requests: HTTP/2's own, to begin with.
pub fn terms() -> Terms {
    Terms::default()
}

#[derive(Clone, Default)]
pub struct Terms {
    settings: Vec<u8>,
    opens_by: u32,
    answers_heads: bool,
}

impl Terms {
    pub fn set(mut self, name: u16, value: u32) -> Self {
        self.settings.extend(setting(name, value));
        self
    }

    /// Opens a request's window by so many bytes when its head has come, and again with each of its frames.
    pub fn opens_windows_by(self, bytes: u32) -> Self {
        Self { opens_by: bytes, ..self }
    }

    /// Answers when the head of a request has come.
    pub fn answers_heads(self) -> Self {
        Self { answers_heads: true, ..self }
    }

    pub fn plays<const N: usize>(self, answers: [Answer; N]) -> Player {
        self.plays_by(move |request| answers[request.min(N - 1)].clone())
    }

    /// Plays what comes of the number of the request, the first being 0.
    pub fn plays_by(self, answer: impl Fn(usize) -> Answer + Clone + Send + Sync + 'static) -> Player {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&requests);
        let open = Arc::<AtomicUsize>::default();
        let now_open = Arc::clone(&open);
        let heard = Arc::<AtomicUsize>::default();
        let now_heard = Arc::clone(&heard);
        let resets = Arc::<AtomicUsize>::default();
        let now_reset = Arc::clone(&resets);
        let address = peer(move |mut stream| {
            let connection = connections.fetch_add(1, Relaxed);
            now_open.fetch_add(1, Relaxed);
            // Whatever fails here, the bridge has gone.
            let _gone = play(&mut stream, &self, &now_heard, &now_reset, || {
                let mut seen = seen.lock().expect("requests");
                seen.push(connection);
                answer(seen.len() - 1)
            });
            now_open.fetch_sub(1, Relaxed);
        });
        Player { address, requests, open, heard, resets }
    }
}

fn play(
    stream: &mut TcpStream,
    terms: &Terms,
    heard: &AtomicUsize,
    resets: &AtomicUsize,
    next_answer: impl Fn() -> Answer,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.read_exact(&mut [0; PREFACE_BYTES])?;
    stream.write_all(&frame(SETTINGS, 0, 0, &terms.settings))?;
    let (mut late, mut checks) = (HashMap::new(), HashSet::new());
    loop {
        let (kind, flags, stream_id, length) = next_frame(stream, &mut checks)?;
        let is_all = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if kind == DATA && length > 0 {
            stream.write_all(&frame(WINDOW_UPDATE, 0, 0, &length.to_be_bytes()))?;
        }
        if terms.opens_by > 0 && matches!(kind, DATA | HEADERS) && !is_all {
            stream.write_all(&frame(WINDOW_UPDATE, 0, stream_id, &terms.opens_by.to_be_bytes()))?;
        }
        let steps = match kind {
            SETTINGS if flags & ACK != 0 => {
                heard.fetch_add(1, Relaxed);
                continue;
            }
            RST_STREAM => {
                resets.fetch_add(1, Relaxed);
                late.remove(&stream_id).unwrap_or_default()
            }
            HEADERS if terms.answers_heads => next_answer(),
            _ if is_all && !terms.answers_heads => next_answer(),
            _ => continue,
        };
        for step in steps.0 {
            match step {
                Step::Frame { kind, flags, on, payload } => {
                    let stream_id = match on {
                        On::Request => stream_id,
                        On::Connection => 0,
                        On::Another(stream_id) => stream_id,
                    };
                    stream.write_all(&frame(kind, flags, stream_id, &payload))?;
                }
                Step::Until(is_so) => eventually("the test says so", || is_so.load(Relaxed)),
                Step::GivenUp(answer) => drop(late.insert(stream_id, answer)),
                Step::Ping => {
                    stream.write_all(&frame(PING, 0, 0, &[0; 8]))?;
                    while next_frame(stream, &mut checks)?.0 != PING {}
                }
                Step::Wait(time) => std::thread::sleep(time),
                Step::Close => return Ok(()),
                Step::Reset => return SockRef::from(&*stream).set_linger(Some(Duration::ZERO)),
            }
        }
    }
}

/// By HPACK (RFC 7541, section 5.1) with a prefix of 7 bits.
fn length(length: usize) -> Vec<u8> {
    const PREFIX: usize = 127;
    if length < PREFIX {
        return vec![u8::try_from(length).expect("7 bits")];
    }
    let (mut bytes, mut rest) = (vec![0x7f], length - PREFIX);
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128 + 128).expect("8 bits"));
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).expect("7 bits"));
    bytes
}

/// Type, flags, stream and length of the next frame that is not of a health check, whose streams are kept in `checks`.
fn next_frame(stream: &mut TcpStream, checks: &mut HashSet<u32>) -> std::io::Result<(u8, u8, u32, u32)> {
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream_id @ ..] = head;
        let stream_id = u32::from_be_bytes(stream_id);
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload)?;
        if kind == SETTINGS && flags & ACK == 0 {
            stream.write_all(&frame(SETTINGS, ACK, 0, &[]))?;
        }
        if kind == HEADERS && payload.windows(HEALTH_CHECK.len()).any(|part| part == HEALTH_CHECK) {
            checks.insert(stream_id);
            let unimplemented =
                block(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")]);
            stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, stream_id, &unimplemented))?;
        }
        if !checks.contains(&stream_id) {
            return Ok((kind, flags, stream_id, length));
        }
    }
}

/// HPACK (RFC 7541, section 6.2.2): literals without indexing, names and values as they are.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [length(text.len()), text.as_bytes().to_vec()].concat();
    headers.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

pub fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

pub fn frame(kind: u8, flags: u8, stream_id: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream_id.to_be_bytes(), payload].concat()
}
