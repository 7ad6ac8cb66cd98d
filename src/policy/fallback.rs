//! The fallback: what OpenIM is told when there is no decision. A pure function of policy and error class.

use std::fmt;

use crate::callback::Callback;
use crate::openim::{Refusal, RefusalCode};
use crate::upstream::ErrorClass;

/// Allow or refuse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// OpenIM goes on with what its user asked for. The default, like OpenIM's own default `failedContinue: true`.
    #[default]
    Allow,
    /// OpenIM refuses the user's action.
    Refuse,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Refuse => "refuse",
        })
    }
}

/// What is done for each error class, and how a refusal reads.
#[derive(Debug, Clone, Default)]
pub struct FallbackPolicy {
    /// What is done unless the class says otherwise.
    pub action: Action,
    /// What is done for one class, indexed as [`ErrorClass::ALL`].
    pub class: [Option<Action>; ErrorClass::ALL.len()],
    /// How a refusal reads.
    pub refusal: FallbackRefusal,
}

/// What is done for one callback, where it is not what is done for all. The class goes before the action.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FallbackActions {
    /// For every class, `unimplemented` among them.
    pub action: Option<Action>,
    /// For one class, indexed as [`ErrorClass::ALL`].
    pub class: [Option<Action>; ErrorClass::ALL.len()],
}

/// How a fallback's refusal reads.
#[derive(Debug, Clone)]
pub struct FallbackRefusal {
    /// 5000 to 9999; `None` is the reserved code of the error class, 9920 to 9926.
    pub code: Option<RefusalCode>,
    /// For the user. Never empty.
    pub message: String,
    /// For the client's developers. May be empty.
    pub detail: String,
}

impl Default for FallbackRefusal {
    fn default() -> Self {
        Self { code: None, message: "Please try again later".to_owned(), detail: String::new() }
    }
}

impl FallbackPolicy {
    /// What is done for `class`, for callbacks that may be refused.
    #[must_use]
    pub fn action(&self, class: ErrorClass) -> Action {
        self.class[class as usize].unwrap_or(match class {
            // A service that implements the callbacks about friends must not thereby refuse every message.
            ErrorClass::Unimplemented => Action::Allow,
            _ => self.action,
        })
    }

    /// What happens for `class` at this callback, whose own settings are `own`.
    #[must_use]
    pub fn action_for(&self, class: ErrorClass, callback: Option<&Callback>, own: FallbackActions) -> Action {
        match (callback, own.class[class as usize].or(own.action)) {
            (Some(callback), _) if callback.is_after() => Action::Allow,
            (_, Some(own)) => own,
            (Some(callback), None) if callback.only_service_may_refuse() => Action::Allow,
            (_, None) => self.action(class),
        }
    }

    /// `None` to allow, or the refusal to send. `own`: what is done for this callback alone. `allow_harms`: since what it
    /// must repeat was not read.
    #[must_use]
    pub fn refusal(
        &self,
        class: ErrorClass,
        callback: Option<&Callback>,
        own: FallbackActions,
        allow_harms: bool,
    ) -> Option<Refusal> {
        let action = if allow_harms { Action::Refuse } else { self.action_for(class, callback, own) };
        (action == Action::Refuse).then(|| Refusal {
            code: self.refusal.code.unwrap_or_else(|| class.code().into()),
            message: self.refusal.message.clone(),
            detail: self.refusal.detail.clone(),
        })
    }
}
