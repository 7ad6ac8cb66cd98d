//! Which endpoint a worker's next call goes to: of two that are picked at random, the one with less to do.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use tokio::sync::watch;

use super::channel::Channel;
use super::endpoint::Endpoint;
use super::pool::Endpoints;
use super::{CallError, UpstreamSettings};

/// One worker's channels to all endpoints.
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
    pub(super) fn new(endpoints: watch::Receiver<Endpoints>, settings: UpstreamSettings) -> Self {
        Self { endpoints, settings, channels: RefCell::default() }
    }

    /// A channel to an endpoint that is in, other than `avoided` where there is another. Waits only until names have
    /// been resolved for the first time.
    pub(super) async fn pick(&self, avoided: Option<&Arc<Endpoint>>) -> Result<Rc<Channel>, CallError> {
        self.refresh();
        if self.channels.borrow().is_none() {
            // Fails only when the control thread has gone, and then nothing more will come.
            let mut endpoints = self.endpoints.clone();
            let _gone = endpoints.wait_for(Option::is_some).await;
            self.refresh();
        }
        let channels = self.channels.borrow();
        let channels = channels.as_ref().map(|channels| &*channels.channels).unwrap_or_default();
        choose(channels, avoided).cloned().ok_or(CallError::NoEndpoint)
    }

    /// Takes in what the control thread has found. Channels of endpoints that stay are kept.
    pub(super) fn refresh(&self) {
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

/// Two at random first. When neither can take a call at once, any that can; then any that is in; `avoided` comes last.
fn choose<'a>(channels: &'a [Rc<Channel>], avoided: Option<&Arc<Endpoint>>) -> Option<&'a Rc<Channel>> {
    if channels.is_empty() {
        return None;
    }
    let is_avoided = |channel: &Channel| avoided.is_some_and(|avoided| Arc::ptr_eq(avoided, &channel.endpoint));
    let is_ready = |channel: &Channel| channel.endpoint.is_in() && channel.is_ready() && !is_avoided(channel);
    let from = fastrand::usize(..channels.len());
    let two = [&channels[from], &channels[fastrand::usize(..channels.len())]];
    let ready = two.into_iter().filter(|channel| is_ready(channel)).min_by_key(|channel| channel.endpoint.load());
    let all = || channels[from..].iter().chain(&channels[..from]);
    ready
        .or_else(|| all().find(|channel| is_ready(channel)))
        .or_else(|| all().find(|channel| channel.endpoint.is_in() && !is_avoided(channel)))
        .or_else(|| all().find(|channel| channel.endpoint.is_in()))
}
