//! The bridge's commands as child processes.

use std::{
    env, fs,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time,
};

/// How long a command may take until it listens.
const START: Duration = Duration::from_secs(10);

/// A running command that listens. It is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Program {
    /// Starts `binary` with `args` and `--log-format json`, and waits for the log line that holds its `address`.
    ///
    /// What it logs from then on is read and thrown away, for it never to wait for a reader.
    ///
    /// # Errors
    ///
    /// When it cannot be started, ends, or does not say its address within 10 s; with what it said until then.
    pub async fn start(binary: &Path, args: &[&str]) -> anyhow::Result<Self> {
        let name = format!("{} {}", binary.display(), args.join(" "));
        let mut command = Command::new(binary);
        command.args(args).args(["--log-format", "json"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        // What is measured is what the arguments say, wherever the benchmark runs.
        for (variable, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OPENIM_BRIDGE_")) {
            command.env_remove(variable);
        }
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let mut log = BufReader::new(child.stderr.take().context("no stderr")?);
        let mut said = String::new();
        let found = time::timeout(START, async {
            loop {
                let start = said.len();
                if log.read_line(&mut said).await? == 0 {
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
        tokio::spawn(async move { tokio::io::copy_buf(&mut log, &mut tokio::io::sink()).await });
        Ok(Self { child, address })
    }

    /// The most memory that it ever held, in KiB: `VmHWM` of Linux. `None` where that is not to be had.
    #[must_use]
    pub fn peak_memory_kib(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
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
}
