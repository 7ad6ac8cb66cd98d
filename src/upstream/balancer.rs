//! Which endpoint a worker's next call goes to: of two that are picked at random, the one with less to do.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use futures_util::{TryFutureExt as _, future::select_ok};
use tokio::{sync::watch, time::timeout};

use super::channel::Channel;
use super::endpoint::Endpoint;
use super::error::{CallError, ConnectError};
use super::pool::Endpoints;
use super::settings::UpstreamSettings;
use super::spent::{Spent, Stopwatch};

/// How long a retry waits for a connection to another endpoint before it goes to the same one again: the "Connection
/// Attempt Delay" that RFC 8305 recommends.
const HEAD_START: Duration = Duration::from_millis(250);

/// One worker's channels to all endpoints that are known, made whether or not a callback comes.
#[derive(Debug)]
pub(super) struct Balancer {
    endpoints: watch::Receiver<Endpoints>,
    settings: UpstreamSettings,
    /// `None` until names have been resolved for the first time.
    channels: RefCell<Option<Channels>>,
}

#[derive(Debug)]
struct Channels {
    of: Arc<[Arc<Endpoint>]>,
    channels: Vec<Rc<Channel>>,
}

impl Balancer {
    /// Connects to the endpoints that are known, and to others as soon as they are.
    pub(super) fn start(endpoints: watch::Receiver<Endpoints>, settings: UpstreamSettings) -> Rc<Self> {
        let balancer = Rc::new(Self { endpoints, settings, channels: RefCell::default() });
        balancer.refresh();
        tokio::task::spawn_local(Rc::clone(&balancer).follow());
        balancer
    }

    /// A pod that is not ready gets no callbacks, and it is ready only when it is connected: no callback may be needed for
    /// that.
    async fn follow(self: Rc<Self>) {
        let mut endpoints = self.endpoints.clone();
        while endpoints.changed().await.is_ok() {
            self.refresh();
        }
    }

    /// A channel to an endpoint that gets calls, other than `avoided` where there is another. Waits only while there is no
    /// connection to any of them, or no name has been resolved yet.
    pub(super) async fn pick(
        &self,
        avoided: Option<&Arc<Endpoint>>,
        spent: &mut Spent,
    ) -> Result<Rc<Channel>, CallError> {
        self.refresh();
        if let Some(ready) = self.channels.borrow().as_ref().and_then(|channels| choose(&channels.channels, avoided)) {
            return Ok(Rc::clone(ready));
        }
        let _connecting = Stopwatch::start(&mut spent.connecting);
        if self.channels.borrow().is_none() {
            // Fails only when the control thread has gone, and then nothing more will come.
            let mut endpoints = self.endpoints.clone();
            let _gone = endpoints.wait_for(Option::is_some).await;
        }
        // Those that were known may all have gone just now, and others be there.
        self.refresh();
        let (avoided, others): (Vec<_>, Vec<_>) =
            self.endpoints_with_calls().into_iter().partition(|channel| is_of(channel, avoided));
        match (others.as_slice(), avoided.first()) {
            ([], Some(avoided)) => Ok(Rc::clone(avoided)),
            ([], None) => Err(CallError::NoEndpoint),
            ([only], None) => Ok(Rc::clone(only)),
            (others, None) => Ok(first_connected(others).await?),
            (others, Some(avoided)) => {
                let other = timeout(HEAD_START, first_connected(others)).await;
                Ok(other.ok().and_then(Result::ok).unwrap_or_else(|| Rc::clone(avoided)))
            }
        }
    }

    pub(super) fn has_endpoint(&self) -> bool {
        self.refresh();
        let channels = self.channels.borrow();
        channels.iter().flat_map(|channels| &channels.channels).any(|channel| channel.endpoint.gets_calls())
    }

    fn endpoints_with_calls(&self) -> Vec<Rc<Channel>> {
        let channels = self.channels.borrow();
        let all = channels.iter().flat_map(|channels| &channels.channels);
        all.filter(|channel| channel.endpoint.gets_calls()).cloned().collect()
    }

    /// Takes in what the control thread has found. Channels of endpoints that stay are kept.
    fn refresh(&self) {
        let found = self.endpoints.borrow();
        let Some(found) = &*found else { return };
        let mut channels = self.channels.borrow_mut();
        if channels.as_ref().is_some_and(|channels| Arc::ptr_eq(&channels.of, found)) {
            return;
        }
        let old = channels.take().map(|channels| channels.channels).unwrap_or_default();
        let channel = |endpoint: &Arc<Endpoint>| {
            let known = old.iter().find(|channel| Arc::ptr_eq(&channel.endpoint, endpoint));
            known.cloned().unwrap_or_else(|| Channel::start(Arc::clone(endpoint), self.settings.clone()))
        };
        *channels = Some(Channels { of: Arc::clone(found), channels: found.iter().map(channel).collect() });
    }
}

/// Of those that can take a call at once: of two at random the one with less to do, or any where neither can. Where all
/// that are connected are full, of those.
fn choose<'a>(channels: &'a [Rc<Channel>], avoided: Option<&Arc<Endpoint>>) -> Option<&'a Rc<Channel>> {
    if channels.is_empty() {
        return None;
    }
    let from = fastrand::usize(..channels.len());
    let two = [&channels[from], &channels[fastrand::usize(..channels.len())]];
    let of_those = |fits: &dyn Fn(&Channel) -> bool| {
        let of_two = two.into_iter().filter(|channel| fits(channel)).min_by_key(|channel| channel.endpoint.load());
        of_two.or_else(|| channels[from..].iter().chain(&channels[..from]).find(|channel| fits(channel)))
    };
    let is_ready = |channel: &Channel| channel.endpoint.gets_calls() && channel.is_ready() && !is_of(channel, avoided);
    of_those(&|channel| is_ready(channel) && channel.has_room()).or_else(|| of_those(&is_ready))
}

fn is_of(channel: &Channel, endpoint: Option<&Arc<Endpoint>>) -> bool {
    endpoint.is_some_and(|endpoint| Arc::ptr_eq(endpoint, &channel.endpoint))
}

/// Connects to all of them concurrently, and the first that succeeds is taken: one that cannot be reached, such as those of
/// an address family without a route, holds up nobody. The last error, when none can be.
async fn first_connected(channels: &[Rc<Channel>]) -> Result<Rc<Channel>, ConnectError> {
    let attempts = channels.iter().map(|channel| channel.connection().map_ok(|_| Rc::clone(channel)));
    select_ok(attempts).await.map(|(first, _others)| first)
}
