//! A message of the service's, read where it lies. It has been checked as a whole, so that reading a part cannot fail.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use crate::callback::shape::{Field, FieldKind, Shape};

/// A message, in the parts in which it came: mostly one.
pub(super) struct Change<'a> {
    shape: &'static Shape,
    parts: Vec<&'a [u8]>,
}

/// The value of one field.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a type that no field has here.
    Other,
}

/// A list of texts, which is bare in JSON.
pub(super) const TEXTS: Shape =
    Shape { fields: &[Field { key: "", number: 1, kind: FieldKind::Text, repeated: true, optional: false }] };

impl<'a> Part<'a> {
    pub(super) const fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// `None` when it is no value of this kind.
    fn check(self, kind: &FieldKind) -> Option<()> {
        match kind {
            FieldKind::Text => std::str::from_utf8(self.bytes()?).ok().map(|_| ()),
            FieldKind::Texts => check(&TEXTS, self.bytes()?),
            FieldKind::Message(shape) => check(shape, self.bytes()?),
            _ => matches!(self, Self::Number(_)).then_some(()),
        }
    }
}

/// Calls `field` with the number and the value of each field.
pub(super) fn each_field<'a>(mut rest: &'a [u8], mut field: impl FnMut(u32, Part<'a>) -> Option<()>) -> Option<()> {
    while !rest.is_empty() {
        let (number, part) = next(&mut rest)?;
        field(number, part)?;
    }
    Some(())
}

fn next<'a>(rest: &mut &'a [u8]) -> Option<(u32, Part<'a>)> {
    let (number, wire) = decode_key(rest).ok()?;
    let part = match wire {
        WireType::Varint => Part::Number(decode_varint(rest).ok()?),
        WireType::LengthDelimited => {
            let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
            let (bytes, after) = rest.split_at_checked(length)?;
            *rest = after;
            Part::Bytes(bytes)
        }
        other => {
            skip_field(other, number, rest, DecodeContext::default()).ok()?;
            Part::Other
        }
    };
    Some((number, part))
}

/// A whole message, as a JSON object.
pub(super) fn json_of(shape: &'static Shape, message: &[u8]) -> Option<String> {
    check(shape, message)?;
    let mut json = Vec::new();
    write_one(&FieldKind::Message(shape), &[Part::Bytes(message)], &mut json);
    String::from_utf8(json).ok()
}

/// The same of what has been checked.
fn fields_of(mut rest: &[u8]) -> impl Iterator<Item = (u32, Part<'_>)> {
    std::iter::from_fn(move || next(&mut rest))
}

/// The numbers of a list, which are all in one.
fn packed(mut bytes: &[u8]) -> Option<Vec<Part<'_>>> {
    let mut numbers = Vec::new();
    while !bytes.is_empty() {
        numbers.push(Part::Number(decode_varint(&mut bytes).ok()?));
    }
    Some(numbers)
}

fn check(shape: &Shape, bytes: &[u8]) -> Option<()> {
    each_field(bytes, |number, part| match shape.fields.iter().find(|field| field.number == number) {
        Some(field) => match part {
            Part::Bytes(numbers) if field.repeated && field.kind.is_number() => packed(numbers).map(|_| ()),
            part => part.check(&field.kind),
        },
        None => Some(()),
    })
}

impl<'a> Change<'a> {
    /// `None` when it does not decode.
    pub(super) fn of(shape: &'static Shape, parts: Vec<&'a [u8]>) -> Option<Self> {
        parts.iter().try_for_each(|part| check(shape, part))?;
        Some(Self { shape, parts })
    }

    pub(super) const fn shape(&self) -> &'static Shape {
        self.shape
    }

    fn field(&self, key: &str) -> Option<&'static Field> {
        self.shape.field(key)
    }

    /// All values of a field, in their order.
    fn values(&self, field: &Field) -> impl Iterator<Item = Part<'a>> {
        let number = field.number;
        let fields = self.parts.iter().copied().flat_map(fields_of);
        fields.filter(move |(found, _)| *found == number).map(|(_, part)| part)
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        self.field(key).is_some_and(|field| self.values(field).next().is_some())
    }

    /// The text of a field; of several the last one. `None` where it is unset, or no text.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        let field = self.field(key).filter(|field| matches!(field.kind, FieldKind::Text))?;
        std::str::from_utf8(self.values(field).last()?.bytes()?).ok()
    }

    pub(super) fn number(&self, key: &str) -> Option<u64> {
        match self.values(self.field(key)?).last()? {
            Part::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The texts of a list; `None` where it is unset, or no such list.
    pub(super) fn texts(&self, key: &str) -> Option<impl Iterator<Item = &'a str>> {
        let field = self.field(key).filter(|field| matches!(field.kind, FieldKind::Texts))?;
        let mut parts = self.values(field).filter_map(Part::bytes).peekable();
        parts.peek()?;
        let texts = parts.flat_map(fields_of).filter(|(number, _)| *number == TEXTS.fields[0].number);
        Some(texts.filter_map(|(_, text)| std::str::from_utf8(text.bytes()?).ok()))
    }

    /// The messages of a list; none where it is unset.
    pub(super) fn objects(&self, key: &str) -> impl Iterator<Item = Change<'a>> {
        let list = self.field(key).and_then(|field| match field.kind {
            FieldKind::Message(shape) => Some((field, shape)),
            _ => None,
        });
        list.into_iter().flat_map(|(field, shape)| {
            self.values(field).filter_map(Part::bytes).map(move |part| Change { shape, parts: vec![part] })
        })
    }

    /// Appends a field's value, as JSON.
    pub(super) fn write(&self, field: &Field, json: &mut Vec<u8>) {
        if field.repeated {
            json.push(b'[');
            let start = json.len();
            let mut add = |value| {
                if json.len() > start {
                    json.push(b',');
                }
                write_one(&field.kind, &[value], json);
            };
            for value in self.values(field) {
                match value.bytes().filter(|_| field.kind.is_number()).and_then(packed) {
                    Some(numbers) => numbers.into_iter().for_each(&mut add),
                    None => add(value),
                }
            }
            json.push(b']');
        } else {
            let values: Vec<_> = self.values(field).collect();
            write_one(&field.kind, &values, json);
        }
    }
}

/// Appends the value that is made of these, as JSON: of scalars the last one counts, and parts of a message are one.
fn write_one(kind: &FieldKind, values: &[Part<'_>], json: &mut Vec<u8>) {
    let number = match values.last() {
        Some(Part::Number(number)) => *number,
        _ => 0,
    };
    let bytes = || values.iter().filter_map(|value| value.bytes());
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    // Nothing of this fails in a `Vec`.
    let _written = match kind {
        FieldKind::Text => serde_json::to_writer(json, bytes().next_back().map(text).unwrap_or_default()),
        FieldKind::Bool => serde_json::to_writer(json, &(number != 0)),
        FieldKind::Int64 => serde_json::to_writer(json, &number.cast_signed()),
        // The lower half of it, as protobuf has it.
        FieldKind::Uint32 => serde_json::to_writer(json, &(number & u64::from(u32::MAX))),
        FieldKind::Int32 => {
            let [a, b, c, d, ..] = number.to_le_bytes();
            serde_json::to_writer(json, &i32::from_le_bytes([a, b, c, d]))
        }
        FieldKind::Texts => {
            Change { shape: &TEXTS, parts: bytes().collect() }.write(&TEXTS.fields[0], json);
            Ok(())
        }
        FieldKind::Message(shape) => {
            let message = Change { shape, parts: bytes().collect() };
            let mut between = b'{';
            for field in shape.fields.iter().filter(|field| !field.optional || message.is_set(field.key)) {
                json.extend_from_slice(&[between, b'"']);
                json.extend_from_slice(field.key.as_bytes());
                json.extend_from_slice(b"\":");
                message.write(field, json);
                between = b',';
            }
            if between == b'{' {
                json.push(b'{');
            }
            json.push(b'}');
            Ok(())
        }
    };
}
