//! What two receivers say to one callback: the decision service, and the one that a team had before it.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::callback::Body;
use crate::openim::client::OpenImAnswer;
use crate::outcome::{Compared, Outcome, Source};

/// What every answer holds beside what it changes.
const VERDICT: [&str; 5] = ["actionCode", "errCode", "errMsg", "errDlt", "nextCode"];

/// Compares what the service would have had done with what the receiver has. Texts of refusals are not compared.
pub(super) fn compare(service: &Outcome, receiver: &Bytes) -> Compared {
    if service.decided_by() != Source::Decision {
        return Compared::Undecided;
    }
    let (Ok(answer), Ok(Value::Object(told))) = (OpenImAnswer::decode(receiver), serde_json::from_slice(receiver))
    else {
        return Compared::Undecodable;
    };
    let verdict = service.verdict();
    match (&verdict.refusal, answer.refuses()) {
        (Some(refusal), true) if refusal.code.get() == answer.err_code => Compared::Same,
        (Some(_), true) => Compared::Different(vec!["errCode".to_owned()]),
        (None, false) => {
            // What the receiver leaves out stays as it was asked for.
            let asked = service.body.as_deref().map(Body::echo).unwrap_or_default();
            let mut by_receiver = members(asked.as_str());
            by_receiver.extend(told.into_iter().filter(|(key, _)| !VERDICT.contains(&key.as_str())));
            differing(&members(verdict.fields.as_str()), &by_receiver)
        }
        _ => Compared::Different(vec!["nextCode".to_owned()]),
    }
}

/// Those of a JSON object.
fn members(text: &str) -> Map<String, Value> {
    serde_json::from_str(&format!("{{{text}}}")).unwrap_or_default()
}

fn differing(one: &Map<String, Value>, other: &Map<String, Value>) -> Compared {
    let is_missing = |key: &&String| !one.contains_key(*key);
    let keys = one.keys().chain(other.keys().filter(is_missing));
    let names: Vec<String> = keys.filter(|key| one.get(*key) != other.get(*key)).cloned().collect();
    if names.is_empty() { Compared::Same } else { Compared::Different(names) }
}
