//! The settings of a callback's path.

use std::{num::NonZeroUsize, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shares::Shares;
use crate::base::at_least_one;
use crate::callback::Callback;
use crate::openim::{NextCodeForm, RefusalDefaults};
use crate::policy::{AccessSettings, FallbackActions, FallbackPolicy, Percent, Rest, Route, Routes};
use crate::telemetry::log::LogSettings;

#[derive(Debug, Clone, Default)]
pub struct BridgeSettings {
    pub access: AccessSettings,
    pub decision: DecisionSettings,
    /// What OpenIM is told if no valid reply came in time.
    pub fallback: FallbackPolicy,
    /// What completes a refusal that left its code or its message unset.
    pub refusal: RefusalDefaults,
    pub response: ResponseSettings,
    /// What is done with each callback.
    pub routes: Routes,
    pub operation_id: OperationIdSettings,
    /// How after callbacks are delivered to the service.
    pub delivery: DeliverySettings,
    /// Bounds on what the bridge takes in.
    pub limits: BridgeLimits,
    pub log: LogSettings,
}

#[derive(Debug, Clone, Copy)]
pub struct DecisionSettings {
    /// From the first byte of OpenIM's request to the bridge's answer. Under [`TIMEOUT_CAP`](crate::openim::TIMEOUT_CAP).
    pub timeout: Duration,
    /// Whose callbacks it decides. For the others it is asked in the shadow of another answer.
    pub enforce_percent: Percent,
    /// What is done for the others.
    pub rest: Rest,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct ResponseSettings {
    /// How `nextCode` is written.
    pub next_code: NextCodeForm,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct OperationIdSettings {
    /// What happens to a request without one.
    pub missing: MissingOperationId,
}

/// What happens to a request without an operation ID. OpenIM v3.5 and v3.6 omit an empty one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MissingOperationId {
    /// 400 and code 9903.
    #[default]
    Refuse,
    /// The bridge makes one.
    Generate,
}

/// How after callbacks are delivered to the service.
#[derive(Debug, Clone, Copy)]
pub struct DeliverySettings {
    /// How old an event may be and still be delivered.
    pub max_age: Duration,
    /// How often the service is told, where it has answered and may not have understood.
    pub max_attempts: NonZeroUsize,
    /// How long one attempt may take.
    pub attempt_timeout: Duration,
    /// Concurrent attempts of the process. One callback has at most half of them.
    pub concurrency: NonZeroUsize,
    /// Bytes of events that wait or are being delivered, of the process. One key has a quarter of them at most.
    pub queue_bytes: NonZeroUsize,
}

/// Bounds on what the bridge takes in; each counts for the whole process.
#[derive(Debug, Clone, Copy)]
pub struct BridgeLimits {
    /// Bytes of one request's body; beyond it 413 and code 9904. A push to 100,000 members has 2.5 MB, and gRPC servers take
    /// 4 MiB unless told otherwise.
    pub request_bytes: NonZeroUsize,
    /// Bytes of memory for callbacks that are read, asked or answered; beyond it the fallback, as `overloaded`. A body counts
    /// twice, since its question is as long. At least `request_bytes`.
    pub body_bytes: NonZeroUsize,
    /// Callbacks in flight; beyond it the fallback, as `overloaded`.
    pub in_flight: NonZeroUsize,
}

/// What is done with one callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallbackPolicy {
    pub route: Route,
    /// From the first byte of OpenIM's request to the bridge's answer.
    pub timeout: Duration,
    /// Whose callbacks the service decides.
    pub enforce_percent: Percent,
    /// What is done for the others.
    pub rest: Rest,
    /// In place of what is done for all.
    pub fallback: FallbackActions,
}

impl CallbackPolicy {
    /// Whether the service's decisions have effect for nobody, and nobody else decides.
    pub(super) fn is_shadow(&self) -> bool {
        self.route == Route::Service && self.enforce_percent == Percent::NONE && self.rest == Rest::Allow
    }
}

impl BridgeSettings {
    /// What is done with a command that the registry does not know, where anything is.
    #[must_use]
    pub fn policy_of_unknown(&self) -> CallbackPolicy {
        CallbackPolicy {
            route: Route::Forward,
            timeout: self.decision.timeout,
            enforce_percent: self.decision.enforce_percent,
            rest: self.decision.rest,
            fallback: FallbackActions::default(),
        }
    }

    /// What is done with this callback.
    #[must_use]
    pub fn policy(&self, callback: &'static Callback) -> CallbackPolicy {
        let (own, general) = (self.routes.own(callback), self.policy_of_unknown());
        CallbackPolicy {
            route: self.routes.of(callback),
            timeout: own.timeout.unwrap_or(general.timeout),
            enforce_percent: own.enforce_percent.unwrap_or(general.enforce_percent),
            rest: own.rest.unwrap_or(general.rest),
            fallback: own.fallback,
        }
    }
}

impl Default for DecisionSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(4), enforce_percent: Percent::ALL, rest: Rest::Allow }
    }
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            max_age: Duration::from_mins(5),
            max_attempts: at_least_one(5),
            attempt_timeout: Duration::from_secs(5),
            concurrency: at_least_one(64),
            queue_bytes: at_least_one(Shares::of_process().queue),
        }
    }
}

impl BridgeLimits {
    /// Unless configured: the callbacks' share of the process's memory, and enough for one of the longest requests.
    #[must_use]
    pub fn body_bytes_for(request_bytes: NonZeroUsize) -> NonZeroUsize {
        // With the share that large bodies cannot take.
        at_least_one(Shares::of_process().callbacks.max(request_bytes.get().saturating_mul(3)))
    }
}

impl Default for BridgeLimits {
    fn default() -> Self {
        let request_bytes = at_least_one(3 << 20);
        Self { request_bytes, body_bytes: Self::body_bytes_for(request_bytes), in_flight: at_least_one(1024) }
    }
}
