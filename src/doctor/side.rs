//! What OpenIM's file is held against: the bridge's configuration and the decision service; and which callbacks it is
//! about.

use super::url::Destination;
use super::webhooks::{CallbackConfig, WebhookField, Webhooks};
use crate::callback::{Callback, NEVER_SENT, NeverSent};
use crate::config::Loaded;
use crate::server::Settings;

const FAILS: &str = "OpenIM lets the user's action fail when it has no answer that it can read";

/// What no answer and a refusal do where only the service may refuse.
pub(super) const LOSES: &str = "OpenIM then reports success and drops the push, or never creates the conversation: messages are lost, and no user learns of it";

pub(super) const NO_START: &str = "OpenIM cannot read its configuration, and does not start";

#[derive(Debug, Clone, Copy)]
pub struct BridgeSide<'a> {
    pub loaded: &'a Loaded,
    /// The callbacks that it serves.
    pub served: &'static [Callback],
    /// Where OpenIM reaches it, if that has been said. One that is right.
    pub reached_at: Option<&'a Destination>,
    /// What the decision service has, if it was asked.
    pub service: Option<&'a ServiceRpcs>,
}

/// Which rpcs a decision service has.
#[derive(Debug, Clone)]
pub struct ServiceRpcs {
    /// Its address.
    pub at: String,
    /// Each callback whose rpc was called and answered, and whether the service implements it.
    pub answered: Vec<(&'static Callback, bool)>,
}

impl ServiceRpcs {
    /// Whether this callback's rpc is there, if that is known.
    #[must_use]
    pub fn has(&self, callback: &Callback) -> Option<bool> {
        self.answered.iter().find(|(asked, _)| asked.name == callback.name).map(|&(_, has)| has)
    }
}

impl BridgeSide<'_> {
    pub(super) const fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// A setting with where it came from.
    pub(super) fn said(&self, key: &str) -> String {
        match self.loaded.values.iter().find(|value| value.key == key) {
            Some(value) => format!("`{key}` is {} ({})", value.yaml(), value.source),
            None => format!("`{key}`"),
        }
    }
}
/// The callbacks that OpenIM sends and the bridge serves. One whose `enable` cannot be read is found elsewhere, and taken
/// for one.
#[must_use]
pub fn sent<'a>(webhooks: &'a Webhooks, served: &'static [Callback]) -> Vec<(&'a CallbackConfig, &'static Callback)> {
    let is_enabled = |callback: &CallbackConfig| {
        let enable = callback.value(WebhookField::Enable);
        enable.is_some_and(|value| !value.json.is_null() && value.flag() != Some(false))
    };
    let of = |served: &'static Callback| Some((webhooks.callback_named(served.name)?, served));
    let all = served.iter().filter_map(of);
    all.filter(|(callback, _)| is_enabled(callback) && never_sent_as(&callback.name).is_none()).collect()
}

/// Whether no server sends the callback of this key.
pub(crate) fn never_sent_as(key: &str) -> Option<&'static NeverSent> {
    NEVER_SENT.iter().find(|never| never.name.eq_ignore_ascii_case(key))
}

/// What becomes of the callbacks that OpenIM has no answer to.
pub(super) fn without_answer(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> String {
    let may_lose = sent(webhooks, bridge.served).iter().any(|(_, served)| served.only_service_may_refuse());
    if may_lose { format!("{FAILS}. Of pushes and conversations it tells nobody: {LOSES}") } else { FAILS.to_owned() }
}
