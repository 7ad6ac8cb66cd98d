//! The program itself, as a process with a log that is read.

#![allow(clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use super::{Client, PATIENCE, Reply, Request, eventually};

/// `serve`, on a free port. Ended with the test.
pub struct Serve {
    child: Child,
    /// The process that takes the signals: `child`, or what it has started.
    id: u32,
    log: Receiver<String>,
    pub address: SocketAddr,
}

/// With these flags.
pub fn serve(flags: &[&str]) -> Serve {
    serve_by(Command::new(env!("CARGO_BIN_EXE_openim-bridge")), flags)
}

/// With these flags, and these variables in its environment.
pub fn serve_with(variables: &[(&str, &str)], flags: &[&str]) -> Serve {
    let mut program = Command::new(env!("CARGO_BIN_EXE_openim-bridge"));
    program.envs(variables.iter().copied());
    serve_by(program, flags)
}

/// As the process 1 of a PID namespace, as in a container. Needs the right to make one.
pub fn serve_as_pid_1(flags: &[&str]) -> Serve {
    let mut unshare = Command::new("unshare");
    unshare.args(["--pid", "--fork", "--mount-proc", env!("CARGO_BIN_EXE_openim-bridge")]);
    let mut serve = serve_by(unshare, flags);
    let unshare = serve.child.id();
    let children = std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).expect("/proc");
    serve.id = children.trim().parse().expect("one child");
    serve
}

fn serve_by(mut command: Command, flags: &[&str]) -> Serve {
    let mut child = command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .args(flags)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    let written = BufReader::new(child.stderr.take().expect("piped"));
    let (tell, log) = mpsc::channel();
    thread::spawn(move || written.lines().map_while(Result::ok).try_for_each(|line| tell.send(line + "\n")));
    let address = address(&next_with(&log, "listening address="));
    let id = child.id();
    Serve { child, id, log, address }
}

impl Serve {
    /// The next line that holds `text`; those before it are passed over.
    #[track_caller]
    pub fn says(&mut self, text: &str) -> String {
        next_with(&self.log, text)
    }

    /// The lines that are left, once it has ended.
    pub fn rest(&self) -> Vec<String> {
        self.log.iter().collect()
    }

    /// Where operators are served, from the next line that tells it.
    #[track_caller]
    pub fn admin_address(&mut self) -> SocketAddr {
        address(&self.says("listening for operators"))
    }

    /// Waits until its files are watched and its signals taken.
    #[track_caller]
    pub fn started(mut self) -> Self {
        self.says("fallback is ");
        self
    }

    /// Sends the signal of this name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id.to_string()]).status();
        assert!(sent.expect("kill").success());
    }

    /// The exit code, once it has ended, which it must in time.
    #[track_caller]
    pub fn exit_code(&mut self) -> Option<i32> {
        eventually("the program ends", || self.child.try_wait().expect("a child").is_some());
        self.child.wait().expect("ended").code()
    }

    /// Sends a request on a connection of its own.
    pub fn send(&self, request: &Request) -> Reply {
        let mut client = Client::connect(self.address);
        client.write(&request.bytes());
        client.reply()
    }
}

impl Drop for Serve {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _gone = Command::new("kill").args(["-KILL", &self.id.to_string()]).status();
            let _gone = self.child.kill().and_then(|()| self.child.wait());
        }
    }
}

#[track_caller]
fn next_with(log: &Receiver<String>, text: &str) -> String {
    loop {
        match log.recv_timeout(PATIENCE) {
            Ok(line) if line.contains(text) => return line,
            Ok(_) => {}
            Err(why) => panic!("the log is without: {text} ({why})"),
        }
    }
}

fn address(line: &str) -> SocketAddr {
    let (_, address) = line.trim().split_once("address=").expect("the bound address");
    address.split(' ').next().and_then(|address| address.parse().ok()).expect("an address")
}
