//! One endpoint of the decision service, as the whole process sees it: whether it is healthy, how much it has to do, and the
//! connections on which its health is asked.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use h2::Reason;
use http::Uri;
use tokio::{
    sync::{Notify, watch},
    time::{Duration, Instant},
};

use super::address::Target;
use super::status::{EndpointState, EndpointStatus};
use super::tls::Secured;
use super::unary::Sender;
use crate::base::text::one_line;

/// Of the ends of an endpoint's connections one in so long is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How much of a GOAWAY's text is logged.
const GOAWAY_TEXT: usize = 256;

/// A line at warn, or at info where the first is true.
macro_rules! warn_once_reached {
    ($is_expected:expr, $($line:tt)*) => {
        if $is_expected { tracing::info!($($line)*) } else { tracing::warn!($($line)*) }
    };
}
pub(super) use warn_once_reached;

/// One target, shared by all workers and the control thread.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) target: Target,
    /// Of the configured address, for every request's `:scheme` and `:authority`.
    pub(super) origin: Uri,
    /// `None`: plain text.
    pub(super) secured: Option<Secured>,
    /// So many failures in a row eject.
    eject_after: usize,
    /// Whether any endpoint was healthy since the bridge started.
    reached: Arc<AtomicBool>,
    /// Told when a connection fails: the name may have moved.
    look_again: Arc<Notify>,
    /// Told when a connection is made: its health can be asked on it.
    connected: Notify,
    state: watch::Sender<EndpointState>,
    failures: AtomicUsize,
    /// Whether it has answered anything since [`Endpoint::listen`].
    has_answered: AtomicBool,
    load: AtomicUsize,
    connections_made: AtomicU64,
    /// Why the last probe failed, until it is healthy again. For operators.
    last_probe: Mutex<Option<String>>,
    connections: Mutex<OpenConnections>,
    /// Whether the last line about its connections was a warning.
    away: AtomicBool,
    ends: Mutex<EndsTold>,
}

/// A peer may end every connection as soon as it is made: of those that it ends within a second one is told.
#[derive(Debug, Default)]
struct EndsTold {
    last: Option<Instant>,
    suppressed: u64,
}

/// Those of all workers.
#[derive(Debug, Default)]
struct OpenConnections {
    /// The newest last.
    open: Vec<(u64, Sender)>,
    attempts: usize,
}

impl Endpoint {
    pub(super) fn new(
        target: Target,
        origin: Uri,
        secured: Option<Secured>,
        eject_after: usize,
        reached: Arc<AtomicBool>,
        look_again: Arc<Notify>,
    ) -> Self {
        Self {
            target,
            origin,
            secured,
            eject_after,
            reached,
            look_again,
            connected: Notify::new(),
            state: watch::Sender::new(EndpointState::New),
            failures: AtomicUsize::new(0),
            has_answered: AtomicBool::new(false),
            load: AtomicUsize::new(0),
            connections_made: AtomicU64::new(0),
            last_probe: Mutex::default(),
            connections: Mutex::default(),
            away: AtomicBool::new(false),
            ends: Mutex::default(),
        }
    }

    /// Whether the decision service has not been reached yet: it may start later than the bridge.
    pub(super) fn may_start_yet(&self) -> bool {
        !self.reached.load(Relaxed)
    }

    pub(super) fn gets_calls(&self) -> bool {
        matches!(*self.state.borrow(), EndpointState::New | EndpointState::Healthy)
    }

    pub(super) fn is_healthy(&self) -> bool {
        *self.state.borrow() == EndpointState::Healthy
    }

    pub(super) fn states(&self) -> watch::Receiver<EndpointState> {
        self.state.subscribe()
    }

    /// Moves from one of `from` to `to`; nothing happens in any other state.
    pub(super) fn enter(&self, to: EndpointState, from: &[EndpointState]) {
        let changed = self.state.send_if_modified(|state| {
            let moves = from.contains(state);
            if moves {
                *state = to;
            }
            moves
        });
        if changed {
            self.failures.store(0, Relaxed);
            match to {
                EndpointState::Healthy => {
                    *self.last_probe() = None;
                    self.away.store(false, Relaxed);
                    if self.reached.swap(true, Relaxed) {
                        tracing::info!(endpoint = %self.target, "an endpoint is healthy");
                    } else {
                        tracing::info!(endpoint = %self.target, "connected to the decision service: an endpoint is healthy");
                    }
                }
                EndpointState::NotServing => {
                    tracing::warn!(endpoint = %self.target, "an endpoint is ejected: its health service reports NOT_SERVING");
                }
                EndpointState::Ejected => {
                    warn_once_reached!(
                        self.may_start_yet(),
                        endpoint = %self.target,
                        "an endpoint is ejected, and probed until it answers"
                    );
                }
                EndpointState::Hung => {
                    tracing::warn!(endpoint = %self.target, "an endpoint hangs: it is ejected, and probed until it answers");
                }
                EndpointState::Gone => {
                    tracing::info!(endpoint = %self.target, "an endpoint is removed: its name no longer resolves to it");
                }
                EndpointState::New => {}
            }
        }
    }

    /// Connecting failed, the connection broke, its own UNAVAILABLE, or no answer by the deadline to a call that had time.
    pub(super) fn failed(&self) {
        if self.failures.fetch_add(1, Relaxed) + 1 >= self.eject_after {
            self.enter(EndpointState::Ejected, &[EndpointState::New, EndpointState::Healthy]);
        }
    }

    /// Connecting failed, or a connection with calls on it broke.
    pub(super) fn connection_failed(&self) {
        self.look_again.notify_one();
        self.failed();
    }

    /// It answered, whatever it said.
    pub(super) fn answered(&self) {
        // Mostly so already: reading leaves the cache line shared.
        if !self.has_answered.load(Relaxed) {
            self.has_answered.store(true, Relaxed);
        }
        if self.failures.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// Begins to listen for a sign of life.
    pub(super) fn listen(&self) {
        self.has_answered.store(false, Relaxed);
    }

    /// Whether there was one since.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.load(Relaxed)
    }

    pub(super) fn load(&self) -> usize {
        self.load.load(Relaxed)
    }

    pub(super) fn call_begins(&self) {
        self.load.fetch_add(1, Relaxed);
    }

    pub(super) fn call_ends(&self) {
        self.load.fetch_sub(1, Relaxed);
    }

    /// Begins an attempt to connect, whose end is told by [`Endpoint::connected`] or [`Endpoint::not_connected`].
    pub(super) fn connects(&self) {
        self.connections().attempts += 1;
    }

    /// The same, unless there are so many connections, those in progress included.
    pub(super) fn connects_below(&self, limit: usize) -> bool {
        let mut connections = self.connections();
        let may = connections.open.len() + connections.attempts < limit;
        connections.attempts += usize::from(may);
        may
    }

    pub(super) fn not_connected(&self) {
        self.connections().attempts -= 1;
    }

    /// Notes an open connection. Returns its number, which no other has.
    pub(super) fn connected(&self, sender: Sender) -> u64 {
        let number = self.connections_made.fetch_add(1, Relaxed);
        let mut connections = self.connections();
        connections.attempts -= 1;
        connections.open.push((number, sender));
        drop(connections);
        self.connected.notify_one();
        number
    }

    /// A new connection is one in HTTP/2.
    pub(super) fn speaks(&self) {
        if self.away.swap(false, Relaxed) {
            if self.may_start_yet() {
                tracing::info!(endpoint = %self.target, "connected to an endpoint");
            } else {
                tracing::info!(endpoint = %self.target, "connected to an endpoint again");
            }
        }
    }

    /// Its next connection is to be told.
    pub(super) fn is_away(&self) {
        self.away.store(true, Relaxed);
    }

    /// Tells why one of its connections ends. A service that protects itself says so here, and nowhere else.
    pub(super) fn closes(&self, why: &h2::Error) {
        let Some(suppressed) = self.ends_to_tell() else { return };
        let (endpoint, lines_suppressed) = (&self.target, Some(suppressed).filter(|suppressed| *suppressed > 0));
        let code = why.reason().map(tracing::field::debug);
        if !why.is_go_away() || !why.is_remote() {
            self.is_away();
            let error = why.to_string();
            tracing::warn!(%endpoint, error, lines_suppressed, "a connection to an endpoint broke");
        } else if why.reason() == Some(Reason::NO_ERROR) {
            tracing::info!(%endpoint, code, text = goaway_text(why), lines_suppressed, "an endpoint ends a connection by GOAWAY");
        } else {
            self.is_away();
            tracing::warn!(%endpoint, code, text = goaway_text(why), lines_suppressed, "an endpoint ends a connection by GOAWAY");
        }
    }

    /// How many were not told since the last that was; `None` where this one is not to be.
    fn ends_to_tell(&self) -> Option<u64> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if ends.last.is_some_and(|last| now < last + TELL_EVERY) {
            ends.suppressed += 1;
            return None;
        }
        ends.last = Some(now);
        Some(std::mem::take(&mut ends.suppressed))
    }

    /// Waits for a connection that was made since this was last waited for.
    pub(super) async fn next_connection(&self) {
        self.connected.notified().await;
    }

    pub(super) fn disconnected(&self, number: u64) {
        self.connections().open.retain(|(other, _)| *other != number);
    }

    /// A connection that serves calls, to ask for health on.
    pub(super) fn serving_connection(&self) -> Option<Sender> {
        self.connections().open.last().map(|(_, sender)| sender.clone())
    }

    /// Notes why a probe of an ejected endpoint failed.
    pub(super) fn probe_failed(&self, why: &str) {
        *self.last_probe() = Some(why.to_owned());
    }

    pub(super) fn status(&self) -> EndpointStatus {
        EndpointStatus {
            target: self.target.clone(),
            state: *self.state.borrow(),
            connections: self.connections().open.len(),
            calls: self.load(),
            last_probe: self.last_probe().clone(),
        }
    }

    fn connections(&self) -> std::sync::MutexGuard<'_, OpenConnections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn last_probe(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.last_probe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a peer says in its GOAWAY. h2 has it at the end of its own text alone.
fn goaway_text(why: &h2::Error) -> Option<String> {
    let whole = why.to_string();
    let (_, text) = whole.split_once(" (b\"")?;
    Some(one_line(text.strip_suffix("\")")?, GOAWAY_TEXT).into_owned())
}
