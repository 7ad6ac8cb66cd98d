//! *Before setting a friend's remark*: may this user give this friend this remark?

use serde::Deserialize;

use super::served::{Callback, Decision, Parties};
use crate::openim::{Fields, OperationId, Text};
use crate::proto::{
    BeforeSetFriendRemarkRequest, BeforeSetFriendRemarkResponse, ReplaceRemark,
    before_set_friend_remark_response::Decision as Reply,
};

pub(super) struct BeforeSetFriendRemark;

/// What OpenIM sends. All four fields are mandatory.
#[derive(Deserialize)]
pub(super) struct Body {
    #[serde(rename = "callbackCommand")]
    command: Text,
    #[serde(rename = "ownerUserID")]
    owner: Text,
    #[serde(rename = "friendUserID")]
    friend: Text,
    remark: Text,
}

impl Callback for BeforeSetFriendRemark {
    const NAME: &'static str = "beforeSetFriendRemark";
    const COMMAND: &'static str = "callbackBeforeSetFriendRemarkCommand";
    const ALIASES: &'static [&'static str] = &["callbackBeforeSetFriendRemark"];
    const METHOD: &'static str = "/openim.bridge.v1.FriendCallbackService/BeforeSetFriendRemark";
    type Body = Body;
    type Request = BeforeSetFriendRemarkRequest;
    type Response = BeforeSetFriendRemarkResponse;

    fn command(body: &Body) -> &str {
        &body.command.0
    }

    fn request(body: Body, operation_id: &OperationId) -> BeforeSetFriendRemarkRequest {
        BeforeSetFriendRemarkRequest {
            operation_id: operation_id.as_str().to_owned(),
            owner_user_id: body.owner.0,
            friend_user_id: body.friend.0,
            remark: body.remark.0,
        }
    }

    fn subject(request: BeforeSetFriendRemarkRequest) -> (Parties, Fields) {
        let parties = Parties { owner: request.owner_user_id, friend: request.friend_user_id };
        (parties, vec![("remark", request.remark)])
    }

    fn decision(response: BeforeSetFriendRemarkResponse) -> Option<Decision> {
        match response.decision? {
            Reply::Allow(_) => Some(Decision::Allow),
            Reply::Refuse(refuse) => Some(Decision::Refuse(refuse)),
            // OpenIM takes an empty remark for "no change", so "set it to nothing" cannot be said.
            Reply::ReplaceRemark(ReplaceRemark { remark }) if remark.is_empty() => None,
            Reply::ReplaceRemark(ReplaceRemark { remark }) => Some(Decision::Change(vec![("remark", remark)])),
        }
    }
}
