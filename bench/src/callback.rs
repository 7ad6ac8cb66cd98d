//! One callback: OpenIM's request in its own bytes; a request and an answer read as bytes.
//!
//! Written by hand and not with an HTTP client, for the benchmark to cost little next to what it measures.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::Instant,
};

/// The request that OpenIM Server sends before it sets a friend's remark. `remark` must not need escaping in JSON.
#[must_use]
pub fn request(host: SocketAddr, operation_id: &str, remark: &str) -> Vec<u8> {
    let body = format!(
        "{{\"callbackCommand\":\"callbackBeforeSetFriendRemarkCommand\",\"ownerUserID\":\"u1\",\"friendUserID\":\"u2\",\
         \"remark\":\"{remark}\"}}\n"
    );
    format!(
        "POST /callbackExample/callbackBeforeSetFriendRemarkCommand HTTP/1.1\r\nHost: {host}\r\n\
         User-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\nContent-Type: application/json; charset=utf-8\r\n\
         Operationid: {operation_id}\r\nAccept-Encoding: gzip\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer, and when its last byte was there.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// Whether it says that its connection closes.
    pub closes: bool,
    /// Where the bridge says that it came from.
    pub origin: String,
    /// When the last byte had been read.
    pub at: Instant,
}

/// Reads one answer with a `Content-Length`.
///
/// # Errors
///
/// When the connection breaks or ends before the answer does, or when what comes is no such answer.
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Answer> {
    let mut bytes = Vec::with_capacity(512);
    loop {
        let read = stream.read_buf(&mut bytes).await?;
        let at = Instant::now();
        match read {
            0 if bytes.is_empty() => bail!("the connection was closed without an answer"),
            0 => bail!("the connection was closed within the answer"),
            _ => {}
        }
        if let Some(Parsed { status, body, closes, origin }) = parse(&bytes)? {
            return Ok(Answer { status, body: body.to_vec(), closes, origin: origin.to_owned(), at });
        }
    }
}

/// The body of the next request, or nothing at the connection's end.
///
/// # Errors
///
/// When the connection breaks, or a request has no `Content-Length`.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> anyhow::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(1024);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
        let head = str::from_utf8(&bytes[..end])?.to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length.context("a request without Content-Length")?.trim().parse()?;
        if bytes.len() >= end + 4 + length {
            return Ok(Some(bytes[end + 4..].to_vec()));
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Parsed<'a> {
    status: u16,
    body: &'a [u8],
    closes: bool,
    origin: &'a str,
}

/// An answer, once all of it is there.
fn parse(bytes: &[u8]) -> anyhow::Result<Option<Parsed<'_>>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = (std::str::from_utf8(&bytes[..end])?, &bytes[end + 4..]);
    let (line, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.split(' ').nth(1).context("no status line")?.parse()?;
    let header = |wanted: &str| {
        let mut headers = headers.split("\r\n").filter_map(|line| line.split_once(':'));
        headers.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
    };
    let length: usize = header("content-length").context("an answer without Content-Length")?.parse()?;
    if body.len() > length {
        bail!("{} bytes behind the answer", body.len() - length);
    }
    let closes = header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let origin = header("openim-bridge").unwrap_or_default();
    Ok((body.len() == length).then_some(Parsed { status, body, closes, origin }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_as_recorded_from_openim() {
        let host = SocketAddr::from(([127, 0, 0, 1], 10006));
        let recorded = "POST /callbackExample/callbackBeforeSetFriendRemarkCommand HTTP/1.1\r\nHost: 127.0.0.1:10006\r\n\
            User-Agent: Go-http-client/1.1\r\nContent-Length: 117\r\nContent-Type: application/json; charset=utf-8\r\n\
            Operationid: drive-13c10484dea6\r\nAccept-Encoding: gzip\r\n\r\n\
            {\"callbackCommand\":\"callbackBeforeSetFriendRemarkCommand\",\"ownerUserID\":\"u1\",\
            \"friendUserID\":\"u2\",\"remark\":\"asked-0\"}\n";
        assert_eq!(String::from_utf8(request(host, "drive-13c10484dea6", "asked-0")).expect("UTF-8"), recorded);
    }

    #[test]
    fn an_answer_is_whole_at_its_last_byte() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]).expect("so far good"), None, "at {end}");
        }
        let parsed = Parsed { status: 200, body: b"{}", closes: false, origin: "" };
        assert_eq!(parse(whole).expect("good"), Some(parsed));
        let last =
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\nopenim-bridge: queued\r\nContent-Length: 2\r\n\r\n{}";
        let parsed = Parsed { status: 400, body: b"{}", closes: true, origin: "queued" };
        assert_eq!(parse(last).expect("good"), Some(parsed));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        for bytes in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}", b"x\r\n\r\n"]
        {
            assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }
}
