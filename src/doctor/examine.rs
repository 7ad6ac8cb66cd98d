//! Everything that is wrong. Each fault is made in one place: here, in `examine_url`, or in `examine_callbacks`.

use super::examine_callbacks::callback_findings;
use super::examine_url::url_findings;
use super::finding::Finding;
use super::side::{BridgeSide, NO_START};
use super::webhooks::{CallbackConfig, Oddity, WebhookField, Webhooks};

/// Everything that is wrong, in the order of what has to be put right first.
#[must_use]
pub fn examine(webhooks: &Webhooks, bridge: BridgeSide<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = webhooks.oddities.iter().map(oddity).collect();
    findings.extend(webhooks.callbacks.iter().flat_map(unreadable_values));
    findings.extend(url_findings(webhooks, bridge));
    findings.extend(callback_findings(webhooks, bridge));
    findings
}
fn oddity(oddity: &Oddity) -> Finding {
    match oddity {
        Oddity::Duplicate { key, at, first } => {
            Finding::wrong("duplicate-key", format!("`{key}` is set here and at {first}"))
                .at(Some(at))
                .why(NO_START)
                .remedy("remove one of the two")
        }
        Oddity::Nested { key, at, under } => {
            Finding::wrong("nested-key", format!("`{key}` is under `{under}`, where OpenIM does not look for it"))
                .at(Some(at))
                .why("since v3.7 webhooks.yml has `url` and the callbacks at its top level; elsewhere they are ignored")
                .remedy(format!("move everything under `{under}` to the left margin, and remove `{under}:`"))
        }
        Oddity::NotAMapping { key, at } => Finding::wrong("value-type", format!("`{key}` holds no keys"))
            .at(Some(at))
            .why(NO_START)
            .remedy(format!("put `enable` and `timeout` under `{key}`, each on a line of its own, indented")),
        Oddity::NoSuchKey { name, at } => {
            Finding::advice("variable-without-effect", format!("{name} has no effect: webhooks.yml has no such key"))
                .at(Some(at))
                .why("OpenIM uses a variable only for a key that is in its webhooks.yml; the name is the key in capitals, without `_` inside a callback's name")
                .remedy("correct the name, or add the key to the file")
        }
        Oddity::QuotedVariable { name, at } => {
            Finding::advice("variable-quoted", format!("{name} is in quotes, or a comment follows it"))
                .at(Some(at))
                .why("`docker run --env-file`, Podman and kubectl leave them in the value, which OpenIM then cannot use. Compose, systemd and shells remove them, and so does this report")
                .remedy("write the value without quotes and comment: then all of them read the same")
        }
        Oddity::NoVariables { at } => {
            Finding::advice("variables-none", "no IMENV_WEBHOOKS_… variable is set there")
                .at(Some(at))
                .why("if these are the variables of OpenIM's containers, only webhooks.yml counts")
                .remedy("if they are not, pass those with --env: `docker compose exec openim-server env > openim.env`")
        }
    }
}

/// What OpenIM cannot convert.
fn unreadable_values(callback: &CallbackConfig) -> Vec<Finding> {
    let wrong = |field: WebhookField| {
        let value = callback.value(field)?;
        let expected = match field {
            WebhookField::Enable | WebhookField::FailedContinue if value.flag().is_none() => "true or false",
            WebhookField::Timeout if value.whole().is_none() => "a whole number of seconds, such as 5",
            _ => return None,
        };
        let (name, key) = (&callback.name, field.key());
        Some(
            Finding::wrong("value-type", format!("`{name}.{key}` is {}", value.json))
                .at(Some(&value.at))
                .why(NO_START)
                .remedy(format!("write {expected}")),
        )
    };
    WebhookField::ALL.into_iter().filter_map(wrong).collect()
}
