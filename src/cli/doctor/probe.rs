//! `--probe`: what answers at OpenIM's `url`.
//!
//! The request is a callback whose body names another command than its URL. The bridge rejects that itself, with a code
//! of its own, after everything else about the request was found right, and before the decision service is asked. To
//! anything else it is a callback that it does not know, about nobody.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::HeaderValue;

use crate::base::text::millis;
use crate::callback::CALLBACKS;
use crate::cli::send::{CannotSend, Exchange, NoAnswer, OpenImClient, words};
use crate::doctor::{self, CallbackConfig, Destination, Finding, WebhookField, WebhookValue, Webhooks};
use crate::openim::ReservedCode;
use crate::openim::client::{CallbackRequest, OpenIm, UrlForm, go_body};

/// What OpenIM waits for where webhooks.yml says nothing that can be used.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_TIMEOUT: Duration = Duration::from_secs(15);

/// The command in the body.
const NO_COMMAND: &str = "openimBridgeDoctorProbe";

/// A call that is to be made.
pub(super) struct Probe {
    client: OpenImClient,
    request: CallbackRequest,
    to: Destination,
    shown: String,
}

/// What came of it.
pub(super) struct Probed {
    pub(super) seen: String,
    /// Why it is not as it should be.
    pub(super) finding: Option<Finding>,
}

impl Probe {
    /// `None` where there is no URL that could be called: that is a finding already.
    pub(super) fn new(webhooks: &Webhooks, ca: Option<&Path>) -> Result<Option<Self>, CannotSend> {
        let Some(url) = webhooks.url.as_ref().and_then(WebhookValue::text) else { return Ok(None) };
        let Ok(to) = Destination::parse(&url, CALLBACKS) else { return Ok(None) };
        let Some(callback) = CALLBACKS.first() else { return Ok(None) };
        let about_nobody: Vec<_> = callback.required_keys().map(|key| format!(",\"{key}\":\"\"")).collect();
        let request = CallbackRequest {
            command: callback.command,
            body: go_body(&format!("{{\"callbackCommand\":\"{NO_COMMAND}\"{}}}", about_nobody.concat())),
            operation_id: HeaderValue::from_static("openim-bridge-doctor"),
            form: UrlForm::Path,
        };
        let client = OpenImClient::new(&request.url(&url), ca, timeout(webhooks))?;
        Ok(Some(Self { client, shown: doctor::shown(&request.url(&url)), request, to }))
    }

    pub(super) async fn run(self) -> Probed {
        let addresses = match resolve(&self.to).await {
            Ok(addresses) => addresses,
            Err(error) => return self.unresolved(&error.to_string()),
        };
        let exchange = self.client.exchange(&self.request).await;
        self.judge(&exchange, &addresses)
    }

    fn unresolved(&self, error: &str) -> Probed {
        let seen = format!("{} has no address here: {error}", self.to.host);
        let finding = Finding::wrong("probe-unresolved", &*seen)
            .why("where OpenIM sees the same names, every callback fails its user's action")
            .remedy(
                "correct the name in `url`. If it is known to OpenIM's containers only, run the probe in their network",
            );
        Probed { seen, finding: Some(finding) }
    }

    fn judge(&self, exchange: &Exchange, addresses: &str) -> Probed {
        let took = millis(exchange.elapsed);
        let seen = format!("{} ({addresses}), after {took}: {}", self.shown, words(exchange.open_im()));
        let finding = match (&exchange.answer, exchange.open_im()) {
            (_, OpenIm::Refused { code, .. }) if code == ReservedCode::CommandMismatch as i32 => None,
            (Err(why), _) => Some(no_answer(why, &seen)),
            (_, OpenIm::Refused { code, message, .. }) => Some(refused(code, message, &seen)),
            (_, OpenIm::Fails { .. } | OpenIm::GoesOn) => Some(
                Finding::wrong("probe-not-a-bridge", &*seen)
                    .why("a bridge refuses this request with code 9902: something else listens there, so your decision service is not asked")
                    .remedy("point `url` to the bridge; look at what listens on that port, and at proxies on the way"),
            ),
        };
        match finding {
            None => {
                Probed { seen: format!("the bridge answers at {} ({addresses}), after {took}", self.shown), finding }
            }
            Some(finding) => Probed { seen, finding: Some(finding) },
        }
    }
}

fn no_answer(why: &NoAnswer, seen: &str) -> Finding {
    let remedy = match why {
        NoAnswer::Timeout(_) => {
            "check whether a firewall, a NetworkPolicy or a proxy on the way drops packets, and whether the bridge is stuck"
        }
        NoAnswer::Connection(_) => {
            "start the bridge; compare host and port with its `listen`; with https, its certificate must be one that OpenIM's system trusts, for this host"
        }
        _ => "look at what listens there, and at proxies on the way",
    };
    Finding::wrong("probe-no-answer", seen)
        .why("unless OpenIM reaches more than this machine does, every callback fails its user's action")
        .remedy(remedy)
}

fn refused(code: i32, message: &str, seen: &str) -> Finding {
    let is = |reserved: ReservedCode| code == reserved as i32;
    let remedy = if is(ReservedCode::Address) {
        "add the addresses that OpenIM calls from to `access.allow`. Perhaps only this machine is not allowed to call"
    } else if is(ReservedCode::Credentials) {
        "put a user and password of `access.basic_auth_file` into `url`"
    } else if is(ReservedCode::UnservedCommand) {
        "look for a proxy on the way that rewrites the path; the command must arrive as its last segment"
    } else if (9900..=9999).contains(&code) {
        "look the code up in docs/errors.md, and for a proxy on the way that changes requests"
    } else {
        return Finding::wrong("probe-not-a-bridge", seen)
            .why(format!("a bridge refuses this request with code 9902, and not with {code} {message:?}: something else listens there"))
            .remedy("point `url` to the bridge; look at what listens on that port, and at proxies on the way");
    };
    Finding::wrong("probe-refused", seen)
        .why(format!(
            "a bridge answers, and rejects such requests ({code}: {message}): every callback refuses its user's action"
        ))
        .remedy(remedy)
}

async fn resolve(to: &Destination) -> std::io::Result<String> {
    let found = tokio::net::lookup_host((to.host.as_str(), to.port));
    let limited = tokio::time::timeout(DEFAULT_TIMEOUT, found).await;
    let addresses: Vec<SocketAddr> =
        limited.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??.collect();
    let mut shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    shown.dedup();
    Ok(shown.join(", "))
}

/// What OpenIM would wait for the first callback that it sends.
fn timeout(webhooks: &Webhooks) -> Duration {
    let timeout = |callback: &CallbackConfig| callback.value(WebhookField::Timeout).and_then(WebhookValue::whole);
    let seconds = doctor::sent(webhooks, CALLBACKS).first().and_then(|(callback, _)| timeout(callback));
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok()).filter(|&seconds| seconds > 0);
    seconds.map_or(DEFAULT_TIMEOUT, Duration::from_secs).min(MAX_TIMEOUT)
}
