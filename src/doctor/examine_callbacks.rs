//! What is wrong with the callbacks that OpenIM's file enables: with their keys there, with what the bridge's configuration does
//! with them, and with the decision service. One function for each kind of fault.

use std::time::Duration;

use super::finding::Finding;
use super::place::Place;
use super::side::{BridgeSide, LOSES, never_sent_as, sent};
use super::variables::name_of;
use super::webhooks::{CallbackConfig, WebhookField, Webhooks, names};
use crate::callback::{AttentionIds, Callback, NeverSent};
use crate::openim::TIMEOUT_CAP;
use crate::policy::{Action, Route, UnknownRoute};
use crate::upstream::ErrorClass;

const NOT_CALLED: &str = "OpenIM sends none of the callbacks, so nothing is decided";

/// What is wrong with the callbacks that OpenIM sends; with the first one where it sends none.
pub(super) fn callback_findings(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut sent = sent(webhooks, bridge.served);
    if let (true, Some(first)) = (sent.is_empty(), bridge.served.first()) {
        let callback = webhooks.callback_named(first.name);
        findings.push(match callback {
            Some(callback) => disabled(callback, first, bridge),
            None => absent(webhooks, first, bridge),
        });
        sent.extend(callback.map(|callback| (callback, first)));
    }
    findings.extend(sent.iter().filter_map(|(callback, served)| timeout(callback, served, bridge)));
    let is_enabled = |(callback, _): &&(&CallbackConfig, &'static Callback)| callback.is_enabled();
    for (callback, served) in sent.iter().filter(is_enabled) {
        findings.extend(attention_ids(callback, served));
        findings.extend(types(callback, served));
    }
    findings.extend(refused_silently(&sent, bridge));
    findings.extend(service_findings(webhooks, bridge));
    findings.extend(webhooks.callbacks.iter().filter_map(never_sent));
    findings.extend(other_callbacks(webhooks, bridge));
    findings
}

fn attention_ids(callback: &CallbackConfig, served: &Callback) -> Option<Finding> {
    let field = WebhookField::AttentionIds;
    let value = callback.value(field).filter(|value| !value.items().is_empty())?;
    let what = format!("`{}.{}` is not empty", served.name, field.key());
    let (finding, why) = match served.attention_ids {
        AttentionIds::Selects => return None,
        AttentionIds::Silences => (
            Finding::wrong("attention-ids", what),
            "OpenIM compares it with the user ID of a receiver, which a message to a group does not have: it never sends this callback",
        ),
        AttentionIds::Ignored => {
            (Finding::advice("attention-ids", what), "OpenIM sends this callback for everybody anyway")
        }
    };
    Some(
        finding.at(Some(&value.at)).why(why).remedy(format!("write `{}: []`, and select in your service", field.key())),
    )
}

/// What OpenIM does not send because of what a message is.
fn types(callback: &CallbackConfig, served: &Callback) -> Vec<Finding> {
    let of = |field: WebhookField| {
        let value = callback.value(field)?;
        let items = value.items();
        let what = format!("`{}.{}` is [{}]", served.name, field.key(), items.join(", "));
        (!items.is_empty()).then(|| (Finding::advice("message-types", what).at(Some(&value.at)), items))
    };
    let denied = of(WebhookField::DeniedTypes).map(|(finding, items)| {
        let decides =
            if served.is_after() { "your service is told nothing of them" } else { "they pass without a decision" };
        let ranges = if items.iter().all(|item| item.parse::<i64>().is_ok()) {
            ""
        } else {
            ". OpenIM's main branch takes whole numbers only here, and no ranges"
        };
        finding
            .why(format!("OpenIM sends nothing for messages of these content types: {decides}{ranges}"))
            .remedy("remove the types that your rules are about")
    });
    let allowed = of(WebhookField::AllowedTypes).map(|(finding, _)| {
        finding
            .why("OpenIM v3.8.2 and later of the 3.8 line send nothing for messages of other content types; its main branch ignores the key")
            .remedy("leave it empty, and select in your service")
    });
    denied.into_iter().chain(allowed).collect()
}

/// What the configuration refuses though only the service should.
fn refused_silently(sent: &[(&CallbackConfig, &'static Callback)], bridge: BridgeSide<'_>) -> Option<Finding> {
    let settings = &bridge.settings().bridge;
    let refuses = |served: &'static Callback| match settings.policy(served).route {
        Route::Refuse => true,
        Route::Allow => false,
        Route::Service | Route::Forward => ErrorClass::ALL.into_iter().any(|class| {
            let own = settings.routes.own(served).fallback;
            settings.fallback.action_for(class, Some(served), own) == Action::Refuse
        }),
    };
    let is_refused =
        |(_, served): &&(&CallbackConfig, &'static Callback)| served.only_service_may_refuse() && refuses(served);
    let refused: Vec<_> = sent.iter().filter(is_refused).map(|(callback, _)| *callback).collect();
    let first = refused.first()?;
    Some(
        Finding::advice("refusal-loses", format!("the bridge's configuration may refuse {}", names(&refused)))
            .at(Some(place(first)))
            .why(format!("users do not see a refusal of these. {LOSES}"))
            .remedy("remove `route: refuse` and `fallback` of these callbacks under `callbacks`: without them the bridge refuses these only if your service does"),
    )
}

/// Rpcs that callbacks go to, and that are not there.
fn service_findings(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Option<Finding> {
    let service = bridge.service?;
    let lacks: Vec<_> = service.answered.iter().filter(|(_, has)| !has).map(|(served, _)| *served).collect();
    let first = lacks.first()?;
    let settings = &bridge.settings().bridge;
    let refuses = |served: &'static Callback| {
        let own = settings.routes.own(served).fallback;
        settings.fallback.action_for(ErrorClass::Unimplemented, Some(served), own) == Action::Refuse
    };
    let (after, before): (Vec<_>, Vec<_>) =
        lacks.iter().copied().partition(|served: &&'static Callback| served.is_after());
    let (refused, allowed): (Vec<_>, Vec<_>) =
        before.into_iter().partition(|served: &&'static Callback| refuses(served));
    let count = |callbacks: &[&'static Callback], does: &str| {
        (!callbacks.is_empty()).then(|| format!("{}: each {does}", listed(callbacks)))
    };
    let becomes = [
        count(&allowed, "passes without a decision, and costs its user a round trip"),
        count(&refused, "is refused by the fallback, with code 9924"),
        count(&after, "is lost, and the service is told nothing"),
    ];
    let becomes: Vec<String> = becomes.into_iter().flatten().collect();
    let loses = if refused.iter().any(|served| served.only_service_may_refuse()) {
        format!(". {LOSES}")
    } else {
        String::new()
    };
    let hint = if service.answered.iter().any(|(_, has)| *has) {
        ""
    } else {
        ". It has none of the rpcs that were called: is it the decision service?"
    };
    let rpc = first.rpc.path.trim_start_matches('/');
    Some(
        Finding::wrong("rpc-missing", format!("the decision service at {} does not implement {}", service.at, listed(&lacks)))
            .at(webhooks.callback_named(first.name).map(place))
            .why(format!("OpenIM sends these, and the service answers UNIMPLEMENTED. {}{loses}", becomes.join("; ")))
            .remedy(format!("disable them in webhooks.yml, or implement their rpcs, such as {rpc}; with `route: allow` or `forward` the service is not called{hint}")),
    )
}

fn listed(callbacks: &[&'static Callback]) -> String {
    callbacks.iter().map(|callback| format!("`{}`", callback.name)).collect::<Vec<_>>().join(", ")
}

fn never_sent(callback: &CallbackConfig) -> Option<Finding> {
    let NeverSent { instead, .. } = never_sent_as(&callback.name).filter(|_| callback.is_enabled())?;
    Some(
        Finding::advice(
            "never-sent",
            format!("`{}` is enabled, and no OpenIM server since v3.0.0 sends it", callback.name),
        )
        .at(Some(place(callback)))
        .why("the key is in OpenIM's webhooks.yml, but nothing in OpenIM uses it")
        .remedy(format!("disable it; `{instead}` reports the same")),
    )
}

/// Whole seconds that leave the bridge its time.
fn enough(callback: &'static Callback, bridge: BridgeSide<'_>) -> u64 {
    (bridge.settings().bridge.policy(callback).timeout.as_secs() + 1).clamp(5, TIMEOUT_CAP.as_secs())
}

fn absent(webhooks: &Webhooks, served: &'static Callback, bridge: BridgeSide<'_>) -> Finding {
    let (key, enough) = (served.name, enough(served, bridge));
    let others = webhooks.others.iter().map(|(name, at)| (name, at));
    let mut others = others.chain(webhooks.callbacks.iter().map(|callback| (&callback.name, &callback.at)));
    let meant = others.find(|(name, _)| is_meant(name, key));
    let block = serde_json::json!({ WebhookField::Enable.key(): true, WebhookField::Timeout.key(): enough });
    let finding = Finding::wrong("callback-disabled", format!("no callback is enabled, and `{key}` is not there"))
        .why(NOT_CALLED);
    // A variable has no effect without its key in the file.
    let finding = match whole_file(webhooks) {
        None => finding.variable(format!("{}=true", name_of(&[key, WebhookField::Enable.key()]))),
        at => Finding { at, ..finding },
    };
    match meant {
        Some((name, at)) => finding.at(Some(at)).remedy(format!("write `{key}` for `{name}`")),
        None => finding
            .remedy(format!("add `{key}:` with `enable: true` and `timeout: {enough}` under it, and restart OpenIM"))
            .change(&[key], block),
    }
}

fn whole_file(webhooks: &Webhooks) -> Option<super::Place> {
    webhooks.path.clone().map(|path| super::Place::File { path, line: 1, column: 1 })
}

fn disabled(callback: &CallbackConfig, served: &'static Callback, bridge: BridgeSide<'_>) -> Finding {
    let key = served.name;
    let enable = WebhookField::Enable.key();
    let value = callback.value(WebhookField::Enable);
    let finding = Finding::wrong(
        "callback-disabled",
        match value {
            Some(value) if !value.json.is_null() => {
                format!("no callback is enabled: `{key}.{enable}` is {}", value.json)
            }
            _ => format!("no callback is enabled: `{key}.{enable}` is not set"),
        },
    );
    let finding = finding.at(Some(value.map_or(&callback.at, |value| &value.at))).why(NOT_CALLED);
    let finding = match value {
        Some(_) => finding.variable(format!("{}=true", name_of(&[key, enable]))),
        None => finding,
    };
    if let Some((name, at)) = callback.others.iter().find(|(name, _)| is_meant(name, enable)) {
        return finding.at(Some(at)).remedy(format!("write `{enable}` for `{name}`"));
    }
    let finding = finding.remedy(format!(
        "set `{enable}: true` under `{key}`, and restart OpenIM, which reads its configuration at its start only"
    ));
    if callback.is_empty {
        let block = serde_json::json!({ enable: true, WebhookField::Timeout.key(): enough(served, bridge) });
        return finding.change(&[&callback.name], block);
    }
    finding.change(&[&callback.name, enable], true)
}

/// Whether somebody who wrote `name` meant `key`.
fn is_meant(name: &str, key: &str) -> bool {
    let letters = |text: &str| text.to_ascii_lowercase().replace(['_', '-'], "");
    strsim::levenshtein(&letters(name), &letters(key)) <= 2
}

fn timeout(callback: &CallbackConfig, served: &'static Callback, bridge: BridgeSide<'_>) -> Option<Finding> {
    let key = served.name;
    let value = callback.value(WebhookField::Timeout)?;
    let seconds = value.whole()?;
    let field = WebhookField::Timeout.key();
    let right = enough(served, bridge);
    let variable = format!("{}={right}", name_of(&[key, field]));
    let cap = TIMEOUT_CAP.as_secs();
    if u64::try_from(seconds).is_ok_and(|seconds| seconds > cap) {
        return Some(
            Finding::advice("timeout-capped", format!("`{key}.{field}` is {seconds} s, of which OpenIM waits {cap}"))
                .at(Some(&value.at))
                .why("OpenIM's HTTP client gives up after 15 s, whatever is set here")
                .remedy(format!("write {right}, or any number up to {cap}"))
                .variable(variable)
                .change(&[&callback.name, field], right),
        );
    }
    // 0 and below set no limit but the client's own.
    let waits = u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)?;
    // An after callback is answered at once, and so is what the configuration decides.
    let policy = bridge.settings().bridge.policy(served);
    let waits_for_somebody = !served.is_after() && matches!(policy.route, Route::Service | Route::Forward);
    let own = format!("callbacks.{key}.timeout");
    let has_own = bridge.settings().bridge.routes.own(served).timeout.is_some();
    let setting = if has_own { &*own } else { "decision.timeout" };
    let slow = if served.only_service_may_refuse() {
        format!("a slow service or receiver leaves it without an answer. {LOSES}")
    } else {
        "a slow service or receiver fails users' actions".to_owned()
    };
    (waits_for_somebody && waits <= policy.timeout).then(|| {
        Finding::wrong("timeout-short", format!("`{key}.{field}` is {seconds} s, and {}", bridge.said(setting)))
            .at(Some(&value.at))
            .why(format!("OpenIM gives up before the bridge answers, so the fallback never counts: {slow}"))
            .remedy(format!("give OpenIM more than the bridge: `{field}: {right}`, or a shorter `{setting}`"))
            .variable(variable)
            .change(&[&callback.name, field], right)
    })
}

/// All of OpenIM's callbacks go to the one `url`, also those that the registry does not know.
fn other_callbacks(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    let is_served = |it: &CallbackConfig| bridge.served.iter().any(|served| served.name.eq_ignore_ascii_case(&it.name));
    let others = || webhooks.enabled().filter(|it| !is_served(it) && never_sent_as(&it.name).is_none());
    let (before, after): (Vec<_>, Vec<_>) = others().partition(|it| it.name.to_ascii_lowercase().starts_with("before"));
    // Forwarded, they are the receiver's to answer.
    if bridge.settings().bridge.routes.unknown == UnknownRoute::Forward {
        return vec![];
    }
    let unserved = bridge.said("callbacks.unknown.route");
    let refuses = bridge.settings().bridge.routes.unknown == UnknownRoute::Refuse;
    let mut findings = Vec::new();
    if let Some(first) = before.first() {
        findings.push(if refuses {
            Finding::wrong("other-callbacks", format!("the bridge will also be called for {}, and refuses", names(&before)))
                .why(format!("OpenIM has one `url` for all callbacks, and {unserved}: the answer is 9901, which refuses what the user does"))
                .remedy("disable them, or forward them to your old receiver with `callbacks.unknown.route: forward`")
        } else {
            Finding::advice("other-callbacks", format!("the bridge will also be called for {}, and allows", names(&before)))
                .why(format!("OpenIM has one `url` for all callbacks, and {unserved}: nobody decides about these"))
                .remedy("disable callbacks that nobody decides: each costs its user a round trip")
        }.at(Some(place(first))));
    }
    if let Some(first) = after.first() {
        let does = if refuses { "answers 9901, with a warning in its log" } else { "answers that OpenIM may go on" };
        findings.push(
            Finding::advice("other-callbacks-after", format!("the bridge will also be sent {}", names(&after)))
                .at(Some(place(first)))
                .why(format!("OpenIM has one `url` for all callbacks. The bridge {does}; OpenIM does not wait for it, and the event is lost"))
                .remedy("disable them, unless something in front of the bridge sends them elsewhere"),
        );
    }
    findings
}

fn place(callback: &CallbackConfig) -> &Place {
    callback.value(WebhookField::Enable).map_or(&callback.at, |value| &value.at)
}
