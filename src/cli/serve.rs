//! `serve`: run the sidecar until it is told to stop. SIGHUP has it read its configuration again.

use std::{ffi::OsString, pin::pin, process::ExitCode, time::Duration};

use anyhow::Context as _;
use clap::{ArgMatches, Command};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{info, warn};

use super::handling;
use super::terminal::{WRONG_USAGE, cannot_listen, complain, runtime};
use crate::base::{cgroup, socket};
use crate::callback::Callbacks;
use crate::config::{self, Configuration, Loaded, Reloaded, Sources};
use crate::policy::{Action, Rest, Route, UnknownRoute};
use crate::server::{Server, Settings, StartError};
use crate::telemetry::{log, traces};
use crate::upstream::ErrorClass;

/// Thousandths of a core with which 1,500 callbacks a second are not held up; with 100 one callback in a hundred takes 89 ms.
const ENOUGH_CPU: u64 = 500;

/// The subcommand, with every setting as a flag.
#[must_use]
pub fn command() -> Command {
    Command::new("serve")
        .about("Run the bridge: receive OpenIM's callbacks, and answer them with your decision service")
        .after_help("These are the settings for a first start: --help shows all of them, and `openim-bridge config show` their values")
        .after_long_help("SIGHUP reloads the configuration.\n\nExit codes: 0 stopped by SIGTERM or SIGINT, 1 cannot start, 2 wrong flags or configuration, 130 or 143 stopped by a second signal.")
        .args(config::args())
}

/// Serves until SIGTERM or SIGINT, and then drains.
///
/// # Errors
/// When the certificate cannot be used, the address cannot be listened on, or the system gives no thread.
pub fn run(
    flags: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> anyhow::Result<ExitCode> {
    let sources = Sources::new(flags, environment);
    let loaded = match sources.load() {
        Ok(loaded) => loaded,
        Err(wrong) => {
            complain(&wrong.to_string());
            return Ok(ExitCode::from(WRONG_USAGE));
        }
    };
    // Before there is a second thread, which could read the variables.
    let passed = socket::passed().map_err(StartError::Passed)?;
    // Connections are limited by open files, and the hard limit is there to be used.
    let files = rlimit::increase_nofile_limit(u64::MAX);
    // Before there is a second thread.
    socket::make_room();
    log::init(&loaded.settings.bridge.log);
    traces::start();

    runtime()?.block_on(async {
        // Before anything listens, so that no signal is missed.
        let mut signals = Signals::new()?;
        let mut server = Server::start_on(passed, loaded.settings.clone(), Callbacks::all()).map_err(not_started)?;
        server.show_configuration(loaded.effective());
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        if let Err(error) = files {
            warn!(%error, "cannot raise the limit on open files");
        }
        if let Some(limit) = cgroup::cpu_limit().filter(|limit| *limit < ENOUGH_CPU) {
            warn!(
                "the container's CPU limit is {limit}m: when it is used up, callbacks wait for up to 100 ms. Set \
                 {ENOUGH_CPU}m or more, or no limit (if you set none, a LimitRange of the namespace may have)"
            );
        }
        say_what_is_decided(&loaded);
        let reconfigure = server.reconfigure();
        let changed = move |change: &Reloaded| {
            reconfigure.apply(change.loaded.settings.clone(), change.effective());
            let of_decisions = ["fallback.", "decision.", "callbacks."];
            if change.changed.iter().any(|key| of_decisions.iter().any(|prefix| key.starts_with(prefix))) {
                say_what_is_decided(&change.loaded);
            }
        };
        let configuration =
            Configuration::watch(sources, loaded, changed).context("cannot watch the configuration's file")?;
        server.show_reloads(configuration.counts());

        tell_systemd(&[NotifyState::Ready]);
        let first = signals.stop_or(|| reload(&configuration)).await;
        tell_systemd(&[NotifyState::Stopping]);
        let drain = configuration.in_force().loaded.settings.drain;
        let delay = if first == SignalKind::interrupt() { Duration::ZERO } else { drain.delay };
        info!(?delay, timeout = ?drain.timeout, "draining");
        let drained = {
            let draining = pin!(server.drain(delay, drain.timeout));
            tokio::select! {
                drained = draining => drained,
                second = signals.stop_or(|| reload(&configuration)) => return Ok(killed_by(second)),
            }
        };
        if drained {
            info!("stopped");
        } else {
            warn!(left = ?server.load(), "stopped with open connections: raise drain.timeout");
        }
        traces::flush();
        Ok(ExitCode::SUCCESS)
    })
}

/// Why the bridge has not started, and what to do where an address is why.
pub(super) fn not_started(error: StartError) -> anyhow::Error {
    match error {
        StartError::Bind { .. } => cannot_listen(&error, "--listen"),
        StartError::Admin { .. } => cannot_listen(&error, "--admin-listen"),
        StartError::Passed(_) | StartError::Tls(_) | StartError::Metrics(_) | StartError::Worker(_) => error.into(),
    }
}

/// Where systemd started it as `Type=notify`; nothing elsewhere.
fn tell_systemd(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        warn!(%error, "cannot notify systemd");
    }
}

fn reload(configuration: &Configuration) {
    if !configuration.reload() {
        info!("SIGHUP: there is no configuration file to reload; flags and variables are read only at the start");
    }
}

/// What a shell reports of a process that this signal has ended.
fn killed_by(signal: SignalKind) -> ExitCode {
    ExitCode::from(128 + u8::try_from(signal.as_raw_value()).unwrap_or_default())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
            hangup: signal(SignalKind::hangup()).context("cannot wait for SIGHUP")?,
        })
    }

    /// The next signal to stop, with `hung_up` called for each SIGHUP until then.
    async fn stop_or(&mut self, hung_up: impl Fn()) -> SignalKind {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return SignalKind::terminate(),
                _ = self.interrupt.recv() => return SignalKind::interrupt(),
                _ = self.hangup.recv() => hung_up(),
            }
        }
    }
}

/// Said at start and after a change, since it is what matters most and is seldom looked at.
fn say_what_is_decided(loaded: &Loaded) {
    let settings = &loaded.settings;
    info!("{}", what_happens_when_unreachable(settings));
    let decision = &settings.bridge.decision;
    let percent = decision.enforce_percent.get();
    if percent != 100 {
        let others = match decision.rest {
            Rest::Allow => "for the others, actions are allowed".to_owned(),
            Rest::Forward => format!("for the others, {} decides, and is compared", handling::receiver(settings)),
        };
        warn!(
            "decisions take effect for {percent} % of the owners only; {others}; the log shows what would have been decided, as \
             source=shadow"
        );
    }
    for line in what_is_not_the_default(loaded) {
        info!("{line}");
    }
}

/// The callbacks of which something else holds than `decision` and `fallback` say, those alike on one line. The largest
/// group is last; a large one is counted, not listed.
fn what_is_not_the_default(loaded: &Loaded) -> Vec<String> {
    const MANY: usize = 8;
    let settings = &loaded.settings;
    let plain = &settings.bridge.decision;
    let plain_timeout = humantime::format_duration(plain.timeout).to_string();
    let all = loaded.callbacks();
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for callback in &all {
        let is_plain = callback.route == Route::Service
            && callback.timeout.as_ref().is_none_or(|timeout| *timeout == plain_timeout)
            && callback.enforce_percent.is_none_or(|percent| percent == plain.enforce_percent.get())
            && callback.rest.is_none_or(|rest| rest == plain.rest || callback.enforce_percent == Some(100))
            && !callback.has_own_fallback;
        if is_plain {
            continue;
        }
        let words = handling::words(callback, settings);
        match groups.iter_mut().find(|(other, _)| *other == words) {
            Some((_, names)) => names.push(callback.name),
            None => groups.push((words, vec![callback.name])),
        }
    }
    groups.sort_by_key(|(_, names)| names.len());
    let line = |(words, names): (String, Vec<&str>)| {
        let names = if names.len() > MANY { format!("{} callbacks", names.len()) } else { names.join(", ") };
        format!("{names}: {words}")
    };
    let mut lines: Vec<String> = groups.into_iter().map(line).collect();
    if settings.bridge.routes.unknown != UnknownRoute::Refuse {
        lines.push(format!("callbacks {}", handling::of_unknown(settings)));
    }
    lines
}

fn what_happens_when_unreachable(settings: &Settings) -> String {
    let addresses: Vec<String> = settings.upstream.addresses.iter().map(ToString::to_string).collect();
    let addresses = addresses.join(", ");
    let exceptions: Vec<String> = ErrorClass::ALL
        .iter()
        .filter(|class| settings.bridge.fallback.action(**class) != settings.bridge.fallback.action)
        .map(|class| format!("{class}: {}", settings.bridge.fallback.action(*class)))
        .collect();
    let exceptions = if exceptions.is_empty() { String::new() } else { format!(" (but {})", exceptions.join(", ")) };
    let timeout = humantime::format_duration(settings.bridge.decision.timeout);
    match settings.bridge.fallback.action {
        Action::Allow => format!(
            "fallback is allow: if {addresses} does not reply within {timeout}, the user's action goes through{exceptions}; \
             use --fallback refuse for safeguards"
        ),
        Action::Refuse => format!(
            "fallback is refuse: if {addresses} does not reply within {timeout}, the user's action is refused{exceptions}; \
             while that service is down, users cannot do what it decides"
        ),
    }
}
