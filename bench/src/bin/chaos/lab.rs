//! What every scenario needs: services that come and go, a bridge that asks them, a load, and promises to hold the
//! outcome against.

use std::{
    fmt::Display,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    pin::Pin,
    time::Duration,
};

use anyhow::{Context as _, bail};
use openim_bridge_bench::{
    answer::Told,
    load::{Callbacks, Load, Scheme, slowest},
    namespace::Namespace,
    program::Program,
};
use tokio::time::{Instant, sleep, sleep_until};

/// The bridge's deadline, as it comes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(4);
/// What the client's own connecting, and a machine that runs all of this at one time, may add to it.
pub(crate) const MARGIN: Duration = Duration::from_millis(250);
/// An answer that took no longer did not wait for an endpoint that hangs.
pub(crate) const PROMPT: Duration = Duration::from_millis(500);
/// From a fault until it has been met with, where nothing else is promised.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

/// Lines of the bridge's log that are shown of a promise that was not kept.
const LOGGED: usize = 5;

/// One fault, and how it is brought about.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// For the table.
    pub(crate) fault: &'static str,
    /// What must hold, for the table; besides that every callback is answered in OpenIM's shape within the deadline.
    pub(crate) promise: &'static str,
    pub(crate) run: for<'a> fn(&'a Lab) -> Running<'a>,
}

pub(crate) type Running<'a> = Pin<Box<dyn Future<Output = anyhow::Result<Run>> + 'a>>;

/// What scenarios are run with.
pub(crate) struct Lab {
    pub(crate) bridge: PathBuf,
    pub(crate) rate: u32,
}

impl Lab {
    /// Three services, and a bridge that knows them by their addresses.
    pub(crate) async fn three(&self) -> anyhow::Result<([Service<'_>; 3], Program)> {
        let services = [self.service(1, &[]).await?, self.service(2, &[]).await?, self.service(3, &[]).await?];
        let bridge = self.bridge(&services.each_ref().map(Service::url), &[]).await?;
        Ok((services, bridge))
    }

    /// A service on the loopback address `127.0.0.(10 + number)`: none of its own can take another's port, nor can a
    /// client's, while it is away.
    pub(crate) async fn service(&self, number: u8, args: &[&str]) -> anyhow::Result<Service<'_>> {
        let address = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 10 + number), 0));
        self.service_at(address, None, args).await
    }

    pub(crate) async fn service_at(
        &self,
        address: SocketAddr,
        namespace: Option<&Namespace>,
        args: &[&str],
    ) -> anyhow::Result<Service<'_>> {
        let mut service = Service {
            lab: self,
            address,
            args: args.iter().map(ToString::to_string).collect(),
            namespace: namespace.map(|namespace| namespace.name.clone()),
            program: None,
        };
        service.start().await?;
        Ok(service)
    }

    /// A bridge with its settings as they come, but for what is in `args`.
    pub(crate) async fn bridge(&self, upstreams: &[String], args: &[&str]) -> anyhow::Result<Program> {
        let mut all = vec!["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--fallback", "refuse"];
        all.extend(upstreams.iter().flat_map(|upstream| ["--upstream", upstream.as_str()]));
        all.extend(args);
        let bridge = Program::start(&self.bridge, &all).await?;
        // Its connections are made at start; a fault before they are there is another one.
        sleep(Duration::from_millis(500)).await;
        Ok(bridge)
    }

    pub(crate) fn load(&self, bridge: &Program) -> Load {
        Load::start(bridge.address, self.rate, Scheme::Http)
    }
}

/// One of the decision service's processes: `openim-bridge mock`.
pub(crate) struct Service<'a> {
    lab: &'a Lab,
    pub(crate) address: SocketAddr,
    args: Vec<String>,
    namespace: Option<String>,
    program: Option<Program>,
}

impl Service<'_> {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it, at the address that it had.
    pub(crate) async fn start(&mut self) -> anyhow::Result<()> {
        let listen = self.address.to_string();
        let mut args = vec!["mock", "--listen", &listen];
        args.extend(self.args.iter().map(String::as_str));
        let program = Program::start_in(self.namespace.as_deref(), &self.lab.bridge, &args).await?;
        self.address = program.address;
        self.program = Some(program);
        Ok(())
    }

    pub(crate) fn program(&self) -> anyhow::Result<&Program> {
        self.program.as_ref().context("the service is not running")
    }

    /// Kills it, by SIGKILL.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.program.take().context("the service is not running")?.stop().await
    }

    /// Ends it, by SIGTERM.
    pub(crate) async fn end(&mut self) -> anyhow::Result<()> {
        self.program.take().context("the service is not running")?.end().await
    }

    /// Waits until it has answered more calls than now, for at most `limit`. How long that took.
    pub(crate) async fn is_asked(&self, limit: Duration) -> anyhow::Result<Option<Duration>> {
        let program = self.program()?;
        let (since, before) = (Instant::now(), program.answered());
        while since.elapsed() < limit {
            if program.answered() > before {
                return Ok(Some(since.elapsed()));
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(None)
    }
}

/// What became of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) callbacks: Callbacks,
    /// What was also measured.
    pub(crate) notes: Vec<String>,
    /// Promises that were not kept.
    pub(crate) broken: Vec<String>,
    /// The first fallbacks in the bridge's log, for who has to find out why there were any.
    pub(crate) logged: Vec<String>,
    /// Why it could not be run.
    pub(crate) skipped: Option<String>,
}

impl Run {
    /// Holds against these callbacks what is promised always: an answer in OpenIM's shape, within the deadline.
    pub(crate) fn of(callbacks: Callbacks, bridge: &Program) -> Self {
        let mut logged = bridge.lines_with("\"source\":\"fallback\"");
        logged.truncate(LOGGED);
        let mut run = Self { callbacks, logged, ..Self::default() };
        let bad = run.callbacks.bad().count();
        let first = run.callbacks.bad().next().map(|callback| match &callback.told {
            Told::Wrong(what) | Told::Missing(what) => what.clone(),
            Told::Decided | Told::FellBack(_) => String::new(),
        });
        run.promise(bad == 0, format!("{bad} not answered in OpenIM's shape, such as: {}", first.unwrap_or_default()));
        let slowest = run.callbacks.slowest();
        run.promise(slowest <= DEADLINE + MARGIN, format!("one took {slowest:?}"));
        run
    }

    pub(crate) fn skipped(why: String) -> Self {
        Self { skipped: Some(why), ..Self::default() }
    }

    pub(crate) fn note(&mut self, note: impl Display) {
        self.notes.push(note.to_string());
    }

    pub(crate) fn promise(&mut self, is_kept: bool, otherwise: impl Display) {
        if !is_kept {
            self.broken.push(otherwise.to_string());
        }
    }

    /// No callback that began at `since` or later fell back.
    pub(crate) fn no_fallback_since(&mut self, since: Instant) {
        let fell_back = self.callbacks.since(since).fell_back().count();
        self.promise(fell_back == 0, format!("{fell_back} fell back"));
    }

    /// None of those that began at `since` or later waited for an endpoint that hangs.
    pub(crate) fn prompt_since(&mut self, since: Instant) {
        let slowest = slowest(self.callbacks.since(since).decided());
        self.promise(slowest <= PROMPT, format!("one took {slowest:?} though it began after that"));
    }

    /// Notes when the bridge's log first held `text`, counted from `fault`, and promises that it was within `limit`.
    pub(crate) fn found(&mut self, bridge: &Program, text: &str, fault: Instant, limit: Duration) {
        match bridge.said(text, fault) {
            Some(at) => {
                let after = at - fault;
                self.note(format!("ejected after {:.1} s", after.as_secs_f64()));
                self.promise(after <= limit + MARGIN, format!("found after {after:?} only"));
            }
            None => self.promise(false, format!("the bridge did not log that {text:?}")),
        }
    }

    /// It was asked again within `limit`.
    pub(crate) fn asked_again(&mut self, after: Option<Duration>, limit: Duration) {
        match after {
            Some(after) => self.note(format!("gets calls again after {:.1} s", after.as_secs_f64())),
            None => self.promise(false, format!("gets no calls within {limit:?}")),
        }
    }
}

/// Waits, while the load goes on.
pub(crate) async fn seconds(seconds: u64) {
    sleep(Duration::from_secs(seconds)).await;
}

/// Waits until `after` of `instant`.
pub(crate) async fn until(instant: Instant, after: Duration) {
    sleep_until(instant + after).await;
}

/// The bridge must be running still, however the scenario went.
pub(crate) fn still_running(bridge: &mut Program) -> anyhow::Result<()> {
    match bridge.ended()? {
        Some(status) => bail!("the bridge ended: {status}"),
        None => Ok(()),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a number for people")]
pub(crate) fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
