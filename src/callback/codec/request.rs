//! OpenIM's JSON, straight into the frame of a gRPC request. Fields that the contract does not know are ignored, since
//! later servers may send more; those that it knows may be there once.

use std::rc::Rc;

use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use super::change::TEXTS;
use crate::base::grpc_frame;
use crate::base::json::{JsonString, NESTING, Scanner};
use crate::callback::body::{Body, Places};
use crate::callback::question::{BodyError, Question};
use crate::callback::row::Callback;
use crate::callback::shape::{Field, FieldKind, Shape, rpc::MOST_FIELDS};
use crate::openim::OperationId;

/// What says which callback a body is.
const COMMAND: &str = "callbackCommand";
/// The request's field for the operation ID, in every rpc.
const OPERATION_ID: u32 = 1;

pub(super) fn decode(
    callback: &'static Callback,
    json: Bytes,
    operation_id: &OperationId,
) -> Result<Question, BodyError> {
    let text = std::str::from_utf8(&json).map_err(|_| BodyError::Malformed)?;
    let frame = grpc_frame::begun(operation_id.as_str().len() + json.len());
    let mut encoder = Encoder { json: Scanner::new(text), frame };
    encoder.text(OPERATION_ID, operation_id.as_str());
    let mut top = Top { character: callback.character, ..Top::default() };
    encoder.object(callback.rpc.request, 1, Some(&mut top)).ok_or(BodyError::Malformed)?;
    let is_missing = |index: usize| {
        let (start, end) = top.places[index];
        start == end || text[start as usize..].starts_with("null")
    };
    let lacks = (0..MOST_FIELDS).any(|index| callback.required >> index & 1 == 1 && is_missing(index));
    if lacks || !encoder.json.is_at_end() {
        return Err(BodyError::Malformed);
    }
    if !callback.is_named(&top.command.ok_or(BodyError::Malformed)?.decoded()) {
        return Err(BodyError::OtherCommand);
    }
    let (frame, places) = (grpc_frame::ended(encoder.frame), top.places);
    Ok(Question { frame, body: Rc::new(Body { callback, json, places }) })
}

/// The command in the body of a callback that the registry does not know; `None` when the body is no callback at all.
#[must_use]
pub fn command_of_unknown(body: &[u8]) -> Option<String> {
    const NOTHING_KNOWN: Shape = Shape { fields: &[] };
    let mut encoder = Encoder { json: Scanner::new(std::str::from_utf8(body).ok()?), frame: Vec::new() };
    let mut top = Top::default();
    encoder.object(&NOTHING_KNOWN, 1, Some(&mut top))?;
    top.command.filter(|_| encoder.json.is_at_end()).map(|command| command.decoded().into_owned())
}

/// The message of a JSON object.
pub(super) fn message_of(shape: &Shape, json: &str) -> Option<Vec<u8>> {
    let mut encoder = Encoder { json: Scanner::new(json), frame: Vec::new() };
    encoder.object(shape, 1, None)?;
    encoder.json.is_at_end().then_some(encoder.frame)
}

struct Encoder<'a> {
    json: Scanner<'a>,
    frame: Vec<u8>,
}

/// What is particular to the outermost object.
#[derive(Default)]
struct Top<'a> {
    /// [`Callback::character`].
    character: Option<usize>,
    command: Option<JsonString<'a>>,
    places: Places,
}

impl<'a> Encoder<'a> {
    /// An object, as the fields of this message. `depth`: of objects and arrays, this one included.
    fn object(&mut self, shape: &Shape, depth: usize, mut top: Option<&mut Top<'a>>) -> Option<()> {
        self.json.expect(b'{')?;
        if self.json.take(b'}') {
            return Some(());
        }
        let (mut seen, mut next) = (0_u32, 0);
        loop {
            let key = self.json.key()?;
            let start = self.json.place();
            if let Some(index) = find(shape, key, next) {
                if seen >> index & 1 == 1 {
                    return None;
                }
                seen |= 1 << index;
                next = index + 1;
                let field = &shape.fields[index];
                match &mut top {
                    Some(top) if top.character == Some(index) => self.character(field, depth)?,
                    _ => self.value(field, depth)?,
                }
                if let Some(top) = &mut top {
                    top.places[index] = (u32::try_from(start).ok()?, u32::try_from(self.json.end()).ok()?);
                }
            } else if let Some(top) = &mut top
                && key.is(COMMAND)
            {
                if top.command.is_some() {
                    return None;
                }
                top.command = Some(self.json.string()?);
            } else {
                self.json.skip(NESTING - depth)?;
            }
            if self.json.take(b'}') {
                return Some(());
            }
            self.json.expect(b',')?;
        }
    }

    /// A field's value; `null` is unset.
    fn value(&mut self, field: &Field, depth: usize) -> Option<()> {
        if self.json.take_word("null") {
            return Some(());
        }
        if !field.repeated {
            return self.one(field, depth);
        }
        self.json.expect(b'[')?;
        if self.json.take(b']') {
            return Some(());
        }
        let packed = field.kind.is_number().then(|| self.begin(field.number));
        loop {
            match packed {
                Some(_) => encode_varint(self.number(&field.kind)?, &mut self.frame),
                None => self.one(field, depth + 1)?,
            }
            if self.json.take(b']') {
                break;
            }
            self.json.expect(b',')?;
        }
        if let Some(start) = packed {
            self.end(start);
        }
        Some(())
    }

    fn one(&mut self, field: &Field, depth: usize) -> Option<()> {
        // What is not optional, and not in a list, is left out where it has its default.
        let is_written = field.optional || field.repeated;
        match &field.kind {
            FieldKind::Text => {
                let text = self.json.string()?;
                match text.plain() {
                    _ if text.is_empty() && !is_written => {}
                    Some(text) => self.text(field.number, text),
                    None => self.text(field.number, &text.decoded()),
                }
            }
            FieldKind::Message(shape) => {
                let start = self.begin(field.number);
                self.object(shape, depth + 1, None)?;
                self.end(start);
            }
            FieldKind::Texts => {
                let start = self.begin(field.number);
                self.value(&TEXTS.fields[0], depth)?;
                self.end(start);
            }
            kind => {
                let number = self.number(kind)?;
                if number != 0 || is_written {
                    self.varint(field.number, number);
                }
            }
        }
        Some(())
    }

    fn number(&mut self, kind: &FieldKind) -> Option<u64> {
        if matches!(kind, FieldKind::Bool) {
            let is_true = self.json.take_word("true");
            return (is_true || self.json.take_word("false")).then_some(u64::from(is_true));
        }
        let number = self.json.integer()?;
        let is_in_range = match kind {
            FieldKind::Int32 => i32::try_from(number).is_ok(),
            FieldKind::Uint32 => u32::try_from(number).is_ok(),
            _ => true,
        };
        is_in_range.then_some(number.cast_unsigned())
    }

    /// A number that is written as the one character that has it, which is a fault of OpenIM's: as a number, or in digits, it
    /// would be right, too. Of any other text nothing is known.
    fn character(&mut self, field: &Field, depth: usize) -> Option<()> {
        if self.json.place_is(b'"') {
            let text = self.json.string()?.decoded();
            let mut characters = text.chars();
            let number = match (text.parse::<u16>(), characters.next(), characters.next()) {
                (Ok(number), ..) => number.into(),
                (Err(_), Some(character), None) => character.into(),
                _ => 0,
            };
            if number != 0 {
                self.varint(field.number, number);
            }
            return Some(());
        }
        self.value(field, depth)
    }

    fn varint(&mut self, number: u32, value: u64) {
        encode_key(number, WireType::Varint, &mut self.frame);
        encode_varint(value, &mut self.frame);
    }

    fn text(&mut self, number: u32, text: &str) {
        encode_key(number, WireType::LengthDelimited, &mut self.frame);
        encode_varint(text.len() as u64, &mut self.frame);
        self.frame.extend_from_slice(text.as_bytes());
    }

    /// What follows up to [`Encoder::end`] is this field's.
    fn begin(&mut self, number: u32) -> usize {
        encode_key(number, WireType::LengthDelimited, &mut self.frame);
        self.frame.len()
    }

    /// Writes the length in front, now that it is known.
    fn end(&mut self, start: usize) {
        let length = (self.frame.len() - start) as u64;
        encode_varint(length, &mut self.frame);
        self.frame[start..].rotate_right(encoded_len_varint(length));
    }
}

/// OpenIM writes fields mostly in the order of the contract, so the search begins behind the last one.
fn find(shape: &Shape, key: JsonString<'_>, next: usize) -> Option<usize> {
    let count = shape.fields.len();
    (next..count).chain(0..next.min(count)).find(|index| key.is(shape.fields[*index].key))
}
