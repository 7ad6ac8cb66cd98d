//! Callbacks of a test's own in the place of the real ones: slow, with a bug, or by other names. All ask the one rpc that
//! there is.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Condvar, Mutex},
};

use super::PATIENCE;
use openim_bridge::callback::{Callback, Decision, Parties, Served};
use openim_bridge::openim::{Fields, OperationId, Text};
use openim_bridge::proto::{BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse};

/// In what such a callback differs from the real one.
pub trait Odd: 'static {
    const COMMAND: &'static str = super::COMMAND;
    const ALIASES: &'static [&'static str] = &[];

    /// Called in the worker with the remark that came in, before the App is asked.
    fn reads(_remark: &str) {}

    /// Called in the worker when the App has replied.
    fn decides() -> Option<Decision> {
        Some(Decision::Allow)
    }
}

pub const fn served<O: Odd>() -> Served {
    Served::of::<Of<O>>()
}

struct Of<O>(PhantomData<O>);

impl<O: Odd> Callback for Of<O> {
    const NAME: &'static str = "beforeSetFriendRemark";
    const COMMAND: &'static str = O::COMMAND;
    const ALIASES: &'static [&'static str] = O::ALIASES;
    const METHOD: &'static str = "/openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark";
    type Body = BTreeMap<String, Text>;
    type Request = BeforeSetFriendRemarkRequest;
    type Response = BeforeSetFriendRemarkResponse;

    fn command(body: &Self::Body) -> &str {
        body.get("callbackCommand").map_or("", |command| &command.0)
    }

    fn request(mut body: Self::Body, _: &OperationId) -> Self::Request {
        let remark = body.remove("remark").map(|remark| remark.0).unwrap_or_default();
        O::reads(&remark);
        BeforeSetFriendRemarkRequest { remark, ..Default::default() }
    }

    fn subject(request: Self::Request) -> (Parties, Fields) {
        (Parties { owner: String::new(), friend: String::new() }, vec![("remark", request.remark)])
    }

    fn decision(_: Self::Response) -> Option<Decision> {
        O::decides()
    }
}

/// A callback that stops its worker, so that a test can say what waits for it.
struct Stops;

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

impl Odd for Stops {
    fn reads(remark: &str) {
        if remark == "stop" {
            set(Gate::Reached);
            wait_until(|gate| gate == Gate::Open);
        }
    }
}

/// Stops the worker at the remark `stop`, while the gate is shut. One test at a time may use it.
pub static STOPS: [Served; 1] = [served::<Stops>()];
