//! Callbacks of a test's own in the place of the real ones: slow, with a bug, or by other names. All ask the one rpc that
//! there is.

use std::{collections::BTreeMap, marker::PhantomData};

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
