//! The bridge's commands, and other programs that listen, as child processes.

use std::{
    collections::VecDeque,
    env, fs, io,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::{Child, Command},
    task::JoinHandle,
    time::{self, Instant},
};

/// How long a command may take until it listens, also where valgrind slows it down.
const START: Duration = Duration::from_secs(30);

/// Lines of a log that are kept, the newest.
const KEPT_LINES: usize = 1000;

/// A running command that listens. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    log: Arc<Mutex<Log>>,
    reading: Option<JoinHandle<()>>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// What it has logged since it listens.
#[derive(Debug, Default)]
struct Log {
    answered: usize,
    logged: usize,
    admin: Option<SocketAddr>,
    lines: VecDeque<(Instant, String)>,
}

impl Program {
    /// Starts `binary` with `args` and `--log-format json`, and waits for the log line that holds its `address`.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or does not say its address within 30 s; with what it said until then.
    pub async fn start(binary: &Path, args: &[&str]) -> anyhow::Result<Self> {
        Self::start_by(&[], binary, args).await
    }

    /// The same, in a network namespace.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub async fn start_in(namespace: Option<&str>, binary: &Path, args: &[&str]) -> anyhow::Result<Self> {
        match namespace {
            Some(namespace) => Self::start_by(&["ip", "netns", "exec", namespace], binary, args).await,
            None => Self::start(binary, args).await,
        }
    }

    /// The same, by another command that becomes the binary, so that its process is the binary's; or by itself.
    ///
    /// # Errors
    ///
    /// As [`Program::start`].
    pub async fn start_by(by: &[&str], binary: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let name = format!("{} {}", binary.display(), args.join(" "));
        let mut command = match by {
            [by, its_args @ ..] => {
                let mut command = Command::new(by);
                command.args(its_args).arg(binary);
                command
            }
            [] => Command::new(binary),
        };
        command.args(args).args(["--log-format", "json"]).stderr(Stdio::piped());
        let mut child = spawn(command).with_context(|| format!("cannot start {name}"))?;
        let mut stderr = BufReader::new(child.stderr.take().context("no stderr")?);
        let mut said = String::new();
        let found = time::timeout(START, async {
            loop {
                let start = said.len();
                if stderr.read_line(&mut said).await? == 0 {
                    bail!("it ended");
                }
                if let Some(address) = address(&said[start..]) {
                    return Ok(address);
                }
            }
        });
        let address = match found.await {
            Ok(Ok(address)) => address,
            Ok(Err(error)) => bail!("{name}: {error}; it said:\n{said}"),
            Err(_) => bail!("{name}: no log line with an address within {START:?}; it said:\n{said}"),
        };
        let log = Arc::<Mutex<Log>>::default();
        let reading = Some(tokio::spawn(read(stderr, Arc::clone(&log))));
        Ok(Self { child, log, reading, address })
    }

    /// Starts a command that has been told to listen at `address`, and does not wait until it does. Its output is where
    /// `command` has it, or inherited.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn launch(command: Command, address: SocketAddr) -> anyhow::Result<Self> {
        let name = command.as_std().get_program().display().to_string();
        let child = spawn(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { child, log: Arc::default(), reading: None, address })
    }

    /// Calls that it has answered, as the mock.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.log().answered
    }

    /// When a line of its log first held `text`, of those after `since`.
    #[must_use]
    pub fn said(&self, text: &str, since: Instant) -> Option<Instant> {
        self.log().lines.iter().find(|(at, line)| *at >= since && line.contains(text)).map(|(at, _)| *at)
    }

    /// Where it listens for operators, once it has said so.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.log().admin
    }

    /// How many lines it has logged since it listens, those of a mock's calls left aside.
    #[must_use]
    pub fn logged(&self) -> usize {
        self.log().logged
    }

    /// Lines of its log that hold `text`, the oldest of those that are kept first.
    #[must_use]
    pub fn lines_with(&self, text: &str) -> Vec<String> {
        self.log().lines.iter().filter(|(_, line)| line.contains(text)).map(|(_, line)| line.clone()).collect()
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        Ok(kill(self.id()?, signal)?)
    }

    fn id(&self) -> anyhow::Result<Pid> {
        let id = self.child.id().context("it has ended")?;
        Ok(Pid::from_raw(i32::try_from(id)?))
    }

    /// The CPU time that all its threads have used, those that have ended included, and no other process.
    ///
    /// # Errors
    ///
    /// When it has ended.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(clock_gettime(clock_getcpuclockid(self.id()?)?)?.into())
    }

    /// The memory that it holds now, in KiB: `VmRSS` of Linux. `None` where that is not to be had.
    #[must_use]
    pub fn memory_kib(&self) -> Option<u64> {
        self.status("VmRSS:")
    }

    /// The most memory that it ever held, in KiB: `VmHWM` of Linux. `None` where that is not to be had.
    #[must_use]
    pub fn peak_memory_kib(&self) -> Option<u64> {
        self.status("VmHWM:")
    }

    fn status(&self, key: &str) -> Option<u64> {
        kib_of(&fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?, key)
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it has ended, and all that it has logged is read.
    ///
    /// # Errors
    ///
    /// When that takes over 30 s.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        let status = time::timeout(Duration::from_secs(30), self.child.wait()).await.context("it does not end")??;
        if let Some(reading) = self.reading.take() {
            reading.await?;
        }
        Ok(status)
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Errors
    ///
    /// When that takes over 30 s.
    pub async fn end(mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM)?;
        time::timeout(Duration::from_secs(30), self.child.wait()).await.context("it does not end")??;
        Ok(())
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}

/// Starts it: it reads and prints nothing, ends with this program, and is what its arguments say wherever that runs.
fn spawn(mut command: Command) -> io::Result<Child> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    for (variable, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OPENIM_BRIDGE_")) {
        command.env_remove(variable);
    }
    command.spawn()
}

/// Reads until the end, for the program never to wait for a reader.
async fn read(stderr: impl AsyncRead + Unpin, log: Arc<Mutex<Log>>) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        // One a call: only their number is kept.
        if line.contains("\"message\":\"answered\"") {
            log.answered += 1;
            continue;
        }
        log.logged += 1;
        if log.admin.is_none() && line.contains("listening for operators") {
            log.admin = address(&line);
        }
        if log.lines.len() == KEPT_LINES {
            log.lines.pop_front();
        }
        log.lines.push_back((Instant::now(), line));
    }
}

/// The KiB after `key` in what Linux has in a process's `status`.
fn kib_of(status: &str, key: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(key))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The field `address` of a JSON log line, which tracing puts under `fields`, or beside the rest where flattened.
fn address(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    let field = line.get("fields").and_then(|fields| fields.get("address")).or_else(|| line.get("address"))?;
    field.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_both_forms_of_a_log_line() {
        let expected = Some(SocketAddr::from(([127, 0, 0, 1], 7)));
        assert_eq!(address("{\"fields\":{\"message\":\"listening\",\"address\":\"127.0.0.1:7\"}}\n"), expected);
        assert_eq!(address("{\"message\":\"listening\",\"address\":\"127.0.0.1:7\"}\n"), expected);
        assert_eq!(address("listening on 127.0.0.1:7\n"), None);
        assert_eq!(address("{\"fields\":{\"message\":\"starting\"}}\n"), None);
    }

    #[test]
    fn memory_is_read_in_the_form_that_linux_has_it() {
        let status =
            "Name:\topenim-bridge\nVmPeak:\t   29284 kB\nVmHWM:\t    7224 kB\nVmRSS:\t    7012 kB\nThreads:\t3\n";
        assert_eq!(kib_of(status, "VmHWM:"), Some(7224));
        assert_eq!(kib_of(status, "VmRSS:"), Some(7012));
        assert_eq!(kib_of(status, "Threads:"), None, "not KiB");
        assert_eq!(kib_of(status, "VmSwap:"), None);
    }

    #[tokio::test]
    async fn cpu_time_is_that_of_the_process_alone() {
        let mut idle = Command::new("sleep");
        idle.arg("60");
        let mut busy = Command::new("sh");
        busy.args(["-c", "while :; do :; done"]);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let idle = Program::launch(idle, address).expect("started");
        let busy = Program::launch(busy, address).expect("started");
        let began = Instant::now();
        while busy.cpu().expect("running") < Duration::from_millis(50) {
            assert!(began.elapsed() < Duration::from_secs(30), "a busy process uses CPU time");
            time::sleep(Duration::from_millis(1)).await;
        }
        assert!(idle.cpu().expect("running") < Duration::from_millis(50), "an idle one uses next to none");
        busy.stop().await.expect("stopped");
        idle.stop().await.expect("stopped");
    }
}
