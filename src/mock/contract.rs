//! What rules and commands name, held against the tables of the contract: callbacks, fields of requests, keys of changes.

use serde_json::{Map, Value};

use crate::base::text::nearest;
use crate::callback::{CALLBACKS, Callback, Field, FieldKind, Shape};

/// The callback of this name.
///
/// # Errors
///
/// Where there is none: what is wrong, and what may have been meant.
pub fn callback_named(name: &str) -> Result<&'static Callback, String> {
    if let Some(callback) = CALLBACKS.iter().find(|callback| callback.name == name) {
        return Ok(callback);
    }
    let meant = match CALLBACKS.iter().find(|callback| callback.is_named(name)) {
        Some(callback) => format!(": did you mean `{}`?", callback.name),
        None => did_you_mean(name, CALLBACKS.iter().map(|callback| callback.name)),
    };
    Err(format!("`{name}` is no callback{meant}"))
}

/// The field at a path such as `members.userID`.
pub(super) fn field_at(shape: &'static Shape, path: &str) -> Option<&'static Field> {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    let field = shape.field(key)?;
    match (rest, &field.kind) {
        (None, _) => Some(field),
        (Some(rest), FieldKind::Message(shape)) => field_at(shape, rest),
        (Some(_), _) => None,
    }
}

/// Says that no request of these callbacks has a field.
pub(super) fn no_field(path: &str, callbacks: &[&'static Callback]) -> String {
    let fields: Vec<_> = callbacks.iter().flat_map(|callback| paths(callback.rpc.request)).collect();
    let (whose, all) = match callbacks {
        [callback] => (callback.name, format!(", which has {}", fields.join(", "))),
        _ => ("any callback", String::new()),
    };
    let meant = did_you_mean(path, fields.into_iter());
    format!("`{path}` is no field of {whose}{}", if meant.is_empty() { all } else { meant })
}

/// What a field of this kind holds.
pub(super) const fn holds(kind: &FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "a text (in quotes, where it looks like a number)",
        FieldKind::Bool => "true or false",
        FieldKind::Int32 | FieldKind::Int64 | FieldKind::Uint32 => "a number",
        FieldKind::Texts => "a list of texts",
        FieldKind::Message(_) => "an object",
    }
}

/// Leaves those callbacks whose replies can hold the change.
///
/// # Errors
///
/// Where that is none of them: what is wrong with the change.
pub(super) fn retain_changeable(
    callbacks: &mut Vec<&'static Callback>,
    change: &Map<String, Value>,
) -> Result<(), String> {
    retain(
        callbacks,
        |callback| callback.rpc.change.is_some(),
        |callbacks| match callbacks {
            [callback] if callback.is_after() => no_decision(callback),
            [callback] => format!("{} takes no change: its decision is allow or refuse", callback.name),
            _ => "none of these callbacks takes a change".to_owned(),
        },
    )?;
    for (key, value) in change {
        retain(
            callbacks,
            |callback| callback.rpc.change.is_some_and(|shape| shape.index(key).is_some()),
            |callbacks| {
                let shapes = callbacks.iter().filter_map(|callback| callback.rpc.change);
                let keys: Vec<_> = shapes.flat_map(|shape| shape.fields).map(|field| field.key).collect();
                let (whose, all) = match callbacks {
                    [callback] => (format!("{}'s change", callback.name), format!(", which has {}", keys.join(", "))),
                    _ => ("a change".to_owned(), String::new()),
                };
                let meant = did_you_mean(key, keys.into_iter());
                format!("`{key}` is no key of {whose}{}", if meant.is_empty() { all } else { meant })
            },
        )?;
        let wrong = |callback: &Callback| wrong_value(callback.rpc.change?.field(key)?, key, value);
        retain(
            callbacks,
            |callback| wrong(callback).is_none(),
            |callbacks| callbacks.first().and_then(|callback| wrong(callback)).unwrap_or_default(),
        )?;
    }
    Ok(())
}

/// Says that a callback has no decision.
pub(super) fn no_decision(callback: &Callback) -> String {
    format!("{} has no decision, since OpenIM only tells: its answer is allow, status or hang", callback.name)
}

/// Leaves those for which `is_right`. Where that is none of them, all stay, and are told `wrong`.
pub(super) fn retain(
    callbacks: &mut Vec<&'static Callback>,
    is_right: impl Fn(&'static Callback) -> bool,
    wrong: impl FnOnce(&[&'static Callback]) -> String,
) -> Result<(), String> {
    if !callbacks.iter().any(|callback| is_right(callback)) {
        return Err(wrong(callbacks));
    }
    callbacks.retain(|callback| is_right(callback));
    Ok(())
}

/// What is wrong with a value of a change, if anything is. `null` is unset.
fn wrong_value(field: &Field, path: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Array(items) if field.repeated => items.iter().find_map(|item| wrong_one(&field.kind, path, item)),
        _ if field.repeated => Some(format!("`{path}` must be a list")),
        _ => wrong_one(&field.kind, path, value),
    }
}

fn wrong_one(kind: &FieldKind, path: &str, value: &Value) -> Option<String> {
    let is_right = match (kind, value) {
        (FieldKind::Message(shape), Value::Object(object)) => {
            return object.iter().find_map(|(key, value)| {
                let at = format!("{path}.{key}");
                if let Some(field) = shape.field(key) {
                    return wrong_value(field, &at, value);
                }
                let keys = shape.fields.iter().map(|field| field.key);
                Some(format!("`{at}` is no key of the change{}", did_you_mean(key, keys)))
            });
        }
        (FieldKind::Text, Value::String(_)) | (FieldKind::Bool, Value::Bool(_)) => true,
        (FieldKind::Texts, Value::Array(items)) => items.iter().all(Value::is_string),
        (FieldKind::Int64, Value::Number(number)) => number.is_i64(),
        (FieldKind::Int32, Value::Number(number)) => number.as_i64().is_some_and(|it| i32::try_from(it).is_ok()),
        (FieldKind::Uint32, Value::Number(number)) => number.as_i64().is_some_and(|it| u32::try_from(it).is_ok()),
        _ => false,
    };
    (!is_right).then(|| format!("`{path}` must be {}", holds(kind)))
}

/// The paths of all fields that hold a value.
fn paths(shape: &'static Shape) -> Vec<String> {
    let of_field = |field: &'static Field| match &field.kind {
        FieldKind::Message(shape) => paths(shape).iter().map(|path| format!("{}.{path}", field.key)).collect(),
        _ => vec![field.key.to_owned()],
    };
    shape.fields.iter().flat_map(of_field).collect()
}

fn did_you_mean<N: Into<String>>(name: &str, names: impl Iterator<Item = N>) -> String {
    let names = names.map(Into::into).map(|name: String| (name.clone(), name));
    nearest(name, names).map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default()
}
