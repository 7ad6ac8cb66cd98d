//! The service's reply, to a decision. What breaks a rule, or sets no decision, is none.

use bytes::Buf as _;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use serde_json::{Map, Value};

use super::guard::allows;
use crate::callback::body::Body;
use crate::callback::question::Decision;
use crate::callback::shape::{Field, FieldKind, Shape};
use crate::proto::Refuse;

const ALLOW: u32 = 1;
const REFUSE: u32 = 2;
const CHANGE: u32 = 3;

/// The decision about this callback; `None` when the reply does not decode or holds no valid one.
pub(super) fn read(body: &Body, reply: &[u8]) -> Option<Decision> {
    // Of several the last one counts, and parts of the same one are one message: as for every decoder of protobuf.
    let mut decision = (0, Vec::new());
    each_field(reply, |number, wire, rest| {
        if !(ALLOW..=CHANGE).contains(&number) || (number == CHANGE && body.callback.rpc.change.is_none()) {
            return skip_field(wire, number, rest, DecodeContext::default()).ok();
        }
        let part = delimited(wire, rest)?;
        if decision.0 != number {
            decision = (number, Vec::new());
        }
        decision.1.extend_from_slice(part);
        Some(())
    })?;
    match decision {
        (ALLOW, allow) => crate::proto::Allow::decode(&*allow).ok().map(|_| Decision::Allow),
        (REFUSE, refuse) => Refuse::decode(&*refuse).ok().map(Decision::Refuse),
        (CHANGE, change) => changed(body, &change),
        _ => None,
    }
}

/// A change, laid over what an answer must repeat.
fn changed(body: &Body, change: &[u8]) -> Option<Decision> {
    let change = message(body.callback.rpc.change?, change)?;
    let keeps_the_rules = body.callback.guards.iter().all(|guard| allows(*guard, &change, body));
    if change.is_empty() || !keeps_the_rules {
        return None;
    }
    let mut fields = body.echo_but(|key| change.contains_key(key));
    for (key, value) in &change {
        fields.push(key, &value.to_string());
    }
    Some(Decision::Change(fields))
}

/// A message's fields that are set, by their names in JSON.
fn message(shape: &Shape, bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut fields = Map::new();
    each_field(bytes, |number, wire, rest| {
        let Some(field) = shape.fields.iter().find(|field| field.number == number) else {
            return skip_field(wire, number, rest, DecodeContext::default()).ok();
        };
        let value = value(field, wire, rest)?;
        match (fields.get_mut(field.key), value) {
            (Some(Value::Array(list)), Value::Array(more)) => list.extend(more),
            (Some(Value::Object(object)), Value::Object(more)) => object.extend(more),
            (_, value) => _ = fields.insert(field.key.to_owned(), value),
        }
        Some(())
    })?;
    Some(fields)
}

fn value(field: &Field, wire: WireType, rest: &mut &[u8]) -> Option<Value> {
    let value = match &field.kind {
        FieldKind::Text => Value::String(String::from_utf8(delimited(wire, rest)?.to_vec()).ok()?),
        FieldKind::Texts => {
            const VALUES: Shape = Shape {
                fields: &[Field { key: "", number: 1, kind: FieldKind::Text, repeated: true, optional: false }],
            };
            return message(&VALUES, delimited(wire, rest)?)?.remove("").or(Some(Value::Array(vec![])));
        }
        FieldKind::Message(shape) => {
            let mut fields = message(shape, delimited(wire, rest)?)?;
            for field in shape.fields.iter().filter(|field| !field.optional) {
                fields.entry(field.key).or_insert_with(|| default(&field.kind));
            }
            Value::Object(fields)
        }
        number => {
            let value = (wire == WireType::Varint).then(|| decode_varint(rest).ok())??;
            match number {
                FieldKind::Bool => (value != 0).into(),
                FieldKind::Uint32 => (value & u64::from(u32::MAX)).into(),
                FieldKind::Int64 => value.cast_signed().into(),
                // The lower half of it, as protobuf has it.
                _ => Value::from(i32::from_le_bytes(*value.to_le_bytes().first_chunk()?)),
            }
        }
    };
    Some(if field.repeated { Value::Array(vec![value]) } else { value })
}

fn default(kind: &FieldKind) -> Value {
    match kind {
        FieldKind::Text => "".into(),
        FieldKind::Bool => false.into(),
        _ => 0.into(),
    }
}

/// Calls `field` with each field's number and type, which takes its value from what is left.
fn each_field(mut rest: &[u8], mut field: impl FnMut(u32, WireType, &mut &[u8]) -> Option<()>) -> Option<()> {
    while rest.has_remaining() {
        let (number, wire) = decode_key(&mut rest).ok()?;
        field(number, wire, &mut rest)?;
    }
    Some(())
}

fn delimited<'a>(wire: WireType, rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = (wire == WireType::LengthDelimited).then(|| decode_varint(rest).ok())??;
    let (part, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(part)
}
