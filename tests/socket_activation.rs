//! A listener that outlives the bridge: `systemctl restart` with a socket unit, played by this process.

#![allow(clippy::expect_used, clippy::disallowed_methods)]

mod kit;

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    thread,
};

use kit::{Client, Request, app};

/// The process, with the listener as the first socket that is passed. A shell is the only safe way to give it that number, and
/// to tell the program its own ID.
const PASS: &str = r#"exec 3<&0 </dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@""#;

struct Unit {
    process: Child,
}

impl Unit {
    /// As systemd starts it. Returns once it listens.
    fn start(listener: &TcpListener, upstream: SocketAddr, workers: &str) -> Self {
        let listener = OwnedFd::from(listener.try_clone().expect("a listener"));
        let mut process = Command::new("sh")
            .args(["-c", PASS, env!("CARGO_BIN_EXE_openim-bridge"), "serve", "--admin-listen=off"])
            .args(["--fallback=refuse", "--drain-delay=50ms", "--workers", workers])
            .args(["--upstream", &format!("http://{upstream}")])
            // It would not be free.
            .args(["--listen", "127.0.0.1:1"])
            .stdin(Stdio::from(listener))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program");
        let mut log = BufReader::new(process.stderr.take().expect("piped")).lines().map_while(Result::ok);
        assert!(log.by_ref().any(|line| line.contains("listening") && line.contains("passed=true")));
        thread::spawn(move || log.for_each(drop));
        Self { process }
    }

    /// As systemd stops it.
    fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
        assert!(self.process.wait().expect("it ends").success());
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _gone = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// Sends callbacks as OpenIM does, at least so many and until this is so. Returns how many were not decided.
fn send(address: SocketAddr, least: usize, is_over: &AtomicBool, sent: &AtomicUsize) -> usize {
    let (mut kept, mut failed, mut own) = (None, 0, 0);
    while own < least || !is_over.load(Relaxed) {
        let Some(mut client) = kept.take().or_else(|| Client::try_connect(address).ok()) else {
            (own, failed) = (own + 1, failed + 1);
            continue;
        };
        client.write(&Request::new().bytes());
        let reply = client.reply();
        failed += usize::from(reply.json()["nextCode"] != 0);
        if !reply.announces_close() {
            kept = Some(client);
        }
        own += 1;
        sent.fetch_add(1, Relaxed);
    }
    failed
}

#[test]
fn a_restart_under_load_fails_nobody() {
    let app = app();
    for workers in ["1", "2"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let unit = Unit::start(&listener, app.address, workers);
        let (is_over, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
        let failed: usize = thread::scope(|scope| {
            let senders: Vec<_> = (0..4).map(|_| scope.spawn(|| send(address, 200, &is_over, &sent))).collect();
            kit::eventually("callbacks are decided", || sent.load(Relaxed) >= 100);
            unit.stop();
            let before = sent.load(Relaxed);
            let again = Unit::start(&listener, app.address, workers);
            kit::eventually("callbacks are decided again", || sent.load(Relaxed) >= before + 100);
            is_over.store(true, Relaxed);
            let failed = senders.into_iter().map(|sender| sender.join().expect("it sends")).sum();
            again.stop();
            failed
        });
        let sent = sent.load(Relaxed);
        assert!(failed == 0 && sent >= 800, "{failed} of {sent} failed, with {workers} workers");
    }
}
