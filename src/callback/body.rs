//! A callback's JSON as it came in, and where its values lie: what an answer repeats, and what is logged, are read from
//! there, and only where they are wanted.

use std::{borrow::Cow, hash::Hasher as _};

use bytes::Bytes;
use fnv::FnvHasher;

use super::row::{Callback, Key};
use super::shape::rpc::MOST_FIELDS;
use crate::base::json::{JsonString, NESTING, Scanner};
use crate::openim::Fields;

/// The JSON of one callback.
#[derive(Debug)]
pub struct Body {
    pub(super) callback: &'static Callback,
    pub(super) json: Bytes,
    pub(super) places: Places,
}

/// From where to where each field's value lies, by the field's place in the request; both 0 for what is missing.
pub(super) type Places = [(u32, u32); MOST_FIELDS];

// Some of them are told by the bits of a number.
const _: () = assert!(MOST_FIELDS <= 32);

impl Body {
    /// Which callback it is.
    #[must_use]
    pub const fn callback(&self) -> &'static Callback {
        self.callback
    }

    /// All of it, as it came.
    #[must_use]
    pub fn json(&self) -> Bytes {
        self.json.clone()
    }

    /// The value of a field, as JSON. `None` when it is missing.
    pub(super) fn raw(&self, key: &str) -> Option<&str> {
        let (start, end) = *self.places.get(self.callback.rpc.request.index(key)?)?;
        let json = self.json.get(start as usize..end as usize).filter(|json| !json.is_empty())?;
        // All of it was UTF-8, and a value begins and ends with a character of its own.
        std::str::from_utf8(json).ok()
    }

    pub(super) fn number(&self, key: &str) -> Option<i64> {
        self.raw(key)?.parse().ok()
    }

    /// A text that is not empty; of a list the first one, and of an object its `userID`.
    fn text(&self, key: &str) -> Option<Cow<'_, str>> {
        first_text(&mut Scanner::new(self.raw(key)?)).filter(|text| !text.is_empty())
    }

    /// The user who acts, as the callback states.
    #[must_use]
    pub fn actor(&self) -> Option<Cow<'_, str>> {
        self.text(self.callback.actor?)
    }

    /// The user, group or conversation that it is about.
    #[must_use]
    pub fn about(&self) -> Option<Cow<'_, str>> {
        self.text(self.callback.about?)
    }

    /// Whom a roll-out counts it for.
    #[must_use]
    pub fn roll_out_key(&self) -> Cow<'_, str> {
        self.actor().or_else(|| self.text(self.callback.roll_out?)).unwrap_or_default()
    }

    /// A number for those in whose order events are delivered; `None` where there is no order.
    #[must_use]
    pub fn delivery_key(&self) -> Option<u64> {
        let text = |key| self.text(key).unwrap_or_default();
        let mut hasher = FnvHasher::default();
        let mut add = |parts: &[&str]| parts.iter().for_each(|part| hasher.write(part.as_bytes()));
        match self.callback.key {
            Key::None => return None,
            Key::Id(id) => add(&[&text(id)]),
            // As OpenIM names the conversation of a group.
            Key::Group(group) => add(&["sg_", &text(group)]),
            Key::Chat { group: Some(group), .. } if !text(group).is_empty() => add(&["sg_", &text(group)]),
            // As OpenIM names the conversation of two.
            Key::Chat { from, to, .. } => {
                let (from, to) = (text(from), text(to));
                add(&["si_", (&from).min(&to), "_", (&from).max(&to)]);
            }
        }
        Some(hasher.finish())
    }

    /// What an answer repeats, for the user's action to stay as it was.
    #[must_use]
    pub fn echo(&self) -> Fields {
        self.echo_but(|_| false)
    }

    /// The same, except for the keys that are overridden.
    pub(super) fn echo_but(&self, is_said: impl Fn(&str) -> bool) -> Fields {
        let keys = self.callback.repeated_keys();
        let mut fields = Fields::with_capacity(keys.len());
        for key in keys.iter().filter(|key| !is_said(key)) {
            let asked = self.raw(key).filter(|json| *json != "null");
            let missing = if self.callback.is_nullable(key) { "null" } else { "\"\"" };
            fields.push(key, asked.unwrap_or(missing));
        }
        fields
    }
}

fn first_text<'a>(json: &mut Scanner<'a>) -> Option<Cow<'a, str>> {
    json.take(b'[');
    if !json.take(b'{') {
        return json.string().map(JsonString::decoded);
    }
    loop {
        if json.key()?.is("userID") {
            return json.string().map(JsonString::decoded);
        }
        json.skip(NESTING)?;
        json.expect(b',')?;
    }
}
