//! Routes: what is done with each callback, and what the configuration says of one callback alone.

use std::time::Duration;

use super::fallback::FallbackActions;
use super::percent::Percent;
use crate::callback::{CALLBACKS, Callback};

/// What is done with a callback.
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
    /// The decision service is asked, or told.
    #[default]
    Service,
    /// The receiver of `forward.url` is asked, as OpenIM would.
    Forward,
    /// OpenIM goes on, and nobody is asked.
    Allow,
    /// OpenIM turns the user's action down, and nobody is asked. What OpenIM only tells cannot be refused.
    Refuse,
}

/// What is done with a command that the registry does not know.
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
    /// OpenIM goes on, where the command in the URL is also the one in the body.
    Allow,
    /// The receiver of `forward.url` is asked, as OpenIM would.
    Forward,
}

/// What is done for those whom a roll-out leaves out.
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
    /// OpenIM goes on.
    #[default]
    Allow,
    /// The receiver of `forward.url` decides. The service is asked all the same, and the two are compared.
    Forward,
}

/// What the configuration says of one callback alone. `None`: the same as of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OwnPolicy {
    pub route: Option<Route>,
    /// From the first byte of OpenIM's request to the bridge's answer.
    pub timeout: Option<Duration>,
    pub fallback: FallbackActions,
    pub enforce_percent: Option<Percent>,
    pub rest: Option<Rest>,
}

/// Which route each callback takes, and what else is said of it alone.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    /// That of the callbacks of which nothing else is said.
    pub default: Route,
    pub unknown: UnknownRoute,
    /// By the callback's place in the registry; empty where nothing is said of any.
    pub own: Box<[OwnPolicy]>,
}

impl Routes {
    /// What is said of this callback alone.
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
