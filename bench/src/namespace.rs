//! A network namespace beside this one, joined to it by a pair of virtual cables: what is in it can be made to lose
//! every packet. Linux, as root, with the commands `ip` and `iptables`.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::{self, Command},
};

use anyhow::{Context as _, bail};

/// A namespace, removed when this is dropped.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// The address of what is in it.
    pub address: IpAddr,
}

impl Namespace {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// Where that is not permitted, or a command is missing.
    pub fn new() -> anyhow::Result<Self> {
        let id = process::id();
        // At most 15 characters, for the name of an interface.
        let (name, here, there) = (format!("chaos-{id}"), format!("chaos-{id}a"), format!("chaos-{id}b"));
        let [low, high] = [id % 256, id / 256 % 64].map(|part| u8::try_from(part).unwrap_or_default());
        // A network of four addresses, of the ranges for benchmarks (RFC 2544).
        let [one, other] = [1, 2].map(|last| Ipv4Addr::new(198, 18 + high % 2, low, high / 2 * 4 + last));
        run(&["ip", "netns", "add", &name])?;
        let made = Self { name, address: other.into() };
        let name = &made.name;
        run(&["ip", "link", "add", &here, "type", "veth", "peer", "name", &there, "netns", name])?;
        run(&["ip", "address", "add", &format!("{one}/30"), "dev", &here])?;
        run(&["ip", "link", "set", &here, "up"])?;
        run(&["ip", "-n", name, "address", "add", &format!("{other}/30"), "dev", &there])?;
        run(&["ip", "-n", name, "link", "set", &there, "up"])?;
        made.iptables("-L")?;
        Ok(made)
    }

    /// From now on every packet to and from it is lost.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn lose_packets(&self) -> anyhow::Result<()> {
        self.iptables("-A")
    }

    /// No packet is lost any more.
    ///
    /// # Errors
    ///
    /// When the command fails.
    pub fn lose_no_packets(&self) -> anyhow::Result<()> {
        self.iptables("-D")
    }

    fn iptables(&self, what: &str) -> anyhow::Result<()> {
        for chain in ["INPUT", "OUTPUT"] {
            let mut command = vec!["ip", "netns", "exec", &self.name, "iptables", what, chain];
            if what != "-L" {
                command.extend(["-j", "DROP"]);
            }
            run(&command)?;
        }
        Ok(())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The cables go with it.
        if let Err(error) = run(&["ip", "netns", "del", &self.name]) {
            eprintln!("warning: {error:#}");
        }
    }
}

fn run(command: &[&str]) -> anyhow::Result<()> {
    let shown = command.join(" ");
    let [program, args @ ..] = command else { bail!("no command") };
    let output = Command::new(program).args(args).output().with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}`: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
