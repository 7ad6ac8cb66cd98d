//! HTTP/2 connections from peers that keep to no bounds, in raw frames over TLS: they end, or cost nobody else anything.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    num::NonZeroUsize,
    sync::Arc,
};

use kit::frames::{
    CANCEL, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, PING,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, allow, answer, block, frame, setting, terms,
};
use kit::{App, Bridge, BridgeBuilder, COMMAND, PATIENCE, Request, app, bridge, ms};
use openim_bridge::server::TlsSettings;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tempfile::TempDir;

/// An App, a bridge with a certificate, and what trusts that.
struct Secured {
    app: App,
    bridge: Bridge,
    trust: Arc<ClientConfig>,
    _folder: TempDir,
}

fn secured(change: impl FnOnce(BridgeBuilder) -> BridgeBuilder) -> Secured {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let folder = tempfile::tempdir().expect("a folder");
    let [cert, key] = ["tls.crt", "tls.key"].map(|file| folder.path().join(file));
    std::fs::write(&cert, made.cert.pem()).expect("a file");
    std::fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    let app = app();
    let bridge =
        bridge().asking(&app).with(|settings| settings.tls = Some(TlsSettings { cert, key, look_every: ms(5_000) }));
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).expect("a certificate")).expect("a root");
    let mut trust = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::ALL_VERSIONS)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    trust.alpn_protocols = vec![b"h2".to_vec()];
    Secured { app, bridge: change(bridge).start(), trust: Arc::new(trust), _folder: folder }
}

impl Secured {
    fn connect(&self) -> RawClient {
        RawClient::connect(self.bridge.address(), &self.trust)
    }
}

/// A frame that came.
struct Came {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct RawClient {
    tls: StreamOwned<ClientConnection, TcpStream>,
}

impl RawClient {
    fn connect(address: SocketAddr, trust: &Arc<ClientConfig>) -> Self {
        let stream = TcpStream::connect(address).expect("the bridge accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        let tls = ClientConnection::new(Arc::clone(trust), ServerName::from(address.ip())).expect("a client");
        let mut client = Self { tls: StreamOwned::new(tls, stream) };
        client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        client.write(&frame(SETTINGS, 0, 0, &[]));
        // It takes as many answers as come.
        client.write(&frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()));
        client
    }

    fn write(&mut self, bytes: &[u8]) {
        assert!(self.try_write(bytes), "the bridge reads");
    }

    /// `false` once the bridge has closed.
    fn try_write(&mut self, bytes: &[u8]) -> bool {
        self.tls.write_all(bytes).and_then(|()| self.tls.flush()).is_ok()
    }

    /// The next frame that is neither SETTINGS nor anything of windows; `None` once the bridge has closed.
    fn next(&mut self) -> Option<Came> {
        loop {
            let mut head = [0; 9];
            match self.tls.read_exact(&mut head) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("nothing comes"),
                Err(_) => return None,
            }
            let [a, b, c, kind, flags, stream @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            self.tls.read_exact(&mut payload).ok()?;
            if !matches!(kind, SETTINGS | WINDOW_UPDATE) {
                return Some(Came { kind, flags, stream: u32::from_be_bytes(stream), payload });
            }
        }
    }

    /// Waits until the bridge has read all, and had some time for it.
    fn has_had_its_turns(&mut self) {
        for _ in 0..5 {
            self.write(&frame(PING, 0, 0, &[0; 8]));
            while self.next().expect("the connection lives").kind != PING {}
        }
    }

    /// Waits until the bridge has closed.
    fn is_closed(&mut self) {
        while self.next().is_some() {}
    }

    /// The body of the answer to this request.
    fn answer(&mut self, stream: u32) -> String {
        let mut body = Vec::new();
        loop {
            let came = self.next().expect("the connection lives");
            assert!(came.kind != GOAWAY, "{}", String::from_utf8_lossy(&came.payload));
            assert!((came.kind, came.stream) != (RST_STREAM, stream), "it is reset");
            if (came.kind, came.stream) == (DATA, stream) {
                body.extend_from_slice(&came.payload);
                if came.flags & END_STREAM != 0 {
                    return String::from_utf8(body).expect("UTF-8");
                }
            }
        }
    }
}

fn head(command: &str, length: usize) -> Vec<u8> {
    block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "localhost"),
        (":path", &format!("/cb/{command}")),
        ("content-type", "application/json"),
        ("operationid", "op"),
        ("content-length", &length.to_string()),
    ])
}

/// What `make` makes of each of these streams.
fn of_all(streams: &[u32], make: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    streams.iter().flat_map(|stream| make(*stream)).collect()
}

/// A callback that is served, whole.
fn callback(stream: u32) -> Vec<u8> {
    let body = Request::new().body;
    let head = head(COMMAND, body.len());
    [frame(HEADERS, END_HEADERS, stream, &head), frame(DATA, END_STREAM, stream, &body)].concat()
}

#[test]
fn settings_without_end_end_their_connection() {
    let it = secured(|bridge| bridge);
    let mut client = it.connect();
    client.write(&callback(1));
    assert!(client.answer(1).contains("Success"));
    // As many as no honest client sends, and all of them may change.
    let flip = [1, 0].map(|window| frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, window))).concat().repeat(500);
    let _closed = client.try_write(&flip);
    client.is_closed();
    // A few are fine, and so they are again after a while.
    let mut other = it.connect();
    other.write(&frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, 65_535)).repeat(50));
    other.write(&callback(1));
    assert!(other.answer(1).contains("Success"));
}

#[test]
fn a_block_of_headers_that_never_ends_is_not_waited_for() {
    let it = secured(|bridge| bridge);
    let begun = frame(HEADERS, 0, 3, &head(COMMAND, 0));
    // Without its last frame, and within its last frame.
    for block in [begun.clone(), frame(HEADERS, END_HEADERS, 3, &head(COMMAND, 0))[..20].to_vec()] {
        let mut client = it.connect();
        client.write(&callback(1));
        assert!(client.answer(1).contains("Success"));
        client.write(&block);
        client.is_closed();
    }
}

#[test]
fn late_bodies_of_rejected_requests_end_no_connection() {
    const BATCHES: usize = 25;
    let it = secured(|bridge| bridge);
    let mut client = it.connect();
    let body = Request::new().body;
    let head = head("callbackNeverHeardOfCommand", body.len());
    let mut stream = 1;
    for _ in 0..BATCHES {
        let rejected: Vec<u32> = (0..100).map(|number| stream + 2 * number).collect();
        stream += 200;
        client.write(&of_all(&rejected, |stream| frame(HEADERS, END_HEADERS, stream, &head)));
        // Their heads have been seen.
        client.has_had_its_turns();
        client.write(&of_all(&rejected, |stream| frame(DATA, END_STREAM, stream, &body)));
        client.write(&callback(stream));
        assert!(client.answer(stream).contains("Success"));
        stream += 2;
    }
    assert_eq!(it.app.calls(), BATCHES);
}

#[test]
fn a_peer_that_may_not_call_is_told_to_go_and_gone() {
    let nobody = || "192.0.2.0/24".parse().expect("a range");
    let it = secured(|bridge| bridge.with(|settings| settings.bridge.access.allow = vec![nobody()]));
    let mut client = it.connect();
    client.write(&callback(1));
    let mut seen = Vec::new();
    // It acknowledges nothing, and closes nothing.
    while let Some(came) = client.next() {
        seen.push(came.kind);
    }
    assert!(seen.contains(&GOAWAY) && seen.contains(&DATA), "{seen:?}");
    assert_eq!(it.app.calls(), 0);
}

/// As many services do, the decision service may end a connection on which many calls are cancelled.
#[test]
fn callbacks_that_are_reset_at_once_cost_others_nothing() {
    const ROUNDS: u32 = 10;
    const EACH: u32 = 120;
    const RESETS_IN_HALF_A_MINUTE: usize = 18;
    let service = terms().set(MAX_CONCURRENT_STREAMS, 100).plays([answer().waits(ms(1)).then(allow())]);
    let it = secured(|bridge| {
        let bridge = bridge.asking_at(service.address).refusing().timeout(ms(14_000));
        bridge.with(|settings| settings.upstream.connections = NonZeroUsize::MIN)
    });
    let mut flooding = it.connect();
    let mut other = it.connect();
    for round in 0..ROUNDS {
        let reset: Vec<u32> = (0..EACH).map(|number| 1 + 2 * (round * EACH + number)).collect();
        flooding.write(&of_all(&reset, callback));
        flooding.has_had_its_turns();
        flooding.write(&of_all(&reset, |stream| frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())));
        other.write(&callback(1 + 2 * round));
        let answer = other.answer(1 + 2 * round);
        assert!(answer.contains("Success"), "{answer}");
    }
    let resets = service.resets();
    assert!(resets <= RESETS_IN_HALF_A_MINUTE, "{resets} resets");
    assert!(service.requests().iter().all(|connection| *connection == 0), "all on one connection");
}
