//! Which callback the flags name, and its body: the registry's sample, with the values that they set.

use std::io::{self, Read as _};
use std::ops::Range;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use crate::base::bounded_file;
use crate::base::json::{NESTING, Scanner};
use crate::base::text::{nearest, one_line};
use crate::callback::{CALLBACKS, Callback, FieldKind};
use crate::openim::client::go_body;

/// What every body says, or many.
const COMMAND: &str = "callbackCommand";
const OPERATION_ID: &str = "operationID";

/// A file of `--body` may have so many bytes.
const MOST_BYTES: u64 = 64 << 20;

/// Why flags name no callback.
#[derive(Debug, thiserror::Error)]
pub enum WrongRequest {
    #[error("there is no callback {}{}", one_line(.name, 100), hint(*.meant, "; docs/callbacks.md lists them"))]
    Callback { name: String, meant: Option<&'static str> },
    #[error("--set: {callback} has no field {}{}", one_line(.key, 100), hint(*.meant, ""))]
    Key { callback: &'static str, key: String, meant: Option<&'static str> },
    #[error("--set takes KEY=VALUE, which {} is not", one_line(.0, 100))]
    NoValue(String),
    #[error("--set: {key} takes JSON, such as {example}, and {} is none", one_line(.value, 100))]
    NoJson { key: &'static str, value: String, example: &'static str },
    #[error("--body: cannot read {}", path.display())]
    Body { path: PathBuf, source: io::Error },
    #[error("--mix takes CALLBACK=WEIGHT, with a weight of 1 to 1000000, which {} is not", one_line(.0, 100))]
    Weight(String),
}

fn hint(meant: Option<&'static str>, otherwise: &str) -> String {
    meant.map_or_else(|| otherwise.to_owned(), |meant| format!(": did you mean {meant}?"))
}

/// The callback of this name: its key in webhooks.yml, or a command. And the command by which it is sent.
pub(super) fn named(name: &str) -> Result<(&'static Callback, &'static str), WrongRequest> {
    for callback in CALLBACKS {
        if callback.name == name {
            return Ok((callback, callback.command));
        }
        if let Some(command) = callback.aliases.iter().chain([&callback.command]).find(|command| **command == name) {
            return Ok((callback, command));
        }
    }
    let names = CALLBACKS.iter().flat_map(|callback| [callback.name, callback.command]);
    let meant = nearest(name, names.map(|name| (name.to_owned(), name)));
    Err(WrongRequest::Callback { name: name.to_owned(), meant })
}

/// A key and its value as JSON, of a flag's KEY=VALUE.
pub(super) fn set(callback: &'static Callback, flag: &str) -> Result<(&'static str, String), WrongRequest> {
    let (key, value) = flag.split_once('=').ok_or_else(|| WrongRequest::NoValue(flag.to_owned()))?;
    let request = callback.rpc.request;
    let Some(field) = request.field(key) else {
        let meant = nearest(key, request.fields.iter().map(|field| (field.key.to_owned(), field.key)));
        return Err(WrongRequest::Key { callback: callback.name, key: key.to_owned(), meant });
    };
    if matches!(field.kind, FieldKind::Text) && !field.repeated {
        return Ok((field.key, serde_json::Value::from(value).to_string()));
    }
    let mut json = Scanner::new(value);
    if json.skip(NESTING).is_some() && json.is_at_end() {
        return Ok((field.key, value.to_owned()));
    }
    let example = match field.kind {
        FieldKind::Text | FieldKind::Texts => r#"["u1","u2"]"#,
        FieldKind::Message(_) if field.repeated => "[{…}]",
        FieldKind::Message(_) => "{…}",
        FieldKind::Bool => "true",
        _ => "1",
    };
    Err(WrongRequest::NoJson { key: field.key, value: value.to_owned(), example })
}

/// The callback's sample by this command, with this operation ID and these values, as OpenIM writes it.
pub(super) fn sample(
    callback: &Callback,
    command: &str,
    operation_id: &str,
    values: &[(&'static str, String)],
) -> Bytes {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut body = callback.rpc.sample.to_owned();
    if command != callback.command {
        set_member(&mut body, COMMAND, &quoted(command));
    }
    // Some have it, and of these some leave it empty.
    let has_id = |(name, place): &(String, Range<usize>)| name == OPERATION_ID && place.len() > "\"\"".len();
    if members(&body).unwrap_or_default().iter().any(has_id) {
        set_member(&mut body, OPERATION_ID, &quoted(operation_id));
    }
    for (key, value) in values {
        set_member(&mut body, key, value);
    }
    go_body(&body)
}

fn set_member(body: &mut String, key: &str, value: &str) {
    let members = members(body).unwrap_or_default();
    if let Some((_, place)) = members.iter().find(|(name, _)| name == key) {
        body.replace_range(place.clone(), value);
    } else {
        let end = body.rfind('}').unwrap_or_default();
        let comma = if members.is_empty() { "" } else { "," };
        body.insert_str(end, &format!("{comma}\"{key}\":{value}"));
    }
}

/// The members of a JSON object: their names, and where their values lie.
fn members(json: &str) -> Option<Vec<(String, Range<usize>)>> {
    let (mut scanner, mut members) = (Scanner::new(json), Vec::new());
    scanner.expect(b'{')?;
    while !scanner.take(b'}') {
        if !members.is_empty() {
            scanner.expect(b',')?;
        }
        let name = scanner.key()?.decoded().into_owned();
        let start = scanner.place();
        scanner.skip(NESTING)?;
        members.push((name, start..scanner.end()));
    }
    Some(members)
}

/// A whole body, as it lies in a file; `-` is standard input.
pub(super) fn read(path: &Path) -> Result<Bytes, WrongRequest> {
    let read = if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes).map(|_| bytes)
    } else {
        bounded_file::read(path, MOST_BYTES + 1)
    };
    let bounded = read.and_then(|bytes| {
        let is_too_large = bytes.len() as u64 > MOST_BYTES;
        if is_too_large { Err(io::Error::other("it is larger than 64 MiB")) } else { Ok(bytes.into()) }
    });
    bounded.map_err(|source| WrongRequest::Body { path: path.to_owned(), source })
}
