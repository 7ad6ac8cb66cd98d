//! What happens to a callback, in words. `serve` says it at its start, `doctor` in its table.

use crate::config::{EffectiveCallback, EffectiveFallback};
use crate::policy::{Action, Rest, Route, UnknownRoute};
use crate::server::Settings;

/// Such as `your service decides for 10 %, http://old:8080/cb for the others; within 800ms; fallback: refuse`.
pub(super) fn words(callback: &EffectiveCallback, settings: &Settings) -> String {
    let receiver = receiver(settings);
    let (Some(timeout), Some(fallback), Some(percent)) =
        (&callback.timeout, &callback.fallback, callback.enforce_percent)
    else {
        return match callback.route {
            Route::Service => "delivered to your service in the background".to_owned(),
            Route::Forward => format!("forwarded to {receiver} in the background"),
            Route::Allow | Route::Refuse => "acknowledged by the configuration; not delivered".to_owned(),
        };
    };
    let who = match callback.route {
        Route::Allow => return "allowed by the configuration; no service is called".to_owned(),
        Route::Refuse => return "refused by the configuration with code 9910; no service is called".to_owned(),
        Route::Forward => format!("forwarded to {receiver}"),
        Route::Service => match (percent, callback.rest) {
            (100, _) => "your service decides".to_owned(),
            (0, Some(Rest::Forward)) => format!("forwarded to {receiver}, and compared with your service"),
            (0, _) => "allowed; your service is called, without effect".to_owned(),
            (_, Some(Rest::Forward)) => format!("your service decides for {percent} %, {receiver} for the others"),
            _ => format!("your service decides for {percent} %, the others are allowed"),
        },
    };
    format!("{who}; within {timeout}; fallback: {}", in_a_word(*fallback))
}

/// In a word or two, for a table: who answers OpenIM.
pub(super) fn in_short(callback: &EffectiveCallback) -> String {
    match (callback.route, callback.enforce_percent) {
        (Route::Service, Some(percent)) if percent < 100 => format!("service {percent} %"),
        (Route::Service, _) => "service".to_owned(),
        (Route::Forward, _) => "forwarded".to_owned(),
        (Route::Allow, _) => "allowed".to_owned(),
        (Route::Refuse, _) => "refused".to_owned(),
    }
}

/// What happens to the callbacks that the bridge does not know.
pub(super) fn of_unknown(settings: &Settings) -> String {
    match settings.bridge.routes.unknown {
        UnknownRoute::Refuse => "unknown to this bridge: refused with code 9901".to_owned(),
        UnknownRoute::Allow => "unknown to this bridge: allowed; no service is called".to_owned(),
        UnknownRoute::Forward => format!("unknown to this bridge: forwarded to {}", receiver(settings)),
    }
}

/// Without secrets. A configuration that forwards has a URL.
pub(super) fn receiver(settings: &Settings) -> String {
    settings.forward.as_ref().map(|forward| forward.url.to_string()).unwrap_or_default()
}

/// What most classes have, and those that have another.
pub(super) fn in_a_word(fallback: EffectiveFallback) -> String {
    let most = mostly(fallback);
    let others = fallback.by_class().filter(|(_, action)| *action != most);
    let others: Vec<_> = others.map(|(class, action)| format!("{class}: {action}")).collect();
    if others.is_empty() { most.to_string() } else { format!("{most} ({})", others.join(", ")) }
}

/// What most classes have.
pub(super) fn mostly(fallback: EffectiveFallback) -> Action {
    let by_class = fallback.by_class();
    let refused = by_class.clone().filter(|(_, action)| *action == Action::Refuse).count();
    if refused * 2 > by_class.count() { Action::Refuse } else { Action::Allow }
}
