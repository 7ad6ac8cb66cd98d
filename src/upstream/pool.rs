//! The endpoints of the decision service, and what watches over them: one for the process.
//!
//! A control thread of its own resolves names, asks each endpoint for its health, and probes those that are ejected, so that
//! a worker's callbacks never wait for any of that.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot, watch},
    time::{sleep, timeout},
};
use tower::retry::budget::TpsBudget;

use super::address::{Target, UpstreamAddress};
use super::endpoint::{Endpoint, warn_once_reached};
use super::health::{self, NoLife};
use super::pause::{Backoff, short};
use super::resolve::Resolver;
use super::settings::UpstreamSettings;
use super::status::{EndpointState, UpstreamStatus};
use super::tls::{self, ClientFiles, Secured};
use crate::base::error_chain;
use crate::base::file_watch::Reloads;
use crate::base::tls::{TlsError, Untimely};

/// In any [`BUDGET_WINDOW`], retries are at most this share of the calls, plus [`BUDGET_FLOOR`] for each second of it.
const BUDGET_SHARE: f32 = 0.2;
const BUDGET_WINDOW: Duration = Duration::from_secs(10);
const BUDGET_FLOOR: u32 = 10;

/// Names are never resolved more often, however many connections fail.
const RESOLVE_PAUSE: Duration = Duration::from_millis(500);

/// `None` until names have been resolved for the first time.
pub(super) type Endpoints = Option<Arc<[Arc<Endpoint>]>>;

/// The decision service's endpoints. Dropped, it ends its control thread.
#[derive(Debug)]
pub struct Pool {
    pub(super) settings: UpstreamSettings,
    pub(super) budget: TpsBudget,
    endpoints: watch::Sender<Endpoints>,
    tls: Option<Arc<ClientFiles>>,
    /// Whether any endpoint was healthy since the bridge started.
    reached: Arc<AtomicBool>,
    _control: Option<oneshot::Sender<()>>,
}

impl Pool {
    /// Starts the control thread.
    ///
    /// # Errors
    /// When a file of TLS cannot be used, or the system gives no thread.
    pub fn start(settings: UpstreamSettings) -> Result<Arc<Self>, PoolError> {
        let (running, stopped) = oneshot::channel::<()>();
        let maker = Maker::new(settings.clone())?;
        let (tls, reached) = (maker.tls.clone(), Arc::clone(&maker.reached));
        let endpoints = watch::Sender::new(maker.literal_endpoints());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let control = ControlThread { maker, endpoints: endpoints.clone() };
        thread::Builder::new().name("upstream".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = control.run() => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Arc::new(Self { settings, budget: budget(), endpoints, tls, reached, _control: Some(running) }))
    }

    /// Reads the files of TLS as [`Self::start`] would, and says which certificates are not valid now, or soon will not be.
    ///
    /// # Errors
    /// When one cannot be used, or has expired.
    pub(crate) fn inspect(settings: &UpstreamSettings) -> Result<Vec<Untimely>, TlsError> {
        if settings.is_secured() { tls::inspect(&settings.tls) } else { Ok(Vec::new()) }
    }

    /// How often the files of TLS were read again; `None` without an `https` address.
    pub(crate) fn reloads(&self) -> Option<Reloads> {
        self.tls.as_deref().map(|files| files.counts().now())
    }

    /// Seconds until the first of the files of TLS expires; `None` without an `https` address.
    pub(crate) fn expires_in(&self) -> Option<f64> {
        self.tls.as_deref().map(tls::expires_in)
    }

    pub(crate) fn status(&self) -> UpstreamStatus {
        let endpoints = self.endpoints.borrow();
        UpstreamStatus {
            resolved: endpoints.is_some(),
            reached: self.reached.load(Relaxed),
            endpoints: endpoints.iter().flat_map(|endpoints| endpoints.iter()).map(|known| known.status()).collect(),
        }
    }

    pub(super) fn endpoints(&self) -> watch::Receiver<Endpoints> {
        self.endpoints.subscribe()
    }
}

fn budget() -> TpsBudget {
    TpsBudget::new(BUDGET_WINDOW, BUDGET_FLOOR, BUDGET_SHARE)
}

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// A file of TLS cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The system gives no thread.
    #[error("cannot start the control thread")]
    Thread(#[from] io::Error),
}

pub(super) struct Maker {
    pub(super) settings: UpstreamSettings,
    /// `None`: no address is `https`.
    tls: Option<Arc<ClientFiles>>,
    /// A connection failed: the names may have moved.
    look_again: Arc<Notify>,
    /// Whether any endpoint was healthy since the bridge started.
    reached: Arc<AtomicBool>,
}

impl Maker {
    pub(super) fn new(settings: UpstreamSettings) -> Result<Self, TlsError> {
        let tls = if settings.is_secured() { Some(tls::start(&settings.tls)?.into()) } else { None };
        Ok(Self { settings, tls, look_again: Arc::default(), reached: Arc::default() })
    }

    /// What needs no resolving is there at once: IP addresses, and sockets in the file system. `None` where there is a
    /// name.
    fn literal_endpoints(&self) -> Endpoints {
        let literal = |address: &UpstreamAddress| {
            let target = match address {
                UpstreamAddress::Http { host, port, .. } => Target::Tcp(SocketAddr::new(host.parse().ok()?, *port)),
                UpstreamAddress::Unix(path) => Target::Unix(Arc::clone(path)),
            };
            Some(self.endpoint(target, address))
        };
        self.settings.addresses.iter().map(literal).collect()
    }

    pub(super) fn endpoint(&self, target: Target, address: &UpstreamAddress) -> Arc<Endpoint> {
        let secured = match (address, &self.tls) {
            (UpstreamAddress::Http { tls: Some(of_host), .. }, Some(files)) => {
                let name = self.settings.tls.server_name.as_ref().unwrap_or(of_host).clone();
                Some(Secured { files: Arc::clone(files), name })
            }
            _ => None,
        };
        let eject_after = self.settings.eject.failures.get();
        Arc::new(Endpoint::new(
            target,
            address.origin(),
            secured,
            eject_after,
            Arc::clone(&self.reached),
            Arc::clone(&self.look_again),
        ))
    }
}

/// What runs on the control thread.
struct ControlThread {
    maker: Maker,
    endpoints: watch::Sender<Endpoints>,
}

impl ControlThread {
    async fn run(self) {
        self.watch_over(self.endpoints.borrow().iter().flat_map(|endpoints| endpoints.iter()));
        if self.endpoints.borrow().is_some() {
            // There is no name to resolve.
            return std::future::pending().await;
        }
        let resolver = || match self.maker.settings.name_server {
            Some(server) => Resolver::asking(server, self.maker.settings.resolve),
            None => Resolver::system(self.maker.settings.resolve),
        };
        let mut asking = resolver();
        loop {
            let valid_for = self.resolve(&asking).await;
            sleep(RESOLVE_PAUSE).await;
            let outdated = tokio::select! {
                () = asking.outdated() => true,
                _ = timeout(valid_for.saturating_sub(RESOLVE_PAUSE), self.maker.look_again.notified()) => false,
            };
            if outdated {
                tracing::info!("/etc/resolv.conf or /etc/hosts has changed: names are resolved as they say now");
                asking = resolver();
            }
        }
    }

    fn watch_over<'a>(&self, endpoints: impl Iterator<Item = &'a Arc<Endpoint>>) {
        for endpoint in endpoints {
            tokio::spawn(watch_over(Arc::clone(endpoint), self.endpoints.subscribe(), self.maker.settings.clone()));
        }
    }

    /// Takes new addresses in and gone ones out. A name that cannot be resolved keeps the addresses it had. Returns when
    /// to look again, which is soon where no endpoint is healthy: the names may have moved.
    async fn resolve(&self, resolver: &Resolver) -> Duration {
        let old = self.endpoints.borrow().clone().unwrap_or_default();
        let mut new: Vec<Arc<Endpoint>> = Vec::new();
        let bounds = self.maker.settings.resolve;
        let mut valid_for = if is_any_healthy(&self.endpoints.borrow()) { bounds.max } else { bounds.min };
        for address in &self.maker.settings.addresses {
            let origin = address.origin();
            let of_this_name = old.iter().filter(|known| known.origin == origin);
            let known_or_new = |target: Target| {
                let known = of_this_name.clone().find(|known| known.target == target);
                known.cloned().unwrap_or_else(|| self.maker.endpoint(target, address))
            };
            let (host, port) = match address {
                UpstreamAddress::Http { host, port, .. } => (host, *port),
                UpstreamAddress::Unix(path) => {
                    new.push(known_or_new(Target::Unix(Arc::clone(path))));
                    continue;
                }
            };
            match resolver.lookup(host).await {
                Ok(found) => {
                    valid_for = valid_for.min(found.valid_for);
                    let targets = found.addresses.into_iter().map(|ip| Target::Tcp(SocketAddr::new(ip, port)));
                    new.extend(targets.map(known_or_new));
                    if !found.complete {
                        new.extend(of_this_name.cloned());
                    }
                }
                Err(error) => {
                    valid_for = bounds.min;
                    let kept = of_this_name.clone().count();
                    warn_once_reached!(
                        !self.maker.reached.load(Relaxed),
                        %error,
                        %address,
                        kept,
                        "a name of the decision service does not resolve"
                    );
                    new.extend(of_this_name.cloned());
                }
            }
        }
        new.sort_by(|one, other| one.target.cmp(&other.target));
        new.dedup_by(|one, other| one.target == other.target);
        let is_known = |endpoint: &&Arc<Endpoint>| old.iter().any(|known| Arc::ptr_eq(known, endpoint));
        let first = self.endpoints.borrow().is_none();
        let unchanged = new.len() == old.len() && new.iter().all(|endpoint| is_known(&endpoint));
        if unchanged && !first {
            return valid_for;
        }
        self.watch_over(new.iter().filter(|endpoint| !is_known(endpoint)));
        let new: Arc<[Arc<Endpoint>]> = new.into();
        self.endpoints.send_replace(Some(Arc::clone(&new)));
        // Only now: whoever finds one gone finds those that are there in its place.
        for gone in old.iter().filter(|known| !new.iter().any(|endpoint| Arc::ptr_eq(endpoint, known))) {
            gone.enter(EndpointState::Gone, &EndpointState::PRESENT);
        }
        valid_for
    }
}

/// One endpoint's health, for as long as it is there: asked on a connection that serves calls while it gets calls, and by
/// probes of its own while it does not.
async fn watch_over(endpoint: Arc<Endpoint>, all: watch::Receiver<Endpoints>, settings: UpstreamSettings) {
    let mut states = endpoint.states();
    let mut backoff = Backoff::new(settings.eject.probe_min, settings.eject.probe_max);
    let mut was_healthy = false;
    // What the last probe came to: it is told when it is another.
    let mut told = String::new();
    // Files have to change before it can be another, which takes longer than a short pause.
    let mut fails_by_tls = false;
    loop {
        let state = *states.borrow_and_update();
        was_healthy |= state == EndpointState::Healthy;
        let is_urgent = !was_healthy || !is_any_healthy(&all.borrow());
        let wait = match state {
            EndpointState::Gone => return,
            EndpointState::New => short(),
            EndpointState::NotServing if is_urgent => short(),
            EndpointState::Healthy | EndpointState::NotServing => settings.health.interval,
            EndpointState::Ejected | EndpointState::Hung if is_urgent && !fails_by_tls => short(),
            EndpointState::Ejected | EndpointState::Hung => backoff.pause(),
        };
        tokio::select! {
            // A change of state begins anew: an ejected endpoint is not probed at once, but after a pause.
            _ = states.changed() => {
                backoff.reset();
                told.clear();
                fails_by_tls = false;
                continue;
            }
            // The others may have gone since this one began to wait.
            () = none_is_healthy(&all), if !is_urgent && !fails_by_tls && state != EndpointState::Healthy => {}
            // It is healthy as soon as it has answered, and not a pause later.
            () = endpoint.next_connection(), if state == EndpointState::New => {}
            () = sleep(wait) => {}
        }
        match state {
            EndpointState::Ejected | EndpointState::Hung => match health::probe(&endpoint, &settings).await {
                Ok(()) => endpoint.enter(EndpointState::Healthy, &[EndpointState::Ejected, EndpointState::Hung]),
                Err(error) => {
                    fails_by_tls = error.is_tls();
                    let is_expected = endpoint.may_start_yet() && error.is_of_network();
                    let error = error_chain::text(&error);
                    if error != told {
                        endpoint.probe_failed(&error);
                        warn_once_reached!(
                            is_expected,
                            endpoint = %endpoint.target,
                            error,
                            "an endpoint is still ejected: a probe failed"
                        );
                        told = error;
                    }
                }
            },
            _ => match health::check(&endpoint, &settings).await {
                Ok(()) => endpoint.enter(EndpointState::Healthy, &[EndpointState::New, EndpointState::NotServing]),
                Err(NoLife::NotServing) => {
                    endpoint.enter(EndpointState::NotServing, &[EndpointState::New, EndpointState::Healthy]);
                }
                Err(NoLife::Unanswered) => endpoint.enter(
                    EndpointState::Hung,
                    &[EndpointState::New, EndpointState::Healthy, EndpointState::NotServing],
                ),
                // Its health service may hang, and it decides.
                Err(NoLife::NotAsked) if endpoint.has_answered() => {
                    endpoint.enter(EndpointState::Healthy, &[EndpointState::New]);
                }
                // A connection that broke is noticed where it is used.
                Err(NoLife::NotAsked | NoLife::Connect(_) | NoLife::Broken(_)) => {}
            },
        }
    }
}

/// Looks for that as often as an endpoint is then probed.
async fn none_is_healthy(all: &watch::Receiver<Endpoints>) {
    loop {
        sleep(short()).await;
        if !is_any_healthy(&all.borrow()) {
            return;
        }
    }
}

fn is_any_healthy(endpoints: &Endpoints) -> bool {
    endpoints.iter().flat_map(|endpoints| endpoints.iter()).any(|endpoint| endpoint.is_healthy())
}

#[cfg(test)]
mod tests {
    use tower::retry::budget::Budget as _;

    use super::*;

    #[test]
    fn in_ten_seconds_a_fifth_of_the_calls_is_retried_and_a_hundred_more() {
        let budget = budget();
        (0..1000).for_each(|_| budget.deposit());
        let all_retries = || (0..1000).take_while(|_| budget.withdraw()).count();
        assert_eq!(all_retries(), 200 + 100);
        assert_eq!(all_retries(), 0);
    }
}
