//! Routes: what happens to each callback, and the settings of single callbacks.

use std::time::Duration;

use super::fallback::FallbackActions;
use super::percent::Percent;
use crate::callback::{CALLBACKS, Callback};

/// What happens to a callback.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    strum::IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Route {
    /// The decision service is called.
    #[default]
    Service,
    /// The request goes to the receiver at `forward.url`.
    Forward,
    /// OpenIM is told to go on; no service is called.
    Allow,
    /// OpenIM is told to refuse; no service is called. An after callback cannot be refused.
    Refuse,
}

/// What happens to a command that the registry does not know.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    strum::IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum UnknownRoute {
    /// 404 and code 9901.
    #[default]
    Refuse,
    /// OpenIM is told to go on, if the command in the URL is also the one in the body.
    Allow,
    /// The request goes to the receiver at `forward.url`.
    Forward,
}

/// What happens for those whom a roll-out does not include.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    strum::IntoStaticStr,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum Rest {
    /// OpenIM is told to go on.
    #[default]
    Allow,
    /// The receiver at `forward.url` decides. The service is also called, and the two answers are compared.
    Forward,
}

/// One callback's own settings. `None`: the same as for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnPolicy {
    pub route: Option<Route>,
    /// From the first byte of OpenIM's request to the bridge's answer.
    pub timeout: Option<Duration>,
    pub fallback: FallbackActions,
    pub enforce_percent: Option<Percent>,
    pub rest: Option<Rest>,
}

/// Which route each callback takes, and its own settings.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// The route of callbacks without one of their own.
    pub default: Route,
    pub unknown: UnknownRoute,
    /// By the callback's place in the registry; empty if no callback has settings of its own.
    pub own: Box<[OwnPolicy]>,
}

impl Routes {
    /// This callback's own settings.
    #[must_use]
    pub fn own(&self, callback: &'static Callback) -> OwnPolicy {
        let own = || self.own.get(CALLBACKS.element_offset(callback)?).copied();
        if self.own.is_empty() { OwnPolicy::default() } else { own().unwrap_or_default() }
    }

    /// The route of this callback. What must not be refused without being asked to goes on where the default would refuse
    /// it.
    #[must_use]
    pub fn of(&self, callback: &'static Callback) -> Route {
        match (self.own(callback).route, self.default) {
            (Some(Route::Refuse), _) if callback.is_after() => Route::Allow,
            (Some(own), _) => own,
            (None, Route::Refuse) if callback.is_after() || callback.only_service_may_refuse() => Route::Allow,
            (None, default) => default,
        }
    }
}
