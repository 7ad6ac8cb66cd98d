//! Whether a change keeps the rules of its callback: what breaks one would make OpenIM panic or lose data.

use serde_json::{Map, Value};

use crate::callback::body::Body;
use crate::callback::row::Guard;

/// Whether the change keeps the rule.
pub(super) fn allows(guard: Guard, change: &Map<String, Value>, body: &Body) -> bool {
    let text = |key| change.get(key).and_then(Value::as_str);
    match guard {
        Guard::NotEmpty(key) => match change.get(key) {
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Array(list)) => !list.is_empty(),
            _ => true,
        },
        Guard::NotBlank(key) => text(key).is_none_or(|text| !text.trim().is_empty()),
        Guard::JsonObject(key) => text(key).is_none_or(|text| serde_json::from_str::<Map<String, Value>>(text).is_ok()),
        Guard::Asked(key) => !change.contains_key(key) || body.raw(key).is_some_and(|raw| raw != "null"),
        Guard::EachHas(list, key) => change.get(list).and_then(Value::as_array).is_none_or(|list| {
            list.iter().all(|object| object.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty()))
        }),
        Guard::InSession(key, session) => !change.contains_key(key) || body.number("sessionType") == Some(session),
        Guard::NotNotification => !body.number("contentType").is_some_and(|content| (1000..=5000).contains(&content)),
    }
}
