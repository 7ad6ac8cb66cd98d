//! The service's reply, to a decision. What breaks a rule, or sets no decision, is none.
//!
//! A reply is read where it lies, and what OpenIM is told is written as it is read: a list of a hundred thousand users is
//! never held as anything else.

use prost::Message as _;

use super::change::Change;
use super::guard::allows;
use crate::callback::body::Body;
use crate::callback::question::{Decision, InvalidDecision};
use crate::proto::{Allow, Refuse};

pub(super) const ALLOW: u32 = 1;
pub(super) const REFUSE: u32 = 2;
pub(super) const CHANGE: u32 = 3;

/// The longest change that OpenIM is told. A reply has 4 MiB at most, and what it leaves out takes room in JSON.
const MOST: usize = 8 << 20;

/// The decision about this callback.
pub(super) fn read(body: &Body, reply: &[u8]) -> Result<Decision, InvalidDecision> {
    // Of several the last one counts, and parts of the same one are one message: as for every decoder of protobuf.
    let (mut decision, mut parts) = (0, Vec::new());
    super::change::each_field(reply, |number, part| {
        let is_known = matches!(number, ALLOW | REFUSE) || (number == CHANGE && body.callback().rpc.change.is_some());
        if is_known {
            if decision != number {
                parts.clear();
            }
            decision = number;
            parts.push(part.bytes()?);
        }
        Some(())
    })
    .ok_or(InvalidDecision::Undecodable)?;
    match decision {
        ALLOW => Allow::decode(&*parts.concat()).ok().map(|_| Decision::Allow),
        REFUSE => Refuse::decode(&*parts.concat()).ok().map(Decision::Refuse),
        CHANGE => match body.callback().rpc.change.and_then(|shape| Change::of(shape, parts)) {
            Some(change) => return changed(body, &change),
            None => None,
        },
        _ => return Err(InvalidDecision::Unset),
    }
    .ok_or(InvalidDecision::Undecodable)
}

/// A change, laid over what an answer must repeat.
fn changed(body: &Body, change: &Change<'_>) -> Result<Decision, InvalidDecision> {
    let mut set = change.shape().fields.iter().filter(|field| change.is_set(field.key)).peekable();
    if set.peek().is_none() {
        return Err(InvalidDecision::NoChange);
    }
    if let Some(broken) = body.callback().guards.iter().find(|guard| !allows(**guard, change, body)) {
        return Err(InvalidDecision::Rule(*broken));
    }
    let mut fields = body.echo_but(|key| change.is_set(key));
    for field in set {
        fields.push_with(field.key, |json| change.write(field, json));
        if fields.len() > MOST {
            return Err(InvalidDecision::TooLong);
        }
    }
    Ok(Decision::Change(fields))
}
