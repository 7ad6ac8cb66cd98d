//! The facts of one callback, a row of the registry.

use super::shape::{Field, FieldKind, Rpc, Shape};

/// One of OpenIM's callbacks. Keys are the names of its fields in JSON; one that the request lacks does not compile.
#[derive(Debug)]
pub struct Callback {
    /// The key in webhooks.yml, by which people know it.
    pub name: &'static str,
    /// The command as OpenIM main names it.
    pub command: &'static str,
    /// What older servers call it, where they send the same JSON.
    pub aliases: &'static [&'static str],
    pub rpc: Rpc,
    pub kind: Kind,
    /// The user who acts, as the callback states.
    pub actor: Option<&'static str>,
    /// The user, group or conversation that it is about.
    pub about: Option<&'static str>,
    /// Whom a roll-out counts it for, where there is no actor.
    pub roll_out: Option<&'static str>,
    /// The fields without which there is no callback, by their place in the request.
    pub(super) required: u32,
    /// A number that OpenIM writes as the one character with that number.
    pub(super) character: Option<usize>,
    pub guards: &'static [Guard],
    /// What OpenIM does with a field of an answer, where that does not follow from the change, the echo and the guards.
    pub answered: &'static [(&'static str, AnswerRule)],
    pub(super) key: Key,
    pub attention_ids: AttentionIds,
}

/// What OpenIM does with a field of an answer. The first three are of fields that no change sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerRule {
    /// It takes it where it is not null.
    Taken,
    /// It panics unless there is one already, which the request does not show.
    MayPanic,
    /// It decodes it, and does nothing with it.
    Ignored,
    /// It drops what its user asked for over an empty one, and reports success.
    DroppedWhenEmpty,
    /// It stores objects that lack their key.
    StoredWithoutKey,
}

/// Whether OpenIM waits for an answer. Never to be read out of a name.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// It waits, and acts on the answer.
    Before {
        /// What an answer repeats as it came, for the user's action to stay as it was.
        echo: Echo,
        /// Whether the service alone may refuse: a refusal loses messages, and no user learns of it.
        only_service_refuses: bool,
    },
    /// It only tells.
    After,
}

/// What a list that is not empty does under `attentionIds`, a key of webhooks.yml.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionIds {
    /// OpenIM sends the callback for these users only, where it has the key at all.
    Selects,
    /// OpenIM compares it with what is never there, and sends nothing.
    Silences,
    /// OpenIM sends everything.
    Ignored,
}

/// Whose events are delivered in order. All are in one namespace: that of OpenIM's conversation IDs, and of its users' IDs.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    /// In no order.
    None,
    /// The ID of a user or a conversation.
    Id(&'static str),
    Group(&'static str),
    /// The conversation of two users; of the group, where there is one.
    Chat {
        from: &'static str,
        to: &'static str,
        group: Option<&'static str>,
    },
}

#[derive(Debug, Clone, Copy)]
pub enum Echo {
    /// Current servers leave alone what an answer does not name.
    Helps(&'static [&'static str]),
    /// An allow without it does harm, so that a callback whose body was not read is refused.
    Required(&'static [&'static str]),
}

/// The fields of a message that guards look at.
pub(super) const SESSION_TYPE: &str = "sessionType";
pub(super) const CONTENT_TYPE: &str = "contentType";

/// A rule that a change must keep, or the reply is an invalid one. Each but the last looks at one key of the change, where it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Guard {
    /// The text or list is not empty, and no text of the list: OpenIM takes an empty one for "no change", or drops what its
    /// user asked for.
    #[error("`{0}` must not be empty")]
    NotEmpty(&'static str),
    /// The text holds more than white space: OpenIM drops the whole update over a blank one, and reports success.
    #[error("`{0}` must not be blank")]
    NotBlank(&'static str),
    /// The number is not 0, which is none.
    #[error("`{0}` must not be 0")]
    NotZero(&'static str),
    /// The text holds a JSON object: OpenIM fails at anything else.
    #[error("`{0}` must be a JSON object")]
    JsonObject(&'static str),
    /// The user asked to change it: OpenIM panics where not.
    #[error("`{0}` is not a field that the user asked to change")]
    Asked(&'static str),
    /// Each object of the list has a text under this key: OpenIM panics where not.
    #[error("each of `{0}` must have a `{1}`")]
    EachHas(&'static str, &'static str),
    /// In no object of the list the number under this key is 0.
    #[error("no `{1}` of `{0}` may be 0")]
    EachNotZero(&'static str, &'static str),
    /// The request's `sessionType` is this number: OpenIM would lose the message.
    #[error("`{0}` is only for messages of session type {1}")]
    InSession(&'static str, i64),
    /// Nothing is changed where the request's `contentType` is a notification's, 1000 to 5000, on which clients rely.
    #[error("a notification must stay as it is")]
    NotNotification,
}

impl Guard {
    /// What OpenIM would make of a change that breaks it.
    #[must_use]
    pub const fn consequence(self) -> &'static str {
        match self {
            Self::NotEmpty(_) => "OpenIM takes an empty one for no change, or drops what its user asked for",
            Self::NotBlank(_) => "OpenIM drops the whole update, and reports success",
            Self::NotZero(_) | Self::EachNotZero(..) => "OpenIM takes it for none",
            Self::JsonObject(_) => "OpenIM fails, and its user's call with it",
            Self::Asked(_) | Self::EachHas(..) => "OpenIM panics, and stores nothing",
            Self::InSession(..) => "OpenIM would lose the message",
            Self::NotNotification => "Clients rely on it",
        }
    }

    /// A key of a request, and the JSON under it, with which a service comes near to breaking the rule: for tests of one.
    #[must_use]
    pub const fn tempted_by(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::NotEmpty(key) => Some((key, "\"\"")),
            Self::NotBlank(key) => Some((key, "\" \"")),
            Self::NotZero(key) => Some((key, "0")),
            Self::JsonObject(key) => Some((key, "\"no JSON\"")),
            Self::Asked(key) => Some((key, "null")),
            Self::InSession(_, 1) => Some(("sessionType", "3")),
            Self::InSession(..) => Some(("sessionType", "1")),
            Self::NotNotification => Some(("contentType", "1501")),
            Self::EachHas(..) | Self::EachNotZero(..) => None,
        }
    }
}

impl Callback {
    /// A callback that OpenIM waits for.
    ///
    /// # Panics
    /// When the program is compiled: where the rpc's response holds no decision.
    #[must_use]
    pub const fn before(rpc: Rpc, command: &'static str) -> Self {
        assert!(rpc.decides, "the rpc's response holds no decision");
        Self::new(rpc, command, Kind::Before { echo: Echo::Helps(&[]), only_service_refuses: false })
    }

    /// A callback that only tells.
    ///
    /// # Panics
    /// When the program is compiled: where the rpc's response holds a decision.
    #[must_use]
    pub const fn after(rpc: Rpc, command: &'static str) -> Self {
        assert!(!rpc.decides, "the rpc's response holds a decision");
        Self::new(rpc, command, Kind::After)
    }

    const fn new(rpc: Rpc, command: &'static str, kind: Kind) -> Self {
        Self {
            name: rpc.name,
            command,
            aliases: &[],
            rpc,
            kind,
            actor: None,
            about: None,
            roll_out: None,
            required: 0,
            character: None,
            guards: &[],
            answered: &[],
            key: Key::None,
            attention_ids: AttentionIds::Selects,
        }
    }

    #[must_use]
    pub const fn aliases(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    #[must_use]
    pub const fn actor(mut self, key: &'static str) -> Self {
        index(self.rpc.request, key);
        self.actor = Some(key);
        self
    }

    #[must_use]
    pub const fn about(mut self, key: &'static str) -> Self {
        index(self.rpc.request, key);
        self.about = Some(key);
        self
    }

    #[must_use]
    pub const fn roll_out(mut self, key: &'static str) -> Self {
        index(self.rpc.request, key);
        self.roll_out = Some(key);
        self
    }

    #[must_use]
    pub const fn required(mut self, keys: &[&str]) -> Self {
        let mut at = 0;
        while at < keys.len() {
            self.required |= 1 << index(self.rpc.request, keys[at]);
            at += 1;
        }
        self
    }

    /// # Panics
    /// When the program is compiled: where OpenIM does not wait for an answer.
    #[must_use]
    pub const fn echo(mut self, echo: Echo) -> Self {
        let (Echo::Helps(keys) | Echo::Required(keys)) = echo;
        let mut at = 0;
        while at < keys.len() {
            index(self.rpc.request, keys[at]);
            at += 1;
        }
        match self.kind {
            Kind::Before { only_service_refuses, .. } => self.kind = Kind::Before { echo, only_service_refuses },
            Kind::After => panic!("OpenIM does not read the answer"),
        }
        self
    }

    /// # Panics
    /// When the program is compiled: where OpenIM does not wait for an answer.
    #[must_use]
    pub const fn only_service_refuses(mut self) -> Self {
        match self.kind {
            Kind::Before { echo, .. } => self.kind = Kind::Before { echo, only_service_refuses: true },
            Kind::After => panic!("OpenIM does not read the answer"),
        }
        self
    }

    #[must_use]
    pub const fn character(mut self, key: &str) -> Self {
        self.character = Some(index(self.rpc.request, key));
        self
    }

    /// # Panics
    /// When the program is compiled: where there is nothing to change.
    #[must_use]
    pub const fn guards(mut self, guards: &'static [Guard]) -> Self {
        let Some(change) = self.rpc.change else { panic!("there is nothing to change") };
        let mut at = 0;
        while at < guards.len() {
            match guards[at] {
                Guard::NotEmpty(key) | Guard::NotBlank(key) | Guard::NotZero(key) | Guard::JsonObject(key) => {
                    index(change, key);
                }
                Guard::Asked(key) => {
                    index(change, key);
                    index(self.rpc.request, key);
                }
                Guard::InSession(key, _) => {
                    index(change, key);
                    index(self.rpc.request, SESSION_TYPE);
                }
                Guard::EachHas(list, key) | Guard::EachNotZero(list, key) => {
                    match change.fields[index(change, list)].kind {
                        FieldKind::Message(shape) => _ = index(shape, key),
                        _ => panic!("it is no list of objects"),
                    }
                }
                Guard::NotNotification => _ = index(self.rpc.request, CONTENT_TYPE),
            }
            at += 1;
        }
        self.guards = guards;
        self
    }

    #[must_use]
    pub const fn answered(mut self, fields: &'static [(&'static str, AnswerRule)]) -> Self {
        self.answered = fields;
        self
    }

    /// In whose order events are delivered.
    #[must_use]
    pub const fn in_order_of(mut self, key: Key) -> Self {
        let shape = self.rpc.request;
        match key {
            Key::None => {}
            Key::Id(key) | Key::Group(key) => _ = index(shape, key),
            Key::Chat { from, to, group } => {
                index(shape, from);
                index(shape, to);
                if let Some(group) = group {
                    index(shape, group);
                }
            }
        }
        self.key = key;
        self
    }

    #[must_use]
    pub const fn attention_ids(mut self, does: AttentionIds) -> Self {
        self.attention_ids = does;
        self
    }

    /// Whether `command` is this callback's, or an alias of it.
    #[must_use]
    pub fn is_named(&self, command: &str) -> bool {
        command == self.command || self.aliases.contains(&command)
    }

    /// The keys without which there is no callback.
    pub fn required_keys(&self) -> impl Iterator<Item = &'static str> {
        let fields = self.rpc.request.fields.iter().enumerate();
        fields.filter(|(index, _)| self.required >> index & 1 == 1).map(|(_, field)| field.key)
    }

    /// Whether OpenIM only tells.
    #[must_use]
    pub const fn is_after(&self) -> bool {
        matches!(self.kind, Kind::After)
    }

    /// What an answer should repeat.
    #[must_use]
    pub const fn repeated_keys(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Before { echo: Echo::Helps(keys) | Echo::Required(keys), .. } => keys,
            Kind::After => &[],
        }
    }

    /// Whether there is another way to say nothing of a field than an empty text.
    pub(super) fn is_nullable(&self, key: &str) -> bool {
        !matches!(self.rpc.request.field(key), Some(Field { kind: FieldKind::Text, optional: false, .. }))
    }

    /// Whether nobody but the service may refuse.
    #[must_use]
    pub const fn only_service_may_refuse(&self) -> bool {
        matches!(self.kind, Kind::Before { only_service_refuses: true, .. })
    }

    /// Whether an allow that repeats nothing of the request does harm, where it came by this command: servers that use an
    /// old one overwrite with nothing what they are not told.
    #[must_use]
    pub fn needs_echo(&self, command: &str) -> bool {
        match self.kind {
            Kind::Before { echo: Echo::Required(_), .. } => true,
            Kind::Before { echo: Echo::Helps(keys), .. } => !keys.is_empty() && command != self.command,
            Kind::After => false,
        }
    }
}

const fn index(shape: &Shape, key: &str) -> usize {
    match shape.index(key) {
        Some(index) => index,
        None => panic!("the request has no such key"),
    }
}
