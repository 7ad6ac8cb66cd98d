//! What a connection may use: what the whole process shares, and what one worker has.

use std::{
    cell::RefCell,
    pin::pin,
    rc::Rc,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use futures_util::future::select;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

use super::bell::Bell;
use super::connection::{resting::Awake, tls::ListenerTls};
use super::connections::Connections;
use super::drain::{Drain, DrainStage};
use super::settings::Settings;
use super::shown::{ShowConfiguration, ShownConfiguration};
use crate::base::file_watch::ReloadCounts;
use crate::bridge::{Bridge, Deliveries, Events, SharedLimits};
use crate::telemetry::metrics::Metrics;
use crate::upstream::{Pool, Receiver};

/// How long an idle connection is still read at the very end: it may just have been accepted, or its next request be on
/// its way.
pub(super) const LAST_LOOK: Duration = Duration::from_millis(100);

/// What all workers share. The path of a callback touches only its counters.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: watch::Sender<Arc<Settings>>,
    /// For operators: where the settings came from.
    pub(super) configuration: RwLock<Option<Arc<dyn ShowConfiguration>>>,
    /// For operators: how often they were read again. Not set where nobody does.
    pub(super) configuration_reloads: OnceLock<ReloadCounts>,
    pub(super) limits: Arc<SharedLimits>,
    pub(super) pool: Arc<Pool>,
    /// `None`: there is no `forward.url`.
    pub(super) receiver: Option<Arc<Receiver>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) connections: Arc<Connections>,
    pub(super) drain: Drain,
    /// `None` is plain HTTP.
    pub(super) tls: Option<ListenerTls>,
    pub(super) deliveries: Arc<Deliveries>,
}

impl Shared {
    /// From now on every response announces that its connection closes, and what is queued is delivered without long pauses.
    pub(super) fn announce(&self) {
        self.drain.advance(DrainStage::Announcing);
        self.deliveries.hurry();
    }

    /// Whether there is an after callback of which the service can still be told.
    pub(super) fn waits_for_deliveries(&self) -> bool {
        self.deliveries.queued().0 > 0 && !self.pool.status().has_no_endpoint()
    }

    pub(super) fn shown_configuration(&self) -> ShownConfiguration {
        self.configuration().map(|configuration| configuration.shown()).unwrap_or_default()
    }

    /// How many settings would have another value after a restart.
    pub(super) fn needs_restart(&self) -> usize {
        self.configuration().map_or(0, |configuration| configuration.needs_restart())
    }

    fn configuration(&self) -> Option<Arc<dyn ShowConfiguration>> {
        self.configuration.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn show_configuration(&self, configuration: impl ShowConfiguration + 'static) {
        *self.configuration.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(configuration));
    }
}

/// What the connections of one worker share.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    latest: RefCell<Latest>,
    /// Rung when connections are to close.
    pub(super) finishing: Bell,
    pub(super) awake: Awake,
}

/// The bridge on the settings that were last looked at, and what tells when there are others.
#[derive(Debug)]
struct Latest {
    bridge: Rc<Bridge>,
    settings: watch::Receiver<Arc<Settings>>,
}

impl Context {
    pub(super) fn new(shared: &Arc<Shared>, events: Events) -> Self {
        let mut settings = shared.settings.subscribe();
        let limits = Arc::clone(&shared.limits);
        let in_force = Arc::new(settings.borrow_and_update().bridge.clone());
        let (pool, deliveries) = (Arc::clone(&shared.pool), Arc::clone(&shared.deliveries));
        let receiver = shared.receiver.clone();
        let bridge = Rc::new(Bridge::new(in_force, limits, pool, receiver, deliveries, events, shared.tls.is_some()));
        Self {
            shared: Arc::clone(shared),
            latest: RefCell::new(Latest { bridge, settings }),
            finishing: Bell::default(),
            awake: Awake::default(),
        }
    }

    /// The bridge on the settings in force now, for one request from its start to its end. Costs an atomic load where
    /// nothing has changed.
    pub(super) fn bridge(&self) -> Rc<Bridge> {
        let mut latest = self.latest.borrow_mut();
        if latest.settings.has_changed().unwrap_or(false) {
            let in_force = Arc::new(latest.settings.borrow_and_update().bridge.clone());
            latest.bridge = Rc::new(latest.bridge.on(in_force));
        }
        Rc::clone(&latest.bridge)
    }

    /// Whether all answers announce that their connection closes.
    pub(super) fn announces_close(&self) -> bool {
        self.shared.drain.stage() >= DrainStage::Announcing || self.shared.connections.are_starved()
    }

    /// Returns when a connection that has sent no request by `latest` has had its time, or the drain waits no longer for one.
    pub(super) async fn too_late_to_speak(&self, latest: Instant) {
        let finishing = async {
            self.shared.drain.reached(DrainStage::Finishing).await;
            sleep(LAST_LOOK).await;
        };
        select(pin!(sleep_until(latest)), pin!(finishing)).await;
    }
}
