//! What do others wait while a few connections flood the bridge?
//!
//! For each kind of flood a bridge of its own is started, with a lean decision service behind it. A few connections send
//! as fast as the bridge takes it, each with a short pause between its rounds, for this to measure the bridge and not who gets
//! a core. Meanwhile two others send callbacks, one after another: one on a kept connection, one on a new connection each
//! time. How long the slowest of each took is what the table holds, and how much memory the bridge held at the most.
//!
//! Exits with 0 when nobody waited longer than the limit, 1 when somebody did, 2 for a usage error.

// Each flood has a thread of its own, and no callback waits on it.
#![allow(clippy::disallowed_methods)]

mod kinds;

use std::{
    io::{self, Read as _, Write},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, bail};
use clap::Parser;
use kinds::{Kind, Over};
use openim_bridge_bench::{
    allowing, callback,
    certificates::{Authority, Secret},
    docs,
    machine::Machine,
    program::Program,
    runtime,
    table::Table,
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

/// Between two rounds of a flooding connection, and between two callbacks of the others.
const PAUSE: Duration = Duration::from_millis(1);
/// How far a flood comes behind the others where there are fewer cores than threads.
const BEHIND: i32 = 10;
/// How long the others may take before they give up.
const PATIENCE: Duration = Duration::from_secs(10);

/// Shows how long others wait while a few connections flood the bridge.
#[derive(Debug, Parser)]
#[command(
    after_help = "Exits with 0 when nobody waited longer than the limit, 1 when somebody did, 2 for a usage error."
)]
struct Arguments {
    /// The release build of openim-bridge.
    #[arg(long, value_name = "FILE")]
    bridge: PathBuf,
    /// Connections that flood.
    #[arg(long, value_name = "N", default_value = "4")]
    connections: usize,
    /// How long each kind goes on.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// How long others may wait.
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = humantime::parse_duration)]
    limit: Duration,
    /// Put the table between the markers in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "kinds")]
    docs: Option<PathBuf>,
    /// Only the kinds whose names hold one of these.
    #[arg(value_name = "KIND")]
    kinds: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match runtime::run(run(&arguments)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The slowest callback of one of the others, and how many there were.
#[derive(Debug, Clone, Copy, Default)]
struct Waited {
    longest: Duration,
    callbacks: usize,
    failed: usize,
}

async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let authority = Authority::new("floods")?;
    let files = Secret::new(&authority, &authority.sign("127.0.0.1", SystemTime::now() + Duration::from_hours(1))?)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&std::fs::read(files.path("ca.pem"))?)?)?;
    let upstream = format!("http://{}", allowing::serve().await?);
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));

    let title = format!("{} connections flood for {:?} each", arguments.connections, arguments.time);
    let mut table = Table::new(["flood", "kept connection", "new connections", "peak memory", "sent"]);
    eprintln!("{title}");
    let mut passed = true;
    let wanted =
        |kind: &Kind| arguments.kinds.is_empty() || arguments.kinds.iter().any(|name| kind.name.contains(name));
    let kinds: Vec<Kind> = kinds::all().into_iter().filter(wanted).collect();
    for kind in kinds {
        let mut serve = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "off", "--upstream", &upstream];
        serve.extend(["--fallback", "refuse", "--log-level", "info"]);
        if kind.over != Over::Http1 {
            serve.extend(["--tls-cert", &cert, "--tls-key", &key]);
        }
        let mut bridge = Program::start(&arguments.bridge, &serve).await?;
        let name = kind.name;
        let (address, time, connections) = (bridge.address, arguments.time, arguments.connections);
        let roots = roots.clone();
        let measured = tokio::task::spawn_blocking(move || measure(kind, address, &roots, connections, time));
        let (kept, new, sent) = measured.await??;
        if let Some(status) = bridge.ended()? {
            bail!("{name}: the bridge ended: {status}");
        }
        let is_fine = [kept, new].iter().all(|waited| waited.longest <= arguments.limit && waited.failed == 0);
        passed &= is_fine;
        let memory = bridge.peak_memory_kib().unwrap_or_default().div_ceil(1024);
        #[allow(clippy::cast_precision_loss, reason = "for people")]
        let sent = sent as f64 / 1e6;
        let shown = |waited: Waited| match waited.failed {
            0 => format!("{:.1} ms", waited.longest.as_secs_f64() * 1000.0),
            failed => format!("{failed} of {} failed", waited.callbacks),
        };
        let mark = if is_fine { "" } else { " (!)" };
        eprintln!("{name}: {}, {}{mark}", shown(kept), shown(new));
        table.row([format!("{name}{mark}"), shown(kept), shown(new), format!("{memory} MiB"), format!("{sent:.1} MB")]);
        bridge.end().await?;
    }
    println!("\n{title}: the slowest callback of others\n\n{}", table.text());
    println!("{}: others may wait {:?}", if passed { "passed" } else { "FAILED" }, arguments.limit);
    if let Some(docs) = &arguments.docs {
        docs::write(docs, "just floods-docs", &format!("{}; {title}.\n\n{}", Machine::this(), table.markdown()))?;
    }
    Ok(passed)
}

/// How long the others waited, on a kept connection and on new ones, and how many bytes were sent at the bridge.
fn measure(
    kind: Kind,
    address: SocketAddr,
    roots: &RootCertStore,
    connections: usize,
    time: Duration,
) -> anyhow::Result<(Waited, Waited, u64)> {
    let is_plain = kind.over == Over::Http1;
    let connector = Arc::new(Connector { address, config: client(roots, kind.over)? });
    let others = Arc::new(Connector { address, config: client(roots, Over::Http1Tls)? });
    let (stop, sent, kind) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default(), Arc::new(kind));
    let floods: Vec<_> = (0..connections)
        .map(|_| {
            let (connector, kind, stop, sent) =
                (Arc::clone(&connector), Arc::clone(&kind), Arc::clone(&stop), Arc::clone(&sent));
            thread::spawn(move || {
                // Of an attacker's machine: it takes no core from the bridge, nor from those who are measured.
                let _as_usual = rustix::process::nice(BEHIND);
                while !stop.load(Relaxed) {
                    // It was ended, or its connection was not taken: the next one.
                    let _ended = flood(&connector, &kind, &stop, &sent);
                    thread::sleep(PAUSE);
                }
            })
        })
        .collect();
    let until = Instant::now() + time;
    let [kept, new] = [true, false].map(|keeps| {
        let others = Arc::clone(&others);
        thread::spawn(move || observe(&others, is_plain, keeps, until))
    });
    let (kept, new) = (kept.join(), new.join());
    stop.store(true, Relaxed);
    for flood in floods {
        let _panicked = flood.join();
    }
    let panicked = |_| anyhow::anyhow!("a thread panicked");
    Ok((kept.map_err(panicked)?, new.map_err(panicked)?, sent.load(Relaxed)))
}

struct Connector {
    address: SocketAddr,
    config: Arc<ClientConfig>,
}

fn client(roots: &RootCertStore, over: Over) -> anyhow::Result<Arc<ClientConfig>> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .context("TLS")?
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![if over == Over::Http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Ok(Arc::new(config))
}

/// A connection, in plain text or by TLS.
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Connector {
    fn connect(&self, is_plain: bool) -> io::Result<Stream> {
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        if is_plain {
            return Ok(Stream::Plain(stream));
        }
        let name = ServerName::from(self.address.ip());
        let tls = ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        let mut tls = StreamOwned::new(tls, stream);
        tls.conn.complete_io(&mut tls.sock)?;
        Ok(Stream::Tls(Box::new(tls)))
    }
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => &stream.sock,
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(bytes),
            Self::Tls(stream) => stream.write_all(bytes).and_then(|()| stream.flush()),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }

    /// Reads what is there.
    fn drain(&mut self) -> io::Result<()> {
        self.socket().set_nonblocking(true)?;
        let mut buffer = vec![0; 64 << 10];
        let ended = loop {
            match self.read(&mut buffer) {
                Ok(0) => break Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.socket().set_nonblocking(false)?;
        ended
    }
}

/// Floods on one connection until it ends or is to stop.
fn flood(connector: &Connector, kind: &Kind, is_over: &AtomicBool, count: &AtomicU64) -> io::Result<()> {
    let mut stream = connector.connect(matches!(kind.over, Over::Http1 | Over::NoTls))?;
    // Not for ever, where the bridge reads no more.
    stream.socket().set_write_timeout(Some(Duration::from_millis(500)))?;
    let send = |stream: &mut Stream, bytes: &[u8]| {
        let step = if kind.in_bytes { 1 } else { bytes.len().max(1) };
        for part in bytes.chunks(step) {
            stream.send(part)?;
            count.fetch_add(part.len() as u64, Relaxed);
        }
        io::Result::Ok(())
    };
    if kind.over == Over::Http2 {
        // With a window of the connection that lets all out.
        send(&mut stream, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x04\x08\0\0\0\0\0\x3f\0\0\0")?;
    }
    send(&mut stream, &kind.first)?;
    for round in 0.. {
        if is_over.load(Relaxed) {
            break;
        }
        send(&mut stream, &(kind.again)(round))?;
        if kind.reads {
            stream.drain()?;
        }
        if kind.reconnects {
            break;
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// Sends callbacks one after another, on one connection for as long as it is kept, or on a new one each time.
fn observe(connector: &Connector, is_plain: bool, keeps: bool, until: Instant) -> Waited {
    let mut waited = Waited::default();
    let mut stream = None;
    while Instant::now() < until {
        let began = Instant::now();
        let asked = ask(connector, is_plain, &mut stream);
        waited.longest = waited.longest.max(began.elapsed());
        waited.callbacks += 1;
        match asked {
            Ok(closes) if keeps && !closes => {}
            Ok(_) => stream = None,
            Err(_) => {
                waited.failed += 1;
                stream = None;
            }
        }
        thread::sleep(PAUSE);
    }
    waited
}

/// One callback, that must be decided. Whether the connection closes.
fn ask(connector: &Connector, is_plain: bool, kept: &mut Option<Stream>) -> anyhow::Result<bool> {
    let stream = match kept {
        Some(stream) => stream,
        None => kept.insert(connector.connect(is_plain)?),
    };
    stream.send(&callback::request(connector.address, "op", "x"))?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    while !bytes.ends_with(b"}") {
        match stream.read(&mut buffer)? {
            0 => bail!("closed"),
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    if !text.starts_with("HTTP/1.1 200") || !text.contains("\"errCode\":0,") {
        bail!("not decided");
    }
    Ok(text.contains("connection: close"))
}
