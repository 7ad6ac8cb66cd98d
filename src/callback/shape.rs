//! What the messages of the contract hold: tables that `build.rs` makes from the descriptors of `proto/`.

/// An rpc of the contract.
#[derive(Debug, Clone, Copy)]
pub struct Rpc {
    /// The callback's name: its key in OpenIM's webhooks.yml, and the rpc's name with a small first letter.
    pub name: &'static str,
    /// `/package.Service/Method`.
    pub path: &'static str,
    pub request: &'static Shape,
    /// Whether its response holds a decision.
    pub decides: bool,
    /// What its decision may change.
    pub change: Option<&'static Shape>,
    /// Its JSON as a real server sent it, for the tools: the body of its fixture.
    pub sample: &'static str,
}

/// A message: its fields but the operation ID, which comes from a header.
#[derive(Debug)]
pub struct Shape {
    pub fields: &'static [Field],
}

#[derive(Debug)]
pub struct Field {
    /// Its name in JSON, which is OpenIM's.
    pub key: &'static str,
    pub number: u32,
    pub kind: FieldKind,
    pub repeated: bool,
    /// Whether unset is another thing than empty.
    pub optional: bool,
}

#[derive(Debug)]
pub enum FieldKind {
    Text,
    Bool,
    /// Enums too: numbers that have no name pass.
    Int32,
    Int64,
    Uint32,
    /// A `StringList`, in JSON the bare array.
    Texts,
    Message(&'static Shape),
}

impl FieldKind {
    /// Whether it is a number: those of a list are packed, all in one.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        !matches!(self, Self::Text | Self::Texts | Self::Message(_))
    }
}

impl Shape {
    /// Where the field is among [`Shape::fields`].
    #[must_use]
    pub const fn index(&self, key: &str) -> Option<usize> {
        let mut index = 0;
        while index < self.fields.len() {
            if is_same(self.fields[index].key, key) {
                return Some(index);
            }
            index += 1;
        }
        None
    }

    /// The field of this name in JSON.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.index(key).map(|index| &self.fields[index])
    }
}

/// `==`, which is not const.
const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

/// The contract's rpcs.
#[allow(dead_code, reason = "the shapes of messages that are read without tables")]
pub mod rpc {
    use super::{Field, FieldKind as Kind, Rpc, Shape};

    include!(concat!(env!("OUT_DIR"), "/tables.rs"));
}
