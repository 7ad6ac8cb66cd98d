//! What docs/zh-CN/callbacks.md says of each callback in Chinese: a row each, in the order of `proto/`.

/// What is said of a callback beside what the registry knows.
pub(crate) struct Row {
    /// The callback's key in webhooks.yml.
    pub name: &'static str,
    /// What it is called in Chinese.
    pub title: &'static str,
    /// Since when it comes: what its English section says under "Versions".
    pub versions: &'static str,
    /// When it comes, and what that means: what the first paragraph of its English section says.
    pub about: &'static str,
    /// What each decision makes OpenIM do, in the order of the response. None for an after callback.
    pub decisions: &'static [&'static str],
}

/// The name of each part, and what an implementer must know of it.
pub(crate) const PARTS: [(&str, &[&str]); 6] = [
    (
        "好友",
        &[
            "好友关系的双方分别存储，其中 owner 指列表会发生变化的那一方。",
            "除非某个 rpc 另有说明，OpenIM 已经确认调用者就是操作者本人或管理员。",
            "after 回调里既没有时间，也没有序号。如何判断先后见 [decision.proto](../../proto/openim/bridge/v1/decision.proto)。",
        ],
    ),
    (
        "用户",
        &[
            "OpenIM 有两个修改资料的接口。SDK 用的是 `update_user_info_ex`，对应名称以 InfoEx 结尾的回调；较旧的 `update_user_info` \
             只能通过 REST 调用。",
            "修改资料时，OpenIM 只给出昵称和头像 URL。这四个回调的 `ex` 从来没有值（即使用户改了它），所以请求里没有这个字段。",
            "在线状态类回调带有可以比较的时间 `time_ms`，其他 after 回调没有。",
            "OpenIM 会把在线状态类回调攒 1 秒再发，并使用自己生成的 operation ID，例如 `p_4242_17`。请求里没有 `connID`：从 v3.8.2 \
             起 OpenIM 不再填写它。",
        ],
    ),
    (
        "群组",
        &[
            "一批成员只触发一次回调；名称以 GroupMemberInfo 结尾的回调则按成员逐个触发。",
            "用户的一个操作可能依次触发多个回调，用户要等它们全部完成。例如建群会依次触发 [beforeCreateGroup](#beforecreategroup)、\
             [beforeMemberJoinGroup](#beforememberjoingroup) 和 \
             [beforeCreateGroupChatConversations](#beforecreategroupchatconversations)。",
            "after 回调里没有可以比较的时间。如何判断先后见 [decision.proto](../../proto/openim/bridge/v1/decision.proto)。",
            "禁言成员、全员禁言和拒绝入群申请都不会触发这些回调。",
        ],
    ),
    (
        "消息",
        &[
            "带有消息的请求，字段 1 到 17 都相同；18 是接收者，19 是群。",
            "每条消息会先后触发两次询问，发送者要等两次都完成：先是 [beforeSendSingleMsg](#beforesendsinglemsg) 或 \
             [beforeSendGroupMsg](#beforesendgroupmsg)，再是 [beforeMsgModify](#beforemsgmodify)。批量发送\
             （`/msg/batch_send_msg`）会逐条询问。",
            "从 v3.6 起，“正在输入”（消息类型 113）不触发回调；在 OpenIM main 上，通知（1000 到 5000）也不触发。OpenIM v3.5 到 v3.8 \
             会为发到群里的通知触发回调：拒绝它，通知就发不出去。从 v3.8.2 起，还可以用 webhooks.yml 的 `deniedTypes` 排除更多消息类型。",
            "消息类型：101 文本，102 图片，103 语音，104 视频，105 文件，106 @ 消息，107 合并转发，108 名片，109 位置，110 自定义，114 引用。\
             你的 App 和更新版本的 OpenIM 还会增加其他类型。",
            "消息的先后有两个依据：`send_time_ms` 是 OpenIM 的时间；seq 是消息在会话中的序号，入库之后才有。",
        ],
    ),
    (
        "推送",
        &[
            "拒绝会永久丢失消息：OpenIM 的 API 已经告诉发送者发送成功，消息也已入库，但 OpenIM 不会把它推给任何设备，不通知任何人，也不会\
             重试。因此，只有你的服务，或针对该回调自己的配置，才会让 openim-bridge 拒绝；服务故障、全局的兜底策略和路由都不会。",
            "OpenIM 也会推送通知（消息类型 1000 到 5000），例如已读回执、撤回、好友和群的变更。针对消息的规则不要影响它们：先看 \
             `content_type`。",
            "在 OpenIM main 上，每个进程只有一个 worker 处理所有推送，并在其中等待响应。一次决策耗时 5 毫秒，每秒就最多推送约 200 条。",
            "“正在输入”（消息类型 113）不触发回调。",
            "三个请求中的字段编号相同。没有 `signalInfo`：OpenIM 没有任何地方用到它。",
        ],
    ),
    (
        "会话",
        &[
            "拒绝会永久丢失消息：会话记录以后也不会再创建，用户看不到这个会话，也拉取不到其中的任何消息，而 OpenIM 的 API \
             已经告诉发送者发送成功。因此，只有你的服务，或针对该回调自己的配置，才会让 openim-bridge 拒绝；服务故障、全局的兜底策略和路由都不会。",
            "请求中的设置（从 `recv_msg_opt` 到 ex）是 OpenIM 即将保存的记录中的值：除非被改写，否则就是 0、false 和空。",
            "after 回调里没有可以比较的时间。如何判断先后见 [decision.proto](../../proto/openim/bridge/v1/decision.proto)。",
        ],
    ),
];

pub(crate) const ROWS: &[Row] = &[
    Row {
        name: "beforeSetFriendRemark",
        title: "设置好友备注前",
        versions: "v3.5.0 起。",
        about: "在 OpenIM 保存用户给好友设置的备注之前询问。只有 REST 接口 `/friend/set_friend_remark` 会触发它；OpenIM 的 SDK \
                调用的是 `/friend/update_friends`，不触发任何回调。此时 OpenIM 尚未做任何校验：调用者是否有权限未知，双方不一定是好友，\
                甚至不一定存在。拒绝则什么都不保存。",
        decisions: &["按用户填写的内容保存备注。", "不保存，并告知用户。", "改为保存另一个备注。"],
    },
    Row {
        name: "afterSetFriendRemark",
        title: "设置好友备注后",
        versions: "v3.5.0 起。",
        about: "通知备注已通过 `/friend/set_friend_remark`（仅 REST）保存。",
        decisions: &[],
    },
    Row {
        name: "beforeAddFriend",
        title: "申请添加好友前",
        versions: "v3.0.0 起。",
        about: "在 OpenIM 保存好友申请之前询问：`/friend/add_friend`，即 SDK 的 AddFriend。此时双方还不会成为好友。OpenIM \
                尚未检查用户是否存在，也未检查双方是否已是好友。拒绝则什么都不保存。不支持改写。",
        decisions: &["保存好友申请。", "不保存，并告知用户。"],
    },
    Row {
        name: "afterAddFriend",
        title: "申请添加好友后",
        versions: "v3.5.0 起。",
        about: "通知好友申请已保存。这不代表双方已成为好友，后者见 [afterAddFriendAgree](#afteraddfriendagree)。",
        decisions: &[],
    },
    Row {
        name: "beforeAddFriendAgree",
        title: "同意好友申请前",
        versions: "v3.5.0 起。",
        about: "在好友申请被同意、双方成为好友之前询问：`/friend/add_friend_response`，即 SDK 的 AcceptFriendApplication。\
                拒绝申请不触发回调。你的服务拒绝后，申请仍然保留。不支持改写。",
        decisions: &["双方成为好友。", "好友申请保持不变，并告知同意申请的用户。"],
    },
    Row {
        name: "afterAddFriendAgree",
        title: "同意好友申请后",
        versions: "v3.8.1 起。",
        about: "通知双方已因同意好友申请而成为好友。",
        decisions: &[],
    },
    Row {
        name: "afterDeleteFriend",
        title: "删除好友后",
        versions: "v3.5.0 起。",
        about: "通知用户删除了好友：`/friend/delete_friend`，即 SDK 的 DeleteFriend。只删除操作者这一方的记录。",
        decisions: &[],
    },
    Row {
        name: "beforeImportFriends",
        title: "导入好友前",
        versions: "v3.5.0 起。",
        about: "在管理员为用户导入好友之前询问：`/friend/import_friend`（仅 REST），此时 OpenIM 的校验已完成。拒绝则一个也不导入。\
                改写会替换好友列表，且不再校验。",
        decisions: &["全部导入。", "一个也不导入，并告知管理员。", "改为导入另一批好友。"],
    },
    Row {
        name: "afterImportFriends",
        title: "导入好友后",
        versions: "v3.5.0 起。",
        about: "通知管理员已为用户导入好友。",
        decisions: &[],
    },
    Row {
        name: "beforeAddBlack",
        title: "加入黑名单前",
        versions: "v3.8.1 起。",
        about: "在用户把另一个用户加入黑名单之前询问：`/friend/add_black`，即 SDK 的 AddBlack。OpenIM 尚未检查用户是否存在。\
                拒绝则什么都不保存。不支持改写。",
        decisions: &["加入黑名单。", "不加入，并告知用户。"],
    },
    Row {
        name: "afterRemoveBlack",
        title: "移出黑名单后",
        versions: "v3.8.1 起。",
        about: "通知用户把另一个用户移出了黑名单：`/friend/remove_black`，即 SDK 的 RemoveBlack。加入黑名单之后没有对应的回调。",
        decisions: &[],
    },
    Row {
        name: "beforeUserRegister",
        title: "注册用户前",
        versions: "v3.5.0 起。",
        about: "在注册用户之前询问：`/user/user_register`（仅 REST，由管理员调用，通常是你的 chat 服务），此时 OpenIM 的校验已完成。\
                拒绝则一个也不注册。改写会替换整个列表，包括用户 ID，且不再校验。",
        decisions: &["全部注册。", "一个也不注册，并告知管理员。", "改为注册另一批用户。"],
    },
    Row {
        name: "afterUserRegister",
        title: "注册用户后",
        versions: "v3.5.0 起。",
        about: "通知用户已注册。",
        decisions: &[],
    },
    Row {
        name: "beforeUpdateUserInfo",
        title: "修改用户资料前（旧接口）",
        versions: "v3.4.0 起。",
        about: "在修改资料之前询问：`/user/update_user_info`（仅 REST，已弃用），此时 OpenIM 已检查调用者的权限。拒绝则什么都不保存。\
                改写也可以设置用户没有要求修改的字段。",
        decisions: &["按请求保存。", "不保存，并告知用户。", "改为保存其他值。"],
    },
    Row {
        name: "afterUpdateUserInfo",
        title: "修改用户资料后（旧接口）",
        versions: "v3.5.0 起。",
        about: "通知资料已通过 `/user/update_user_info` 修改。",
        decisions: &[],
    },
    Row {
        name: "beforeUpdateUserInfoEx",
        title: "修改用户资料前",
        versions: "v3.5.0 起。",
        about: "在修改资料之前询问：`/user/update_user_info_ex`，即 SDK 的 SetSelfInfo，此时 OpenIM 已检查调用者的权限。\
                拒绝则什么都不保存。改写只能设置用户要求修改的字段。如果请求里既没有昵称也没有 `face_url`，说明用户修改的是 OpenIM \
                没有给出的内容，例如 `ex`。",
        decisions: &["按请求保存。", "不保存，并告知用户。", "改为保存其他值。"],
    },
    Row {
        name: "afterUpdateUserInfoEx",
        title: "修改用户资料后",
        versions: "v3.5.0 起。",
        about: "通知资料已通过 `/user/update_user_info_ex` 修改。",
        decisions: &[],
    },
    Row {
        name: "afterUserOnline",
        title: "用户上线后",
        versions: "v3.2.0 起；v3.8.0 和 v3.8.1 从不发送；v3.7.1 及之前每个新连接发送一次。",
        about: "通知用户在某个平台在线。它是心跳，不代表状态有变化：用户的任一连接建立或断开时，OpenIM 会为该用户所有在线的平台各发一次；\
                此外大约每 10 分钟为所有在线用户发送一次。请把 `time_ms` 与同一用户、同一平台上一次的 \
                [afterUserOffline](#afteruseroffline) 比较。",
        decisions: &[],
    },
    Row {
        name: "afterUserOffline",
        title: "用户下线后",
        versions: "v3.2.0 起；v3.8.0 和 v3.8.1 从不发送。",
        about: "通知用户的一个连接已断开，包括被 OpenIM 踢下线的连接。它不代表用户已离线：同一平台的新连接踢掉旧连接时，\
                本回调后到，而下一次 [afterUserOnline](#afteruseronline) 可能要等 10 分钟。请比较 `time_ms`；\
                需要准确结果时，请查询 OpenIM。",
        decisions: &[],
    },
    Row {
        name: "afterUserKickOff",
        title: "用户被踢下线后",
        versions: "只有 v2.3 发送。",
        about: "本应通知用户在某个平台被踢下线。但 OpenIM 的开源第 3 版从不发送它：被踢的连接会触发 \
                [afterUserOffline](#afteruseroffline)。列在这里，是因为 webhooks.yml 里有这个键。",
        decisions: &[],
    },
    Row {
        name: "beforeCreateGroup",
        title: "创建群组前",
        versions: "v3.0.0 起。",
        about: "在创建群之前询问：`/group/create_group`，即 SDK 的 CreateGroup，此时 OpenIM 的校验已完成。拒绝则不创建。\
                随后会为群成员触发 [beforeMemberJoinGroup](#beforememberjoingroup)。",
        decisions: &["创建群。", "不创建，并告知用户。", "以其他设置创建。"],
    },
    Row {
        name: "afterCreateGroup",
        title: "创建群组后",
        versions: "v3.5.0 起。",
        about: "通知群已创建。不会再为群成员触发 [afterJoinGroup](#afterjoingroup)。",
        decisions: &[],
    },
    Row {
        name: "beforeInviteUserToGroup",
        title: "邀请用户入群前",
        versions: "v3.5.0 起。",
        about: "在邀请用户入群之前询问：`/group/invite_user_to_group`，即 SDK 的 InviteUserToGroup，此时 OpenIM 的校验已完成。\
                拒绝则一个也不邀请。不支持改写：OpenIM 会读取响应中的 `refusedMembersAccount`，但不使用它。放行后，被邀请者直接入群\
                （随后触发 [beforeMemberJoinGroup](#beforememberjoingroup)）；如果群的 `need_verification` 为 1 且邀请者是普通成员，\
                则变为入群申请。",
        decisions: &["全部邀请。", "一个也不邀请，并告知邀请者。"],
    },
    Row {
        name: "beforeApplyJoinGroup",
        title: "申请入群前",
        versions: "v3.5.0 起。",
        about: "在用户入群或申请入群之前询问：`/group/join_group`，即 SDK 的 JoinGroup。OpenIM 尚未检查用户是否已是群成员。\
                拒绝则既不产生申请，也不入群。不支持改写。如果入群不需要审批，随后会触发 \
                [beforeMemberJoinGroup](#beforememberjoingroup)。",
        decisions: &["允许用户入群或提交申请。", "不保存申请，也不入群，并告知用户。"],
    },
    Row {
        name: "beforeMemberJoinGroup",
        title: "成员入群前",
        versions: "v3.8.0 起。更早的版本为每个成员发送 `callbackBeforeMemberJoinGroupCommand`，请求体也不同，openim-bridge 不支持。",
        about: "在成员入群之前询问：建群、被邀请、申请被通过或直接入群时都会触发。拒绝则一个也不能入群；如果正在建群，群也不会创建。\
                改写可以设置成员在群里的显示方式和权限，但不能把某个成员挡在外面。建群时改写的昵称会保存，但通知里显示的仍是用户自己的名称。",
        decisions: &["全部入群。", "一个也不入群，并告知用户。", "全部入群，但使用其他成员信息。"],
    },
    Row {
        name: "afterJoinGroup",
        title: "加入群组后",
        versions: "v3.5.0 起。",
        about: "通知用户加入了不需要审批的群：`/group/join_group`，即 SDK 的 JoinGroup。被邀请、申请被通过和建群之后都不触发它。",
        decisions: &[],
    },
    Row {
        name: "beforeSetGroupMemberInfo",
        title: "修改群成员信息前",
        versions: "v3.0.0 起。",
        about: "在修改群成员的群内昵称、头像、角色或 `ex` 之前询问：`/group/set_group_member_info`，即 SDK 的 SetGroupMemberInfo，\
                此时 OpenIM 已检查调用者的权限。一次修改多个成员时，OpenIM 会先逐个询问，再统一保存：拒绝其中一个，所有修改都不保存。\
                改写也可以设置没有要求修改的字段。",
        decisions: &["按请求保存。", "不保存，并告知用户。", "改为保存其他值。"],
    },
    Row {
        name: "afterSetGroupMemberInfo",
        title: "修改群成员信息后",
        versions: "v3.5.0 起。",
        about: "通知群成员的群内昵称、头像、角色或 `ex` 已修改。每个成员一次。",
        decisions: &[],
    },
    Row {
        name: "afterQuitGroup",
        title: "退出群组后",
        versions: "v3.5.0 起。",
        about: "通知成员退出了群：`/group/quit_group`，即 SDK 的 QuitGroup。",
        decisions: &[],
    },
    Row {
        name: "afterKickGroupMember",
        title: "移除群成员后",
        versions: "v3.5.0 起。",
        about: "通知成员被移出了群：`/group/kick_group`，即 SDK 的 KickGroupMember。",
        decisions: &[],
    },
    Row {
        name: "afterTransferGroupOwner",
        title: "转让群主后",
        versions: "v3.5.0 起。",
        about: "通知群有了新群主：`/group/transfer_group`，即 SDK 的 TransferGroupOwner。",
        decisions: &[],
    },
    Row {
        name: "afterDismissGroup",
        title: "解散群组后",
        versions: "v3.5.0 起。",
        about: "通知群已解散：`/group/dismiss_group`，即 SDK 的 DismissGroup。一次解散 OpenIM 可能发送两次，callback ID 不同：\
                第二次在成员移除之后，因此不含成员。",
        decisions: &[],
    },
    Row {
        name: "beforeSetGroupInfo",
        title: "修改群资料前（旧接口）",
        versions: "v3.5.0 起。",
        about: "在修改群资料之前询问：`/group/set_group_info`（仅 REST），此时 OpenIM 已检查调用者的角色。拒绝则什么都不保存。\
                改写也可以设置没有要求修改的字段。",
        decisions: &["按请求保存。", "不保存，并告知用户。", "改为保存其他值。"],
    },
    Row {
        name: "afterSetGroupInfo",
        title: "修改群资料后（旧接口）",
        versions: "v3.5.0 起。",
        about: "通知群资料已通过 `/group/set_group_info` 修改。如果没有任何变化，则不触发。",
        decisions: &[],
    },
    Row {
        name: "beforeSetGroupInfoEx",
        title: "修改群资料前",
        versions: "v3.8.1 起。",
        about: "在修改群资料之前询问：`/group/set_group_info_ex`，即 SDK 的 SetGroupInfo，此时 OpenIM 已检查调用者的角色。\
                拒绝则什么都不保存。改写也可以设置没有要求修改的字段。",
        decisions: &["按请求保存。", "不保存，并告知用户。", "改为保存其他值。"],
    },
    Row {
        name: "afterSetGroupInfoEx",
        title: "修改群资料后",
        versions: "v3.8.1 起。",
        about: "通知群资料已通过 `/group/set_group_info_ex` 修改。如果没有任何变化，则不触发。",
        decisions: &[],
    },
    Row {
        name: "beforeSendSingleMsg",
        title: "发送单聊消息前",
        versions: "v3.0.0 起。",
        about: "在用户向另一个用户发送消息之前询问，无论来自 SDK 还是 REST。OpenIM 已确认调用者是发送者本人或管理员。从 v3.8.2 起，\
                黑名单和好友关系在此之后才检查。发送者在 OpenIM 的 `imAdminUser.userIDs` 中时不询问。拒绝则消息既不入库也不投递，\
                发送者的调用失败；但 `/msg/batch_send_msg` 只会把接收者列入 failedUserIDs。不支持改写，改写见 \
                [beforeMsgModify](#beforemsgmodify)。",
        decisions: &["发送消息。", "不发送，并告知发送者。"],
    },
    Row {
        name: "afterSendSingleMsg",
        title: "发送单聊消息后",
        versions: "v3.0.0 起。如果 webhooks.yml 的 `attentionIds` 不为空，OpenIM main 只为其中列出的接收者发送。",
        about: "通知 OpenIM 已接受一条单聊消息。此时消息刚进入队列，尚未入库，也未投递。请比较 `send_time_ms`。",
        decisions: &[],
    },
    Row {
        name: "beforeSendGroupMsg",
        title: "发送群消息前",
        versions: "v3.0.0 起。",
        about: "在向群发送消息之前询问，无论来自 SDK 还是 REST，整个群只询问一次。OpenIM 已确认发送者是群成员且未被禁言。\
                与 [beforeSendSingleMsg](#beforesendsinglemsg) 不同，发送者在 `imAdminUser.userIDs` 中时也会询问。\
                拒绝则消息既不入库也不投递，发送者的调用失败。不支持改写，改写见 [beforeMsgModify](#beforemsgmodify)。",
        decisions: &["发送消息。", "不发送，并告知发送者。"],
    },
    Row {
        name: "afterSendGroupMsg",
        title: "发送群消息后",
        versions: "v3.0.0 起。webhooks.yml 中的 `attentionIds` 请留空：OpenIM 用它与接收者比较，而群消息没有接收者，结果一条也不发送。",
        about: "通知 OpenIM 已接受一条群消息。此时消息刚进入队列，尚未入库，也未投递。请比较 `send_time_ms`。",
        decisions: &[],
    },
    Row {
        name: "beforeMsgModify",
        title: "修改消息前",
        versions: "v3.0.0 起，只针对文本（101）。OpenIM main 对所有消息类型都发送。",
        about: "询问是否要改写一条单聊或群聊消息：此时所有校验都已完成，OpenIM 即将把消息放入队列。OpenIM 不会给出接收者是谁或是哪个群。\
                拒绝则消息既不入库也不投递，发送者的调用失败。",
        decisions: &["原样发送。", "不发送，并告知发送者。", "改为发送另一条消息。"],
    },
    Row {
        name: "afterMsgSaveDB",
        title: "消息入库后",
        versions: "仅 OpenIM main：还没有任何发布版本包含它。",
        about: "通知 OpenIM 已把消息写入数据库。写入失败时也会触发。请在同一会话内比较 seq。",
        decisions: &[],
    },
    Row {
        name: "afterSingleMsgRead",
        title: "单聊消息已读后",
        versions: "v3.7.0 起。",
        about: "通知用户已读消息：任意会话（包括群聊）中的 `/msg/mark_msgs_as_read`，以及单聊中的 \
                `/msg/mark_conversation_as_read`。请比较 seqs 中的最大值。",
        decisions: &[],
    },
    Row {
        name: "afterGroupMsgRead",
        title: "群消息已读后",
        versions: "v3.7.0 起。v3.8.1 及之前，单聊也会触发。",
        about: "通知用户已读某个群的会话：`/msg/mark_conversation_as_read`。OpenIM 不会给出是哪个群。",
        decisions: &[],
    },
    Row {
        name: "afterRevokeMsg",
        title: "撤回消息后",
        versions: "v3.5.0 起。",
        about: "通知消息已撤回：`/msg/revoke_msg`，单聊和群聊都有。虽然命令中写着 before，它仍是 after 回调。请在同一会话内比较 seq。",
        decisions: &[],
    },
    Row {
        name: "beforeOnlinePush",
        title: "单聊在线推送前",
        versions: "v3.0.0 起；v3.5.0 到 v3.8.1 几乎总是跳过它。",
        about: "在把发给某个用户的消息或通知推送到其在线设备之前询问。发送者的其他设备也会收到，所以发送者也在接收者之中。\
                拒绝则消息到不了任何设备：既没有在线推送，也没有离线推送。不支持改写：OpenIM 会读取响应中的 `userIDList` 和 \
                `offlinePushInfo`，但不使用它们。",
        decisions: &["推送消息。", "在线和离线推送都不做。不通知任何人，OpenIM 也不会重试。"],
    },
    Row {
        name: "beforeGroupOnlinePush",
        title: "群聊在线推送前",
        versions: "v3.0.0 起；v3.5.0 忽略改写。",
        about: "在把发到群里的消息或通知推送出去之前询问，整个群只询问一次。拒绝则它到不了任何成员的任何设备：既没有在线推送，也没有离线推送。\
                改写会替换接收者。",
        decisions: &[
            "推送给所有成员。",
            "不推送给任何人，在线和离线都不推。不通知任何人，OpenIM 也不会重试。",
            "改为推送给另一批接收者。",
        ],
    },
    Row {
        name: "beforeOfflinePush",
        title: "离线推送前",
        versions: "v3.0.0 起；对单聊消息，v3.5 和 v3.6 忽略改写后的接收者。",
        about: "消息或通知没能在线送达某些接收者、即将通过推送厂商发送之前询问。每条消息一次；群聊则一次包含所有这些接收者。\
                拒绝则不做离线推送。改写会替换接收者或推送文案。",
        decisions: &["推送消息。", "不推送。不通知任何人，OpenIM 也不会重试。", "推送给另一批接收者，或使用其他文案。"],
    },
    Row {
        name: "beforeCreateSingleChatConversations",
        title: "创建单聊会话前",
        versions: "OpenIM main。",
        about: "在创建两个用户之间、或用户与系统账号之间的会话之前询问：由第一条消息触发。对两个用户，OpenIM 会发送两次，callback ID \
                不同，两次给出的都是发送者的记录：对第一次的改写对双方都生效，对第二次的改写不生效。拒绝第一次，双方都没有会话；\
                拒绝第二次，接收者没有会话。",
        decisions: &["创建会话。", "以后也不会创建。用户会丢失其中的消息，且没有任何提示。", "以其他设置创建。"],
    },
    Row {
        name: "afterCreateSingleChatConversations",
        title: "创建单聊会话后",
        versions: "OpenIM main。",
        about: "通知 OpenIM 已为用户创建会话，双方各一次。写入失败时也会触发。",
        decisions: &[],
    },
    Row {
        name: "beforeCreateGroupChatConversations",
        title: "创建群聊会话前",
        versions: "OpenIM main。",
        about: "在为成员创建群会话之前询问：第一条消息，以及每次有成员入群时触发。这些成员只询问一次，OpenIM 不会给出他们是谁。\
                拒绝则他们都没有这个会话。如果发生在直接入群或申请被通过之后，拒绝还会让用户的调用失败，尽管成员已经入库。",
        decisions: &["创建会话。", "以后也不会创建。这些成员会丢失其中的消息，且没有任何提示。", "以其他设置创建。"],
    },
    Row {
        name: "afterCreateGroupChatConversations",
        title: "创建群聊会话后",
        versions: "OpenIM main。",
        about: "通知 OpenIM 已为群的部分成员创建会话。OpenIM 不会给出是哪些成员。",
        decisions: &[],
    },
];
