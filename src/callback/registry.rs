//! Every callback, a row each. The only file of `src/` that names one.
//!
//! What the rows say of OpenIM is from its source (open-im-server main 7848d7c73, and the tags since v3.0.0 for the
//! aliases), and was seen on a real server. Two old commands are not here, since another JSON comes with them:
//! `callbackBeforeMemberJoinGroupCommand` and `callbackWordFilterCommand`; nor is `callbackSingleMsgRead`, with which two
//! kinds of JSON came.

use std::collections::HashMap;

use fnv::FnvBuildHasher;
use http::uri::PathAndQuery;

use super::codec::Codec;
use super::row::{AnswerRule, AttentionIds, Callback, Echo, Guard, Key};
use super::shape::rpc;

pub static CALLBACKS: &[Callback] = &[
    // Friends and the black list.
    Callback::before(rpc::BEFORE_SET_FRIEND_REMARK, "callbackBeforeSetFriendRemarkCommand")
        .aliases(&["callbackBeforeSetFriendRemark"])
        .actor("ownerUserID")
        .about("friendUserID")
        .required(&["ownerUserID", "friendUserID", "remark"])
        // v3.5 and v3.6 overwrite the remark with what they are told, or not told.
        .echo(Echo::Helps(&["remark"]))
        .guards(&[Guard::NotEmpty("remark")]),
    Callback::after(rpc::AFTER_SET_FRIEND_REMARK, "callbackAfterSetFriendRemarkCommand")
        .in_order_of(Key::Id("ownerUserID"))
        .aliases(&["callbackAfterSetFriendRemark"])
        .actor("ownerUserID")
        .about("friendUserID"),
    Callback::before(rpc::BEFORE_ADD_FRIEND, "callbackBeforeAddFriendCommand").actor("fromUserID").about("toUserID"),
    Callback::after(rpc::AFTER_ADD_FRIEND, "callbackAfterAddFriendCommand")
        .in_order_of(Key::Id("fromUserID"))
        .actor("fromUserID")
        .about("toUserID"),
    // `blackUserID` is the user who accepts.
    Callback::before(rpc::BEFORE_ADD_FRIEND_AGREE, "callbackBeforeAddFriendAgreeCommand")
        .actor("blackUserID")
        .about("fromUserID"),
    Callback::after(rpc::AFTER_ADD_FRIEND_AGREE, "callbackAfterAddFriendAgreeCommand")
        .in_order_of(Key::Id("fromUserID"))
        .actor("blackUserID")
        .about("fromUserID"),
    Callback::after(rpc::AFTER_DELETE_FRIEND, "callbackAfterDeleteFriendCommand")
        .in_order_of(Key::Id("ownerUserID"))
        .actor("ownerUserID")
        .about("friendUserID"),
    Callback::before(rpc::BEFORE_IMPORT_FRIENDS, "callbackBeforeImportFriendsCommand")
        .actor("ownerUserID")
        .guards(&[Guard::NotEmpty("friendUserIDs")]),
    Callback::after(rpc::AFTER_IMPORT_FRIENDS, "callbackAfterImportFriendsCommand")
        .in_order_of(Key::Id("ownerUserID"))
        .actor("ownerUserID"),
    Callback::before(rpc::BEFORE_ADD_BLACK, "callbackBeforeAddBlackCommand").actor("ownerUserID").about("blackUserID"),
    Callback::after(rpc::AFTER_REMOVE_BLACK, "callbackAfterRemoveBlackCommand")
        .in_order_of(Key::Id("ownerUserID"))
        .actor("ownerUserID")
        .about("blackUserID"),
    // Users.
    Callback::before(rpc::BEFORE_USER_REGISTER, "callbackBeforeUserRegisterCommand")
        .roll_out("users")
        .guards(&[Guard::EachHas("users", "userID")])
        .answered(&[("users", AnswerRule::StoredWithoutKey)]),
    Callback::after(rpc::AFTER_USER_REGISTER, "callbackAfterUserRegisterCommand"),
    Callback::before(rpc::BEFORE_UPDATE_USER_INFO, "callbackBeforeUpdateUserInfoCommand")
        .actor("userID")
        .guards(&[Guard::NotEmpty("nickName"), Guard::NotEmpty("faceURL"), Guard::NotEmpty("ex")])
        .answered(&[
            ("nickName", AnswerRule::DroppedWhenEmpty),
            ("faceURL", AnswerRule::DroppedWhenEmpty),
            ("ex", AnswerRule::DroppedWhenEmpty),
        ]),
    Callback::after(rpc::AFTER_UPDATE_USER_INFO, "callbackAfterUpdateUserInfoCommand")
        .in_order_of(Key::Id("userID"))
        .actor("userID"),
    Callback::before(rpc::BEFORE_UPDATE_USER_INFO_EX, "callbackBeforeUpdateUserInfoExCommand")
        .actor("userID")
        .guards(&[Guard::Asked("nickName"), Guard::Asked("faceURL")])
        .answered(&[("ex", AnswerRule::MayPanic)]),
    Callback::after(rpc::AFTER_UPDATE_USER_INFO_EX, "callbackAfterUpdateUserInfoExCommand")
        .in_order_of(Key::Id("userID"))
        .actor("userID"),
    Callback::after(rpc::AFTER_USER_ONLINE, "callbackAfterUserOnlineCommand")
        .in_order_of(Key::Id("userID"))
        .aliases(&["callbackUserOnlineCommand"])
        .actor("userID"),
    Callback::after(rpc::AFTER_USER_OFFLINE, "callbackAfterUserOfflineCommand")
        .in_order_of(Key::Id("userID"))
        .aliases(&["callbackUserOfflineCommand"])
        .actor("userID"),
    Callback::after(rpc::AFTER_USER_KICK_OFF, "callbackAfterUserKickOffCommand")
        .in_order_of(Key::Id("userID"))
        .aliases(&["callbackUserKickOffCommand"])
        .actor("userID"),
    // Groups.
    Callback::before(rpc::BEFORE_CREATE_GROUP, "callbackBeforeCreateGroupCommand")
        .actor("creatorUserID")
        .about("groupID")
        // Neither of them is there as a rule.
        .roll_out("initMemberList")
        .guards(&[Guard::NotBlank("groupName")])
        .answered(&[
            ("groupType", AnswerRule::Taken),
            ("ownerUserID", AnswerRule::Ignored),
            ("applyMemberFriend", AnswerRule::Ignored),
        ]),
    Callback::after(rpc::AFTER_CREATE_GROUP, "callbackAfterCreateGroupCommand")
        .in_order_of(Key::Group("groupID"))
        .actor("creatorUserID")
        .about("groupID"),
    Callback::before(rpc::BEFORE_INVITE_USER_TO_GROUP, "callbackBeforeInviteJoinGroupCommand")
        .about("groupID")
        .roll_out("groupID")
        .answered(&[("refusedMembersAccount", AnswerRule::Ignored)]),
    Callback::before(rpc::BEFORE_APPLY_JOIN_GROUP, "callbackBeforeJoinGroupCommand")
        .actor("applyID")
        .about("groupID")
        .character("groupType"),
    Callback::before(rpc::BEFORE_MEMBER_JOIN_GROUP, "callbackBeforeMembersJoinGroupCommand")
        .about("groupID")
        .roll_out("groupID")
        .guards(&[
            Guard::EachHas("memberCallbackList", "userID"),
            Guard::EachNotZero("memberCallbackList", "roleLevel"),
        ]),
    Callback::after(rpc::AFTER_JOIN_GROUP, "callbackAfterJoinGroupCommand")
        .in_order_of(Key::Group("groupID"))
        .actor("inviterUserID")
        .about("groupID"),
    Callback::before(rpc::BEFORE_SET_GROUP_MEMBER_INFO, "callbackBeforeSetGroupMemberInfoCommand")
        .aliases(&["CallbackBeforeSetGroupMemberInfoCommand"])
        .about("userID")
        .roll_out("groupID")
        .guards(&[Guard::NotZero("roleLevel")]),
    Callback::after(rpc::AFTER_SET_GROUP_MEMBER_INFO, "callbackAfterSetGroupMemberInfoCommand")
        .in_order_of(Key::Group("groupID"))
        .about("userID"),
    Callback::after(rpc::AFTER_QUIT_GROUP, "callbackAfterQuitGroupCommand")
        .in_order_of(Key::Group("groupID"))
        .aliases(&["callbackQuitGroupCommand"])
        .actor("userID")
        .about("groupID"),
    Callback::after(rpc::AFTER_KICK_GROUP_MEMBER, "callbackAfterKickGroupCommand")
        .in_order_of(Key::Group("groupID"))
        .aliases(&["callbackKillGroupCommand"])
        .about("groupID"),
    Callback::after(rpc::AFTER_TRANSFER_GROUP_OWNER, "callbackAfterTransferGroupOwnerCommand")
        .in_order_of(Key::Group("groupID"))
        .aliases(&["callbackTransferGroupOwnerAfter", "callbackAfterTransferGroupOwner"])
        .actor("oldOwnerUserID")
        .about("newOwnerUserID"),
    Callback::after(rpc::AFTER_DISMISS_GROUP, "callbackAfterDisMissGroupCommand")
        .in_order_of(Key::Group("groupID"))
        .aliases(&["callbackDisMissGroupCommand"])
        .actor("ownerID")
        .about("groupID")
        .character("groupType"),
    Callback::before(rpc::BEFORE_SET_GROUP_INFO, "callbackBeforeSetGroupInfoCommand")
        .about("groupID")
        .roll_out("groupID")
        .required(&["groupID"])
        .echo(Echo::Required(&["groupID", "groupName", "introduction", "faceURL"]))
        .guards(&[Guard::NotBlank("groupName"), Guard::NotEmpty("introduction"), Guard::NotEmpty("faceURL")])
        .answered(&[("notification", AnswerRule::Ignored)]),
    Callback::after(rpc::AFTER_SET_GROUP_INFO, "callbackAfterSetGroupInfoCommand")
        .in_order_of(Key::Group("groupID"))
        .about("groupID"),
    Callback::before(rpc::BEFORE_SET_GROUP_INFO_EX, "callbackBeforeSetGroupInfoExCommand")
        .aliases(&["callbackBeforeSetGroupInfoEXCommand"])
        .about("groupID")
        .roll_out("groupID")
        .required(&["groupID"])
        .echo(Echo::Required(&[
            "groupID",
            "groupName",
            "introduction",
            "faceURL",
            "ex",
            "needVerification",
            "lookMemberInfo",
            "applyMemberFriend",
        ]))
        .guards(&[Guard::NotBlank("groupName")])
        .answered(&[("notification", AnswerRule::Ignored)]),
    Callback::after(rpc::AFTER_SET_GROUP_INFO_EX, "callbackAfterSetGroupInfoExCommand")
        .in_order_of(Key::Group("groupID"))
        .aliases(&["callbackAfterSetGroupInfoCommandEX"])
        .about("groupID"),
    // Messages.
    Callback::before(rpc::BEFORE_SEND_SINGLE_MSG, "callbackBeforeSendSingleMsgCommand").actor("sendID").about("recvID"),
    Callback::after(rpc::AFTER_SEND_SINGLE_MSG, "callbackAfterSendSingleMsgCommand")
        .in_order_of(Key::Chat { from: "sendID", to: "recvID", group: None })
        .actor("sendID")
        .about("recvID"),
    Callback::before(rpc::BEFORE_SEND_GROUP_MSG, "callbackBeforeSendGroupMsgCommand").actor("sendID").about("groupID"),
    Callback::after(rpc::AFTER_SEND_GROUP_MSG, "callbackAfterSendGroupMsgCommand")
        .in_order_of(Key::Group("groupID"))
        // It compares the list with `recvID`, which a group's message lacks (its issue 3410).
        .attention_ids(AttentionIds::Silences)
        .actor("sendID")
        .about("groupID"),
    Callback::before(rpc::BEFORE_MSG_MODIFY, "callbackBeforeMsgModifyCommand")
        .aliases(&["callbackMsgModifyCommand"])
        .actor("sendID")
        .guards(&[
            Guard::JsonObject("content"),
            Guard::NotEmpty("recvID"),
            Guard::InSession("recvID", 1),
            Guard::NotEmpty("groupID"),
            Guard::InSession("groupID", 3),
        ])
        .answered(&[
            ("clientMsgID", AnswerRule::Taken),
            ("serverMsgID", AnswerRule::Taken),
            ("sessionType", AnswerRule::Taken),
            ("msgFrom", AnswerRule::Taken),
            ("status", AnswerRule::Taken),
            ("options", AnswerRule::Taken),
            ("offlinePushInfo", AnswerRule::MayPanic),
            ("msgDataList", AnswerRule::Ignored),
        ]),
    Callback::after(rpc::AFTER_MSG_SAVE_DB, "callbackAfterMsgSaveDBCommand")
        .in_order_of(Key::Chat { from: "sendID", to: "recvID", group: Some("groupID") })
        .attention_ids(AttentionIds::Ignored)
        .actor("sendID")
        .about("recvID"),
    Callback::after(rpc::AFTER_SINGLE_MSG_READ, "callbackAfterSingleMsgReadCommand")
        .in_order_of(Key::Id("conversationID"))
        .actor("userID")
        .about("conversationID"),
    Callback::after(rpc::AFTER_GROUP_MSG_READ, "callbackAfterGroupMsgReadCommand")
        .in_order_of(Key::Id("sendID"))
        .aliases(&["callbackGroupMsgReadCommand"])
        .actor("sendID"),
    Callback::after(rpc::AFTER_REVOKE_MSG, "callbackBeforeAfterMsgCommand")
        .in_order_of(Key::Id("conversationID"))
        .actor("userID")
        .about("conversationID"),
    // Pushes, and conversations: who refuses one loses messages, and no user learns of it.
    Callback::before(rpc::BEFORE_ONLINE_PUSH, "callbackBeforeOnlinePushCommand")
        .aliases(&["callbackOnlinePushCommand"])
        .actor("sendID")
        .only_service_refuses()
        .answered(&[("userIDList", AnswerRule::Ignored), ("offlinePushInfo", AnswerRule::Ignored)]),
    Callback::before(rpc::BEFORE_GROUP_ONLINE_PUSH, "callbackBeforeGroupOnlinePushCommand")
        .aliases(&["callbackSuperGroupOnlinePushCommand"])
        .actor("sendID")
        .about("groupID")
        .only_service_refuses()
        .guards(&[Guard::NotEmpty("userIDList"), Guard::NotNotification])
        .answered(&[("offlinePushInfo", AnswerRule::Ignored)]),
    Callback::before(rpc::BEFORE_OFFLINE_PUSH, "callbackBeforeOfflinePushCommand")
        .aliases(&["callbackOfflinePushCommand"])
        .actor("sendID")
        .about("groupID")
        .only_service_refuses()
        .guards(&[Guard::NotEmpty("userIDList")]),
    Callback::before(
        rpc::BEFORE_CREATE_SINGLE_CHAT_CONVERSATIONS,
        "callbackBeforeCreateSingleChatConversationsCommand",
    )
    .actor("ownerUserId")
    .about("userId")
    .only_service_refuses(),
    Callback::after(rpc::AFTER_CREATE_SINGLE_CHAT_CONVERSATIONS, "callbackAfterCreateSingleChatConversationsCommand")
        .in_order_of(Key::Id("conversationId"))
        .actor("ownerUserId")
        .about("userId"),
    Callback::before(rpc::BEFORE_CREATE_GROUP_CHAT_CONVERSATIONS, "callbackBeforeCreateGroupChatConversationsCommand")
        .about("groupId")
        .roll_out("groupId")
        .only_service_refuses(),
    Callback::after(rpc::AFTER_CREATE_GROUP_CHAT_CONVERSATIONS, "callbackAfterCreateGroupChatConversationsCommand")
        .in_order_of(Key::Id("conversationId"))
        .about("groupId"),
];

/// A key of OpenIM's webhooks.yml that stands for a callback which is never sent.
#[derive(Debug)]
pub struct NeverSent {
    pub name: &'static str,
    /// The callback that reports the same event.
    pub instead: &'static str,
}

/// The first has a command, which nothing in OpenIM calls since v3.0.0; the other has none.
pub static NEVER_SENT: &[NeverSent] = &[
    NeverSent { name: "afterUserKickOff", instead: "afterUserOffline" },
    NeverSent { name: "afterGroupMsgRevoke", instead: "afterRevokeMsg" },
];

/// Which callback a command names, and how it is decoded.
#[derive(Debug)]
pub struct Callbacks {
    pub rows: &'static [Callback],
    pub codec: Codec,
    by_command: HashMap<&'static str, &'static Callback, FnvBuildHasher>,
    /// The paths of their rpcs, parsed once and not for each call.
    paths: Box<[PathAndQuery]>,
}

impl Callbacks {
    /// All that there are.
    #[must_use]
    pub fn all() -> Self {
        Self::new(CALLBACKS, Codec::TABLES)
    }

    #[must_use]
    pub fn new(rows: &'static [Callback], codec: Codec) -> Self {
        let named = |callback: &'static Callback| {
            callback.aliases.iter().chain([&callback.command]).map(move |name| (*name, callback))
        };
        let paths = rows.iter().map(|callback| PathAndQuery::from_static(callback.rpc.path)).collect();
        Self { rows, codec, by_command: rows.iter().flat_map(named).collect(), paths }
    }

    /// The callback of this command, or alias of one.
    #[must_use]
    pub fn find(&self, command: &str) -> Option<&'static Callback> {
        self.by_command.get(command).copied()
    }

    /// The path of the callback's rpc.
    #[must_use]
    pub fn path(&self, callback: &'static Callback) -> PathAndQuery {
        let path = self.index(callback).and_then(|index| self.paths.get(index));
        path.map_or_else(|| PathAndQuery::from_static(callback.rpc.path), Clone::clone)
    }

    /// Where the callback stands among all.
    #[must_use]
    pub fn index(&self, callback: &'static Callback) -> Option<usize> {
        self.rows.element_offset(callback)
    }
}
