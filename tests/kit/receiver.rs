//! The HTTP receiver that a team already has: answers as the test says, and gives out what it was sent, byte for byte.

#![allow(dead_code, unreachable_pub, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use super::PATIENCE;

/// A running receiver.
pub struct Receiver {
    pub address: SocketAddr,
    got: Mutex<mpsc::Receiver<Got>>,
    connections: Arc<AtomicUsize>,
}

/// A request as it came.
#[derive(Debug)]
pub struct Got {
    pub line: String,
    pub head: String,
    pub body: Vec<u8>,
}

impl Got {
    /// The value of a header; the first of them.
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// What becomes of a request.
pub enum Said {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The connection is closed without a word.
    Closes,
    /// Nothing, for longer than anybody waits.
    Hangs,
}

/// A whole response with this body.
pub fn said(status: &str, headers: &str, body: &str) -> Said {
    Said::Bytes(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

/// Goes on, as a team's own receiver may say it.
pub fn goes_on() -> Said {
    said(
        "200 OK",
        "Content-Type: application/json\r\nX-Own: yes\r\n",
        r#"{"actionCode":0,"errCode":0,"errMsg":"Success","errDlt":"","nextCode":0}"#,
    )
}

/// Answers each request with what this says of it.
pub fn receiver(answer: impl Fn(&Got) -> Said + Send + Sync + 'static) -> Receiver {
    receiver_on(TcpListener::bind("127.0.0.1:0").expect("a port"), answer)
}

/// The same, on a port that is there already.
pub fn receiver_on(listener: TcpListener, answer: impl Fn(&Got) -> Said + Send + Sync + 'static) -> Receiver {
    let address = listener.local_addr().expect("an address");
    let (tell, got) = mpsc::channel();
    let connections = Arc::new(AtomicUsize::new(0));
    let (answer, counted) = (Arc::new(answer), Arc::clone(&connections));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Relaxed);
            let (tell, answer) = (tell.clone(), Arc::clone(&answer));
            thread::spawn(move || serve(stream, &tell, &*answer));
        }
    });
    Receiver { address, got: Mutex::new(got), connections }
}

fn serve(mut stream: TcpStream, tell: &mpsc::Sender<Got>, answer: &(dyn Fn(&Got) -> Said + Send + Sync)) {
    while let Some(request) = read(&mut stream) {
        let said = answer(&request);
        let _over = tell.send(request);
        match said {
            Said::Bytes(bytes) => {
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Said::Closes => return,
            Said::Hangs => thread::sleep(PATIENCE),
        }
    }
}

/// One request with a `Content-Length`.
fn read(stream: &mut TcpStream) -> Option<Got> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    let mut body = bytes.split_off(end);
    let head = String::from_utf8(bytes).expect("a head");
    let line = head.lines().next().expect("a request line").to_owned();
    let mut got = Got { line, head, body: vec![] };
    let length = got.header("content-length").expect("a length").parse().expect("a number");
    let there = body.len().min(length);
    body.resize(length, 0);
    stream.read_exact(&mut body[there..]).ok()?;
    got.body = body;
    Some(got)
}

impl Receiver {
    /// Where it is, with a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it was sent next.
    #[track_caller]
    pub fn next(&self) -> Got {
        self.got.lock().expect("requests").recv_timeout(PATIENCE).expect("the receiver was sent nothing in time")
    }

    /// What it was sent, and nobody has looked at.
    pub fn all(&self) -> Vec<Got> {
        self.got.lock().expect("requests").try_iter().collect()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
}
