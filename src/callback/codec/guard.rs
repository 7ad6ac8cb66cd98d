//! Whether a change keeps the rules of its callback: what breaks one would make OpenIM panic or lose data.

use super::change::Change;
use crate::base::json::{NESTING, Scanner};
use crate::callback::body::Body;
use crate::callback::row::{CONTENT_TYPE, Guard, SESSION_TYPE};

/// Whether the change keeps the rule.
pub(super) fn allows(guard: Guard, change: &Change<'_>, body: &Body) -> bool {
    match guard {
        Guard::NotEmpty(key) => {
            let is_empty = change.texts(key).map(|mut texts| {
                let first = texts.next();
                first.is_none_or(str::is_empty) || texts.any(str::is_empty)
            });
            change.text(key) != Some("") && is_empty != Some(true)
        }
        Guard::NotBlank(key) => change.text(key).is_none_or(|text| !text.trim().is_empty()),
        Guard::NotZero(key) => change.number(key) != Some(0),
        Guard::JsonObject(key) => change.text(key).is_none_or(holds_object),
        Guard::Asked(key) => !change.is_set(key) || body.raw(key).is_some_and(|raw| raw != "null"),
        Guard::EachHas(list, key) => {
            change.objects(list).all(|object| object.text(key).is_some_and(|text| !text.is_empty()))
        }
        Guard::EachNotZero(list, key) => change.objects(list).all(|object| object.number(key) != Some(0)),
        Guard::InSession(key, session) => !change.is_set(key) || body.number(SESSION_TYPE) == Some(session),
        Guard::NotNotification => !body.number(CONTENT_TYPE).is_some_and(is_notification),
    }
}

/// Whether a text holds a JSON object.
pub(in crate::callback) fn holds_object(text: &str) -> bool {
    let mut json = Scanner::new(text);
    text.trim_ascii_start().starts_with('{') && json.skip(NESTING).is_some() && json.is_at_end()
}

/// Whether a message of this `contentType` is a notification.
pub(in crate::callback) const fn is_notification(content_type: i64) -> bool {
    1000 <= content_type && content_type <= 5000
}
