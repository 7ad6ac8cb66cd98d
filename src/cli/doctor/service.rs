//! `--upstream`: which rpcs the decision service implements. It is asked by calling, since reflection tells what a service
//! could have. Each rpc gets an empty request, with an operation ID by which the service's log tells it from a user's.

use std::time::Duration;

use futures_util::future::join_all;
use tonic::Code;

use crate::base::{error_chain, tls::TlsError};
use crate::callback::{CALLBACKS, Callback};
use crate::config::{Loaded, ValueSource};
use crate::doctor::{self, Finding, ServiceRpcs, Severity, Webhooks};
use crate::policy::Route;
use crate::upstream::{CallError, Direct, DirectConnection, UpstreamAddress};

const OPERATION_ID: &str = "openim-bridge-doctor";

/// More than a service takes for a request of nobody about nothing.
const LIMIT: Duration = Duration::from_secs(4);

/// The calls that are to be made.
pub(super) struct ServiceProbe {
    direct: Direct,
    at: String,
    callbacks: Vec<&'static Callback>,
    /// Whether a flag says where it is.
    is_named: bool,
}

impl ServiceProbe {
    /// `None` where there is no service, or nothing to ask: no callback of OpenIM's goes there.
    pub(super) fn new(webhooks: &Webhooks, loaded: &Loaded, also_configured: bool) -> Result<Option<Self>, TlsError> {
        let Some(source) = source(loaded) else { return Ok(None) };
        let is_named = matches!(source, ValueSource::Flag { .. });
        let bridge = &loaded.settings.bridge;
        let sent = doctor::sent(webhooks, CALLBACKS).into_iter().map(|(_, served)| served);
        let callbacks: Vec<_> = sent.filter(|served| bridge.policy(served).route == Route::Service).collect();
        if callbacks.is_empty() || !(is_named || also_configured) {
            return Ok(None);
        }
        let upstream = loaded.settings.upstream.clone();
        let at = upstream.addresses.first().map(UpstreamAddress::to_string).unwrap_or_default();
        Ok(Some(Self { direct: Direct::new(upstream)?, at, callbacks, is_named }))
    }

    pub(super) async fn run(self) -> Result<ServiceRpcs, Finding> {
        let connection = self.direct.connect().await.map_err(|error| self.unreachable(&error_chain::text(&error)))?;
        let asked = self.callbacks.iter().map(|&callback| has(&connection, callback));
        let answers: Vec<_> = join_all(asked).await;
        let answered: Vec<_> =
            self.callbacks.iter().zip(answers).filter_map(|(&callback, has)| Some((callback, has?))).collect();
        if answered.is_empty() {
            return Err(self.unreachable("it answers no call"));
        }
        Ok(ServiceRpcs { at: self.at, answered })
    }

    fn unreachable(&self, why: &str) -> Finding {
        let severity = if self.is_named { Severity::Wrong } else { Severity::Advice };
        Finding::new("service-unreachable", severity, format!("the decision service at {} cannot be called: {why}", self.at))
            .why("unless the bridge reaches more than this machine does, every callback that goes to the service gets the fallback")
            .remedy("start the service; compare its address with `upstream.addresses`; or run this where the bridge runs")
    }
}

/// Where the address came from, unless it is the default.
fn source(loaded: &Loaded) -> Option<&ValueSource> {
    let value = loaded.values.iter().find(|value| value.key == "upstream.addresses")?;
    (value.source != ValueSource::Default).then_some(&value.source)
}

/// Whether the service implements the rpc, if it answers.
async fn has(connection: &DirectConnection, callback: &'static Callback) -> Option<bool> {
    // Field 1 of every request is the operation ID.
    let length = u8::try_from(OPERATION_ID.len()).ok()?;
    let request = [&[0x0a, length], OPERATION_ID.as_bytes()].concat();
    match connection.call(callback.rpc.path, &request, LIMIT, None).await {
        Ok(_) => Some(true),
        Err(CallError::Status(status)) => Some(status.code() != Code::Unimplemented),
        Err(_) => None,
    }
}
