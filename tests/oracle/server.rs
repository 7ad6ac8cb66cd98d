//! A server that answers with given bytes, whatever it is asked.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    sync::Arc,
};

use crate::kit::{Client, peer};
use crate::response;

/// What a connection gets once its request has come in whole.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes, and the end.
    Bytes(Vec<u8>),
    /// These bytes, and no end.
    Stalls(Vec<u8>),
    /// What a bridge answers to another request.
    Relays(SocketAddr, Vec<u8>),
    /// A refusal whose message is the request.
    Echoes,
}

pub(crate) struct Server {
    address: SocketAddr,
}

/// A server of these answers, each under the first segment of its path.
pub(crate) fn server(answers: impl IntoIterator<Item = (String, Answer)>) -> Server {
    let answers: Arc<HashMap<_, _>> = Arc::new(answers.into_iter().collect());
    let address = peer(move |mut stream| {
        let Some(request) = read_request(&mut stream) else { return };
        let target = request.split(' ').nth(1).unwrap_or_default();
        let name = target.split(['/', '?']).nth(1).unwrap_or_default();
        // The client may leave at any time.
        let _ = match answers.get(name) {
            Some(Answer::Bytes(bytes)) => stream.write_all(bytes),
            Some(Answer::Stalls(bytes)) => stream.write_all(bytes).and_then(|()| stream.read(&mut [0]).map(drop)),
            Some(Answer::Relays(bridge, request)) => {
                let mut client = Client::connect(*bridge);
                client.write(request);
                let reply = client.reply();
                stream.write_all(&[reply.head.as_bytes(), reply.body.as_bytes()].concat())
            }
            Some(Answer::Echoes) => {
                let body = serde_json::json!({"nextCode": 1, "errCode": 5001, "errMsg": sorted(&request)});
                stream.write_all(&response("200 OK", "", body.to_string().as_bytes()))
            }
            None => Ok(()),
        };
    });
    Server { address }
}

impl Server {
    /// OpenIM's `url` for this answer. `user` is empty, or ends in `@`.
    pub(crate) fn url(&self, user: &str, name: &str) -> String {
        format!("http://{user}{}/{name}", self.address)
    }
}

/// The request with its headers in order, without the one that `send` cannot be kept from.
fn sorted(request: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap_or((request, ""));
    let mut lines: Vec<_> = head.split("\r\n").filter(|line| *line != "Accept: */*").collect();
    lines[1..].sort_unstable();
    format!("{}\n\n{body}", lines.join("\n"))
}

/// Reads a request to its end, unless it breaks off.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut read = vec![];
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(Some(0), |length| length.parse().ok())? {
                return Some(text.into_owned());
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer) {
            Ok(some @ 1..) => read.extend_from_slice(&buffer[..some]),
            _ => return None,
        }
    }
}
