//! A decision service that does as it is told, and writes down which events it was told of: a process of its own, which the
//! scenarios start, kill, stop and read (`told`).
//!
//! What it does is in a file, of which each call reads the lines anew; the first whose word the rpc's name or the operation
//! ID begins with is followed. `Before` and `After` are all of a kind, and without a line it says OK:
//!
//! ```text
//! AfterUserOnline hang
//! After paced 100
//! ```
//!
//! - `hang`: never answers. `slow MS`: answers after so many milliseconds.
//! - `paced N`: N calls a second, ten at one time; others wait.
//! - `status CODE`: fails with this status of gRPC.
//!
//! A line of the record is `got MICROSECONDS OPERATION CALLBACK-ID ATTEMPT` when a call of an event is there, and `ok
//! MICROSECONDS OPERATION` just before it is answered with OK. Each is written at once, so that a kill loses none.

use std::{
    fs::{self, File, OpenOptions},
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use h2::{RecvStream, SendStream, server::SendResponse};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::sleep,
};

/// Calls at one time where they are paced.
const PLACES: u32 = 10;
/// A message of gRPC that sets the decision `allow`, and one that sets nothing.
const ALLOW: &[u8] = &[0, 0, 0, 0, 2, 0x0a, 0];
const NOTHING: &[u8] = &[0; 5];
const UNIMPLEMENTED: i32 = 12;

#[derive(Debug, Args)]
pub(crate) struct ServiceArguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// What to do.
    #[arg(long)]
    rules: PathBuf,
    /// Where to write down what it is told.
    #[arg(long)]
    record: PathBuf,
    /// Passed to every program.
    #[arg(long)]
    log_format: String,
}

struct Service {
    rules: PathBuf,
    record: File,
    places: Semaphore,
}

/// What is done with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Ok,
    Hang,
    Slow(Duration),
    Paced(u32),
    Status(i32),
}

/// Serves until it is killed.
pub(crate) async fn serve(arguments: ServiceArguments) -> anyhow::Result<()> {
    let record = OpenOptions::new().append(true).create(true).open(&arguments.record).context("no record")?;
    let listener = TcpListener::bind(arguments.listen).await.context("no port")?;
    let places = Semaphore::new(PLACES as usize);
    let service = Arc::new(Service { rules: arguments.rules, record, places });
    eprintln!("{{\"address\":\"{}\"}}", listener.local_addr()?);
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true)?;
        tokio::spawn(answer_all(Arc::clone(&service), stream));
    }
    Ok(())
}

/// Ends when the connection does.
async fn answer_all(service: Arc<Service>, stream: TcpStream) -> Option<()> {
    let mut connection = h2::server::handshake(stream).await.ok()?;
    while let Some(Ok((request, respond))) = connection.accept().await {
        let service = Arc::clone(&service);
        tokio::spawn(async move { service.answer(request, respond).await });
    }
    Some(())
}

impl Service {
    /// `None` when nobody waits for the answer any more.
    async fn answer(&self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Option<()> {
        let (head, mut body) = request.into_parts();
        while let Some(Ok(chunk)) = body.data().await {
            body.flow_control().release_capacity(chunk.len()).ok()?;
        }
        let rpc = head.uri.path().strip_prefix("/openim.bridge.v1.").and_then(|path| path.split('/').nth(1));
        let Some(rpc) = rpc else { return fails(&mut respond, UNIMPLEMENTED) };
        let metadata = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let (is_event, operation) = (rpc.starts_with("After"), metadata("operation-id"));
        if is_event {
            self.write(&format!("got {} {operation} {} {}", now(), metadata("callback-id"), metadata("attempt")));
        }
        let doing = doing(&rules(&self.rules), rpc, operation);
        let working = async {
            match doing {
                Doing::Ok => 0,
                Doing::Hang => std::future::pending().await,
                Doing::Slow(time) => {
                    sleep(time).await;
                    0
                }
                Doing::Paced(rate) => {
                    let _place = self.places.acquire().await;
                    sleep(Duration::from_secs(1) * PLACES / rate.max(1)).await;
                    0
                }
                Doing::Status(status) => status,
            }
        };
        let status = tokio::select! {
            status = working => status,
            _ = std::future::poll_fn(|context| respond.poll_reset(context)) => return None,
        };
        if status != 0 {
            return fails(&mut respond, status);
        }
        if is_event {
            self.write(&format!("ok {} {operation}", now()));
        }
        let mut stream = begins(&mut respond)?;
        stream.send_data(Bytes::from_static(if is_event { NOTHING } else { ALLOW }), false).ok()?;
        ends(stream, 0)
    }

    /// In one piece, and in the kernel when this returns.
    fn write(&self, line: &str) {
        if let Err(error) = (&self.record).write_all(format!("{line}\n").as_bytes()) {
            eprintln!("error: the record cannot be written: {error}");
            std::process::exit(1);
        }
    }
}

fn begins(respond: &mut SendResponse<Bytes>) -> Option<SendStream<Bytes>> {
    let mut head = Response::new(());
    head.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    respond.send_response(head, false).ok()
}

fn ends(mut stream: SendStream<Bytes>, status: i32) -> Option<()> {
    let status = (HeaderName::from_static("grpc-status"), HeaderValue::from(status));
    stream.send_trailers(HeaderMap::from_iter([status])).ok()
}

fn fails(respond: &mut SendResponse<Bytes>, status: i32) -> Option<()> {
    ends(begins(respond)?, status)
}

fn rules(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn doing(rules: &str, rpc: &str, operation: &str) -> Doing {
    let rule = rules.lines().find_map(|line| {
        let (of, rule) = line.split_once(' ')?;
        (rpc.starts_with(of) || operation.starts_with(of)).then_some(rule)
    });
    let Some(rule) = rule else { return Doing::Ok };
    let (word, number) = rule.split_once(' ').unwrap_or((rule, "0"));
    let number: u32 = number.parse().unwrap_or_default();
    match word {
        "hang" => Doing::Hang,
        "slow" => Doing::Slow(Duration::from_millis(number.into())),
        "paced" => Doing::Paced(number),
        "status" => Doing::Status(number.cast_signed()),
        _ => Doing::Ok,
    }
}

/// Microseconds of the clock that all processes have in common.
#[expect(clippy::disallowed_methods, reason = "no deadline: another process reads it")]
fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_holds_is_followed() {
        let rules = "poison status 8\nAfterUserOnline hang\nAfter paced 100\nBefore slow 20\n";
        assert_eq!(doing(rules, "AfterUserOnline", "poison0.1"), Doing::Status(8));
        assert_eq!(doing(rules, "AfterUserOnline", "k1.1"), Doing::Hang);
        assert_eq!(doing(rules, "AfterUserOffline", "k1.1"), Doing::Paced(100));
        assert_eq!(doing(rules, "BeforeSetFriendRemark", "-"), Doing::Slow(Duration::from_millis(20)));
        assert_eq!(doing("", "AfterUserOnline", "k1.1"), Doing::Ok);
    }
}
