//! Callbacks of a test's own, by other names, and code of a test's own on their path: slow, or with a bug.

use std::sync::{Condvar, Mutex};

use bytes::Bytes;

use super::PATIENCE;
use openim_bridge::callback::{Body, BodyError, Callback, Codec, Decision, Echo, InvalidDecision, Question, rpc};
use openim_bridge::openim::OperationId;

/// The callback about remarks, by another command.
pub const fn named(command: &'static str) -> Callback {
    Callback::before(rpc::BEFORE_SET_FRIEND_REMARK, command).echo(Echo::Helps(&["remark"]))
}

/// The remark in such a callback's body.
pub fn remark_in(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).expect("JSON");
    body["remark"].as_str().expect("a remark").to_owned()
}

/// Reads every reply with a bug.
pub fn panics(_: &Body, _: &[u8]) -> Result<Decision, InvalidDecision> {
    panic!("a bug, on purpose")
}

static GATE: (Mutex<Gate>, Condvar) = (Mutex::new(Gate::Open), Condvar::new());

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    Open,
    Shut,
    /// The worker waits.
    Reached,
}

pub fn set(gate: Gate) {
    *GATE.0.lock().expect("the gate") = gate;
    GATE.1.notify_all();
}

#[track_caller]
pub fn wait_until(is_so: impl Fn(Gate) -> bool) {
    let gate = GATE.0.lock().expect("the gate");
    let waited = GATE.1.wait_timeout_while(gate, PATIENCE, |gate| !is_so(*gate)).expect("the gate");
    assert!(!waited.1.timed_out(), "the gate stays as it is");
}

fn stops(callback: &'static Callback, body: Bytes, id: &OperationId) -> Result<Question, BodyError> {
    if remark_in(&body) == "stop" {
        set(Gate::Reached);
        wait_until(|gate| gate == Gate::Open);
    }
    (Codec::TABLES.decode)(callback, body, id)
}

/// Stops the worker at the remark `stop`, while the gate is shut. One test at a time may use it.
pub const STOPS: Codec = Codec { decode: stops, ..Codec::TABLES };
