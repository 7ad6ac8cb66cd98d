//! What is compared, and how each is started: what asks a decision service over gRPC, and what passes requests on to an
//! HTTP receiver. The bridge and Envoy do both.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::process::Command;

/// A program that answers OpenIM's callbacks.
#[derive(Debug)]
pub struct Contender {
    /// Its file among the built ones, and its name on the command line.
    pub name: &'static str,
    /// For tables.
    pub title: &'static str,
    /// Whether it answers when the decision service does not.
    pub has_deadline: bool,
}

/// This project's own.
pub static BRIDGE: Contender = Contender { name: "bridge", title: "openim-bridge", has_deadline: true };
/// What the bridge's cost is held against.
pub static FLOOR: Contender = Contender { name: "floor", title: "axum + tonic", has_deadline: false };
/// `grpc_json_transcoder`.
pub static ENVOY: Contender = Contender { name: "envoy", title: "Envoy", has_deadline: true };
/// net/http and grpc-go.
pub static BY_HAND: Contender = Contender { name: "byhand", title: "hand-written Go", has_deadline: true };
/// grpc-gateway.
pub static GATEWAY: Contender = Contender { name: "gateway", title: "grpc-gateway", has_deadline: true };
/// `proxy_pass`.
pub static NGINX: Contender = Contender { name: "nginx", title: "nginx", has_deadline: true };

/// Those that ask a decision service, in the order of the tables.
pub static ASKING: [&Contender; 5] = [&BRIDGE, &FLOOR, &ENVOY, &BY_HAND, &GATEWAY];
/// Those that pass requests on, in the order of the tables.
pub static FORWARDING: [&Contender; 3] = [&BRIDGE, &NGINX, &ENVOY];

/// What the bridge's image is made of, and the environment that it sets.
const IMAGE: &str = include_str!("../../deploy/Containerfile");

/// Where the programs are.
#[derive(Debug)]
pub struct Programs {
    /// The release build of openim-bridge.
    pub bridge: PathBuf,
    /// The folder of the others.
    pub built: PathBuf,
}

/// What is behind a contender.
#[derive(Debug, Clone, Copy)]
pub enum Behind<'a> {
    /// The decision service, which is asked: one address for all but the bridge, which takes several.
    Service(&'a [SocketAddr]),
    /// An HTTP receiver, to which requests are passed on.
    Receiver(SocketAddr),
}

/// What a contender is told.
#[derive(Debug)]
pub struct Setup<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What is behind it.
    pub behind: Behind<'a>,
    /// Its deadline.
    pub timeout: Duration,
    /// Certificate and key.
    pub tls: Option<(&'a str, &'a str)>,
    /// Threads, where they are not the contender's default: the bridge has one, the others have two.
    pub workers: Option<u8>,
}

impl Contender {
    /// Whether it is this project's own.
    #[must_use]
    pub fn is_bridge(&self) -> bool {
        self.name == BRIDGE.name
    }

    /// Its program.
    #[must_use]
    pub fn file(&self, programs: &Programs) -> PathBuf {
        if self.is_bridge() { programs.bridge.clone() } else { programs.built.join(self.name) }
    }

    /// Its program, in the environment of the bridge's image where it is one in Rust: both have the same C library.
    #[must_use]
    pub fn command(&self, programs: &Programs) -> Command {
        let mut command = Command::new(self.file(programs));
        if self.is_bridge() || self.name == FLOOR.name {
            let set = IMAGE.lines().filter_map(|line| line.strip_prefix("ENV GLIBC_TUNABLES="));
            command.envs(set.map(|value| ("GLIBC_TUNABLES", value)));
        }
        command
    }

    /// Its arguments. The bridge has its defaults, but that its fallback is a refusal: it cannot pass for a decision.
    #[must_use]
    pub fn arguments(&self, setup: &Setup<'_>) -> Vec<OsString> {
        let Setup { listen, behind, timeout, tls, workers } = setup;
        let (listen, timeout) = (listen.to_string(), format!("{}ms", timeout.as_millis()));
        let mut arguments: Vec<String> = Vec::new();
        let mut flag = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        flag("--listen", listen);
        flag("--timeout", timeout);
        if let Some(workers) = workers {
            flag("--workers", workers.to_string());
        }
        match behind {
            Behind::Service(upstreams) => {
                let scheme = if self.is_bridge() { "http://" } else { "" };
                for upstream in *upstreams {
                    flag("--upstream", format!("{scheme}{upstream}"));
                }
            }
            Behind::Receiver(receiver) => {
                if self.is_bridge() {
                    flag("--forward-url", format!("http://{receiver}/callbackExample"));
                    flag("--callbacks-default-route", "forward".to_owned());
                } else {
                    flag("--upstream", format!("http://{receiver}"));
                }
            }
        }
        let (cert, key) = if self.is_bridge() { ("--tls-cert", "--tls-key") } else { ("--cert", "--key") };
        if let Some((cert_file, key_file)) = tls {
            flag(cert, (*cert_file).to_owned());
            flag(key, (*key_file).to_owned());
        }
        if self.is_bridge() {
            flag("--admin-listen", "127.0.0.1:0".to_owned());
            flag("--fallback", "refuse".to_owned());
            arguments.insert(0, "serve".to_owned());
        }
        arguments.into_iter().map(OsString::from).collect()
    }
}

impl Programs {
    /// The decision service.
    #[must_use]
    pub fn service(&self) -> PathBuf {
        self.built.join("service")
    }

    /// The load client in OpenIM's own pattern.
    #[must_use]
    pub fn openim(&self) -> PathBuf {
        self.built.join("openim")
    }

    /// OpenIM's own queue of after callbacks, with its client.
    #[must_use]
    pub fn queue(&self) -> PathBuf {
        self.built.join("queue")
    }

    /// What the contenders are made of.
    #[must_use]
    pub fn versions(&self) -> PathBuf {
        self.built.join("versions.json")
    }
}

/// The contender of that name.
///
/// # Errors
///
/// When there is none: then the names that there are.
pub fn named(name: &str) -> Result<&'static Contender, String> {
    let all = || ASKING.into_iter().chain([&NGINX]);
    let names = || all().map(|contender| contender.name).collect::<Vec<_>>().join(", ");
    all().find(|contender| contender.name == name).ok_or_else(|| format!("there is {}", names()))
}

/// A file's size in MB.
#[must_use]
pub fn size_mb(file: &Path) -> Option<f64> {
    #[allow(clippy::cast_precision_loss, reason = "a file of less than 8 PB")]
    file.metadata().ok().map(|metadata| metadata.len() as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bridge_is_told_in_its_own_words() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let upstreams = [address(2), address(3)];
        let timeout = Duration::from_secs(4);
        let behind = Behind::Service(&upstreams);
        let asking = Setup { listen: address(1), behind, timeout, tls: Some(("cert.pem", "key.pem")), workers: None };
        let behind = Behind::Receiver(address(2));
        let forwarding = Setup { listen: address(1), behind, timeout, tls: None, workers: Some(1) };
        let words = |contender: &Contender, setup: &Setup<'_>| {
            let arguments = contender.arguments(setup);
            arguments.iter().map(|argument| argument.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            words(&BRIDGE, &asking),
            "serve --listen 127.0.0.1:1 --timeout 4000ms --upstream http://127.0.0.1:2 --upstream http://127.0.0.1:3 \
             --tls-cert cert.pem --tls-key key.pem --admin-listen 127.0.0.1:0 --fallback refuse"
        );
        assert_eq!(
            words(&BY_HAND, &asking),
            "--listen 127.0.0.1:1 --timeout 4000ms --upstream 127.0.0.1:2 --upstream 127.0.0.1:3 --cert cert.pem \
             --key key.pem"
        );
        assert_eq!(
            words(&BRIDGE, &forwarding),
            "serve --listen 127.0.0.1:1 --timeout 4000ms --workers 1 --forward-url http://127.0.0.1:2/callbackExample \
             --callbacks-default-route forward --admin-listen 127.0.0.1:0 --fallback refuse"
        );
        assert_eq!(
            words(&NGINX, &forwarding),
            "--listen 127.0.0.1:1 --timeout 4000ms --workers 1 --upstream http://127.0.0.1:2"
        );
    }
}
