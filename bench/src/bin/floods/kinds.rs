//! The kinds of floods: what a connection sends once, and what it sends again and again. Raw bytes, so that nothing keeps to
//! any rule.

use std::iter;

// RFC 9113, section 6.
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const PRIORITY: u8 = 0x2;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const PUSH_PROMISE: u8 = 0x5;
const PING: u8 = 0x6;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const ACK: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
// RFC 9113, section 6.5.2.
const HEADER_TABLE_SIZE: u16 = 0x1;
const INITIAL_WINDOW_SIZE: u16 = 0x4;
const MAX_FRAME_SIZE: u16 = 0x5;

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Over {
    /// Over TLS.
    Http2,
    /// Over TLS.
    Http1Tls,
    /// In plain text.
    Http1,
    /// Bytes on the port of TLS, which shakes no hands.
    NoTls,
}

/// One kind of flood.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) over: Over,
    /// What a connection begins with.
    pub(crate) first: Vec<u8>,
    /// What it sends in its round of this number.
    pub(crate) again: Box<dyn Fn(u32) -> Vec<u8> + Send + Sync>,
    /// Whether it reads what comes.
    pub(crate) reads: bool,
    /// Whether each round is a new connection; else they all are one for as long as it lives.
    pub(crate) reconnects: bool,
    /// Whether what it sends is cut into records of TLS of one byte each.
    pub(crate) in_bytes: bool,
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or_default().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// HPACK without compression, for names and values of less than 127 bytes.
fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| iter::once(u8::try_from(text.len()).unwrap_or(126)).chain(text.bytes()).collect::<Vec<_>>();
    headers.iter().flat_map(|(name, value)| [vec![0], text(name), text(value)].concat()).collect()
}

const SERVED: &str = "callbackBeforeSetFriendRemarkCommand";
const BODY: &str =
    r#"{"callbackCommand":"callbackBeforeSetFriendRemarkCommand","ownerUserID":"u1","friendUserID":"u2","remark":"x"}"#;

fn head_with(command: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let path = format!("/cb/{command}");
    let headers = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", &path),
        ("content-type", "application/json"),
        ("operationid", "op"),
    ];
    block(&[&headers[..], more].concat())
}

fn head(command: &str) -> Vec<u8> {
    head_with(command, &[])
}

/// A request whose body ends with its head.
fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head("callbackNeverHeardOfCommand"))
}

fn callback(stream: u32) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, &head(SERVED)), frame(DATA, END_STREAM, stream, BODY.as_bytes())].concat()
}

/// Streams that no round before has used, a hundred in each.
fn streams(round: u32) -> impl Iterator<Item = u32> {
    (0..100).map(move |number| 4001 + round * 200 + number * 2)
}

fn each(round: u32, make: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    streams(round).flat_map(make).collect()
}

/// Answers to a thousand callbacks that the client does not let out.
fn blocked() -> Vec<u8> {
    let callbacks = (0..1000).flat_map(|number| callback(1 + 2 * number));
    setting(INITIAL_WINDOW_SIZE, 0).into_iter().chain(callbacks).collect()
}

/// Requests whose bodies do not end.
fn open(streams: u32) -> Vec<u8> {
    (0..streams).flat_map(|number| frame(HEADERS, END_HEADERS, 1 + 2 * number, &head(SERVED))).collect()
}

fn repeat(frame: &[u8], times: usize) -> impl Fn(u32) -> Vec<u8> + Send + Sync + 'static {
    let all = frame.repeat(times);
    move |_| all.clone()
}

fn http2(name: &'static str, first: Vec<u8>, again: impl Fn(u32) -> Vec<u8> + Send + Sync + 'static) -> Kind {
    Kind { name, over: Over::Http2, first, again: Box::new(again), reads: true, reconnects: false, in_bytes: false }
}

fn http1(name: &'static str, first: &str, again: &str, times: usize) -> Kind {
    let again = repeat(again.as_bytes(), times);
    Kind { over: Over::Http1, ..http2(name, first.into(), again) }
}

fn post(body: &str) -> String {
    format!(
        "POST /cb/{SERVED} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nOperationid: op\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// All of them.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(crate) fn all() -> Vec<Kind> {
    let flip = |name, one, other| [setting(name, one), setting(name, other)].concat();
    let ping = frame(PING, 0, 0, &[1; 8]);
    let chunked = format!(
        "POST /cb/{SERVED} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nOperationid: op\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let long_head = format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "x".repeat(60_000));
    let many_headers = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(90));
    // A dynamic entry of 4,000 bytes, and references to it.
    let bomb = {
        let entry = [&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], &[b'y'; 4000]].concat();
        [head("x"), entry, vec![0xbe; 12_000]].concat()
    };
    vec![
        http2("SETTINGS back and forth against answers held", blocked(), repeat(&flip(INITIAL_WINDOW_SIZE, 1, 0), 200)),
        http2("SETTINGS back and forth against open bodies", open(1000), repeat(&flip(INITIAL_WINDOW_SIZE, 1, 0), 200)),
        http2("SETTINGS that change nothing", blocked(), repeat(&setting(INITIAL_WINDOW_SIZE, 0), 200)),
        http2("SETTINGS with nothing in them", blocked(), repeat(&frame(SETTINGS, 0, 0, &[]), 400)),
        http2("SETTINGS of the header table", vec![], repeat(&flip(HEADER_TABLE_SIZE, 0, 4096), 200)),
        http2("SETTINGS of the frame size", vec![], repeat(&flip(MAX_FRAME_SIZE, 16_384, 16_385), 200)),
        http2("SETTINGS of a thousand unknown names", vec![], repeat(&frame(SETTINGS, 0, 0, &[0xff; 6000]), 4)),
        http2("SETTINGS acknowledged unasked", vec![], repeat(&frame(SETTINGS, ACK, 0, &[]), 400)),
        http2("PING", vec![], repeat(&ping, 400)),
        http2("PING against answers held", blocked(), repeat(&ping, 400)),
        Kind { reads: false, ..http2("PING, and no answer read", vec![], repeat(&ping, 400)) },
        http2("PING acknowledged unasked", vec![], repeat(&frame(PING, ACK, 0, &[1; 8]), 400)),
        http2("PRIORITY", vec![], repeat(&frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 9]), 400)),
        http2("PRIORITY of many streams", open(1000), |round| {
            each(round, |stream| frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 9]))
        }),
        http2("unknown frames", vec![], repeat(&frame(0x77, 0, 0, &[]), 400)),
        http2("unknown frames of 16 KiB", vec![], repeat(&frame(0x77, 0, 0, &[0; 16_384]), 4)),
        http2("WINDOW_UPDATE of the connection against answers held", blocked(), repeat(&window(0, 1), 400)),
        http2("WINDOW_UPDATE of each stream against answers held", blocked(), |round| {
            (0..400).flat_map(|number| window(1 + (round * 400 + number) % 1000 * 2, 1)).collect()
        }),
        http2("WINDOW_UPDATE of one stream", blocked(), repeat(&window(1, 1), 400)),
        http2("WINDOW_UPDATE of streams that have gone", callback(1), repeat(&window(1, 1), 400)),
        http2("WINDOW_UPDATE by nothing", open(100), |round| {
            each(round, |stream| [get(stream), window(stream, 0)].concat())
        }),
        http2("WINDOW_UPDATE beyond all bounds", vec![], |round| {
            each(round, |stream| {
                [frame(HEADERS, END_HEADERS, stream, &head(SERVED)), window(stream, (1 << 31) - 1)].concat()
            })
        }),
        http2("requests reset at once", vec![], |round| {
            each(round, |stream| [get(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat())
        }),
        http2("callbacks reset at once", vec![], |round| {
            each(round, |stream| [callback(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat())
        }),
        http2("bodies reset within", vec![], |round| {
            each(round, |stream| {
                let head = frame(HEADERS, END_HEADERS, stream, &head(SERVED));
                [head, frame(DATA, 0, stream, b"{"), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
            })
        }),
        http2(
            "RST_STREAM of one stream that has gone",
            callback(1),
            repeat(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), 400),
        ),
        http2("GOAWAY", blocked(), repeat(&frame(GOAWAY, 0, 0, &[0; 8]), 200)),
        http2("empty DATA", open(1), repeat(&frame(DATA, 0, 1, &[]), 400)),
        http2("DATA of one byte", open(1), repeat(&frame(DATA, 0, 1, b" "), 400)),
        http2(
            "DATA that is padding",
            open(1),
            repeat(&frame(DATA, PADDED, 1, &[vec![200], vec![0; 200]].concat()), 20),
        ),
        http2("DATA of streams that have gone", callback(1), repeat(&frame(DATA, 0, 1, b" "), 400)),
        http2("late bodies of rejected requests", vec![], |round| {
            let late = each(round.saturating_sub(1), |stream| frame(DATA, END_STREAM, stream, BODY.as_bytes()));
            let next = each(round, |stream| frame(HEADERS, END_HEADERS, stream, &head("callbackNeverHeardOfCommand")));
            if round == 0 { next } else { [late, next].concat() }
        }),
        http2(
            "CONTINUATION with nothing in it",
            frame(HEADERS, 0, 1, &head(SERVED)),
            repeat(&frame(CONTINUATION, 0, 1, &[]), 400),
        ),
        http2(
            "CONTINUATION of 16 KiB",
            frame(HEADERS, 0, 1, &head(SERVED)),
            repeat(&frame(CONTINUATION, 0, 1, &block(&vec![("a", "b"); 3000])), 2),
        ),
        http2("headers by reference, 12,000 of 4 kB", vec![], move |round| {
            frame(HEADERS, END_HEADERS | END_STREAM, 1 + 2 * round, &bomb)
        }),
        http2("headers that fill the table", vec![], |round| {
            each(round, |stream| {
                let entry = [&[0x40, 4][..], &stream.to_be_bytes().map(|byte| b'a' + byte % 26), &[1, b'v']].concat();
                frame(HEADERS, END_HEADERS | END_STREAM, stream, &[head("x"), entry.repeat(20)].concat())
            })
        }),
        http2("header table emptied in each request", vec![], |round| {
            each(round, |stream| {
                frame(HEADERS, END_HEADERS | END_STREAM, stream, &[vec![0x20, 0x3f, 0xe1, 0x1f], head("x")].concat())
            })
        }),
        http2("malformed requests", vec![], |round| {
            each(round, |stream| frame(HEADERS, END_HEADERS, stream, &head_with(SERVED, &[("UPPER", "x")])))
        }),
        http2("bodies longer than announced", vec![], |round| {
            each(round, |stream| {
                let head = frame(HEADERS, END_HEADERS, stream, &head_with(SERVED, &[("content-length", "1")]));
                [head, frame(DATA, END_STREAM, stream, b"too long")].concat()
            })
        }),
        http2("rejected requests", vec![], |round| each(round, get)),
        http2("served callbacks", vec![], |round| each(round, callback)),
        http2("served callbacks, and no window for answers", setting(INITIAL_WINDOW_SIZE, 0), |round| {
            each(round, callback)
        }),
        Kind {
            reads: false,
            ..http2("served callbacks, and no answer read", window(0, 1 << 30), |round| each(round, callback))
        },
        http2("more requests than may be open", open(1000), |round| each(round, get)),
        http2("requests with trailers", vec![], |round| {
            each(round, |stream| {
                let trailers = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&[("a", "b")]));
                [frame(HEADERS, END_HEADERS, stream, &head(SERVED)), trailers].concat()
            })
        }),
        http2("PUSH_PROMISE", vec![], repeat(&frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), 100)),
        http2("frames too large", vec![], repeat(&frame(DATA, 0, 1, &vec![0; 17_000]), 2)),
        http2("a new connection for each request", callback(1), |_| Vec::new()).reconnecting(),
        http2("a new connection for a thousand requests", blocked(), |_| Vec::new()).reconnecting(),
        Kind { in_bytes: true, ..http2("TLS records of one byte", vec![], repeat(&ping, 50)) },
        Kind { over: Over::Http1Tls, ..http1("HTTP/1.1 over TLS, one after another unread", "", &post(BODY), 50) },
        Kind { over: Over::Http1Tls, in_bytes: true, ..http1("HTTP/1.1 over TLS by bytes", "", &post(BODY), 2) },
        Kind { over: Over::NoTls, ..http1("no TLS on the port of TLS", "", "GET / HTTP/1.1\r\n\r\n", 50) }
            .reconnecting(),
        http1("rejected requests one after another", "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        http1("callbacks one after another", "", &post(BODY), 100),
        Kind { reads: false, ..http1("callbacks, and no answer read", "", &post(BODY), 100) },
        http1("chunks of one byte", &chunked, "1\r\n \r\n", 1000),
        http1("heads of 60 kB", "", &long_head, 1),
        http1("heads of 90 lines", "", &many_headers, 50),
        http1("empty lines", "", "\r\n", 2000),
        http1("no HTTP", "", "\u{1}\u{2}\u{3}\u{4}", 1000).reconnecting(),
        http1("a new connection for nothing", "", "", 0).reconnecting(),
        http1("a new connection for each callback", &post(BODY), "", 0).reconnecting(),
    ]
}

impl Kind {
    fn reconnecting(self) -> Self {
        Self { reconnects: true, ..self }
    }
}
