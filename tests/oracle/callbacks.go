package main

import (
	"reflect"

	"github.com/openimsdk/open-im-server/v3/pkg/callbackstruct"
)

// shapes are the structs of one callback: what OpenIM sends, and what it decodes the answer into.
type shapes struct {
	request, response reflect.Type
}

func shapesOf[Request, Response any]() shapes {
	return shapes{reflect.TypeFor[Request](), reflect.TypeFor[Response]()}
}

// callbacks are all of OpenIM's, by command, with the structs that its services use for them. No release has the structs
// of five: see newer.go.
var callbacks = map[string]shapes{
	// Friends and the black list.
	callbackstruct.CallbackBeforeSetFriendRemarkCommand: shapesOf[callbackstruct.CallbackBeforeSetFriendRemarkReq, callbackstruct.CallbackBeforeSetFriendRemarkResp](),
	callbackstruct.CallbackAfterSetFriendRemarkCommand:  shapesOf[callbackstruct.CallbackAfterSetFriendRemarkReq, callbackstruct.CallbackAfterSetFriendRemarkResp](),
	callbackstruct.CallbackBeforeAddFriendCommand:       shapesOf[callbackstruct.CallbackBeforeAddFriendReq, callbackstruct.CallbackBeforeAddFriendResp](),
	callbackstruct.CallbackAfterAddFriendCommand:        shapesOf[callbackstruct.CallbackAfterAddFriendReq, callbackstruct.CallbackAfterAddFriendResp](),
	callbackstruct.CallbackBeforeAddFriendAgreeCommand:  shapesOf[callbackstruct.CallbackBeforeAddFriendAgreeReq, callbackstruct.CallbackBeforeAddFriendAgreeResp](),
	callbackstruct.CallbackAfterAddFriendAgreeCommand:   shapesOf[callbackstruct.CallbackAfterAddFriendAgreeReq, callbackstruct.CallbackAfterAddFriendAgreeResp](),
	callbackstruct.CallbackAfterDeleteFriendCommand:     shapesOf[callbackstruct.CallbackAfterDeleteFriendReq, callbackstruct.CallbackAfterDeleteFriendResp](),
	callbackstruct.CallbackBeforeImportFriendsCommand:   shapesOf[callbackstruct.CallbackBeforeImportFriendsReq, callbackstruct.CallbackBeforeImportFriendsResp](),
	callbackstruct.CallbackAfterImportFriendsCommand:    shapesOf[callbackstruct.CallbackAfterImportFriendsReq, callbackstruct.CallbackAfterImportFriendsResp](),
	callbackstruct.CallbackBeforeAddBlackCommand:        shapesOf[callbackstruct.CallbackBeforeAddBlackReq, callbackstruct.CallbackBeforeAddBlackResp](),
	callbackstruct.CallbackAfterRemoveBlackCommand:      shapesOf[callbackstruct.CallbackAfterRemoveBlackReq, callbackstruct.CallbackAfterRemoveBlackResp](),

	// Users.
	callbackstruct.CallbackBeforeUserRegisterCommand:     shapesOf[callbackstruct.CallbackBeforeUserRegisterReq, callbackstruct.CallbackBeforeUserRegisterResp](),
	callbackstruct.CallbackAfterUserRegisterCommand:      shapesOf[callbackstruct.CallbackAfterUserRegisterReq, callbackstruct.CallbackAfterUserRegisterResp](),
	callbackstruct.CallbackBeforeUpdateUserInfoCommand:   shapesOf[callbackstruct.CallbackBeforeUpdateUserInfoReq, callbackstruct.CallbackBeforeUpdateUserInfoResp](),
	callbackstruct.CallbackAfterUpdateUserInfoCommand:    shapesOf[callbackstruct.CallbackAfterUpdateUserInfoReq, callbackstruct.CallbackAfterUpdateUserInfoResp](),
	callbackstruct.CallbackBeforeUpdateUserInfoExCommand: shapesOf[callbackstruct.CallbackBeforeUpdateUserInfoExReq, callbackstruct.CallbackBeforeUpdateUserInfoExResp](),
	callbackstruct.CallbackAfterUpdateUserInfoExCommand:  shapesOf[callbackstruct.CallbackAfterUpdateUserInfoExReq, callbackstruct.CallbackAfterUpdateUserInfoExResp](),
	callbackstruct.CallbackAfterUserOnlineCommand:        shapesOf[callbackstruct.CallbackUserOnlineReq, callbackstruct.CommonCallbackResp](),
	callbackstruct.CallbackAfterUserOfflineCommand:       shapesOf[callbackstruct.CallbackUserOfflineReq, callbackstruct.CallbackUserOfflineResp](),
	callbackstruct.CallbackAfterUserKickOffCommand:       shapesOf[callbackstruct.CallbackUserKickOffReq, callbackstruct.CommonCallbackResp](),

	// Groups.
	callbackstruct.CallbackBeforeCreateGroupCommand:        shapesOf[callbackstruct.CallbackBeforeCreateGroupReq, callbackstruct.CallbackBeforeCreateGroupResp](),
	callbackstruct.CallbackAfterCreateGroupCommand:         shapesOf[callbackstruct.CallbackAfterCreateGroupReq, callbackstruct.CallbackAfterCreateGroupResp](),
	callbackstruct.CallbackBeforeInviteJoinGroupCommand:    shapesOf[callbackstruct.CallbackBeforeInviteUserToGroupReq, callbackstruct.CallbackBeforeInviteUserToGroupResp](),
	callbackstruct.CallbackBeforeJoinGroupCommand:          shapesOf[callbackstruct.CallbackJoinGroupReq, callbackstruct.CallbackJoinGroupResp](),
	callbackstruct.CallbackBeforeMembersJoinGroupCommand:   shapesOf[callbackstruct.CallbackBeforeMembersJoinGroupReq, callbackstruct.CallbackBeforeMembersJoinGroupResp](),
	callbackstruct.CallbackAfterJoinGroupCommand:           shapesOf[callbackstruct.CallbackAfterJoinGroupReq, callbackstruct.CallbackAfterJoinGroupResp](),
	callbackstruct.CallbackBeforeSetGroupMemberInfoCommand: shapesOf[callbackstruct.CallbackBeforeSetGroupMemberInfoReq, callbackstruct.CallbackBeforeSetGroupMemberInfoResp](),
	callbackstruct.CallbackAfterSetGroupMemberInfoCommand:  shapesOf[callbackstruct.CallbackAfterSetGroupMemberInfoReq, callbackstruct.CallbackAfterSetGroupMemberInfoResp](),
	callbackstruct.CallbackAfterQuitGroupCommand:           shapesOf[callbackstruct.CallbackQuitGroupReq, callbackstruct.CallbackQuitGroupResp](),
	callbackstruct.CallbackAfterKickGroupCommand:           shapesOf[callbackstruct.CallbackKillGroupMemberReq, callbackstruct.CallbackKillGroupMemberResp](),
	callbackstruct.CallbackAfterTransferGroupOwnerCommand:  shapesOf[callbackstruct.CallbackTransferGroupOwnerReq, callbackstruct.CallbackTransferGroupOwnerResp](),
	callbackstruct.CallbackAfterDisMissGroupCommand:        shapesOf[callbackstruct.CallbackDisMissGroupReq, callbackstruct.CallbackDisMissGroupResp](),
	callbackstruct.CallbackBeforeSetGroupInfoCommand:       shapesOf[callbackstruct.CallbackBeforeSetGroupInfoReq, callbackstruct.CallbackBeforeSetGroupInfoResp](),
	callbackstruct.CallbackAfterSetGroupInfoCommand:        shapesOf[callbackstruct.CallbackAfterSetGroupInfoReq, callbackstruct.CallbackAfterSetGroupInfoResp](),
	callbackstruct.CallbackBeforeSetGroupInfoExCommand:     shapesOf[callbackstruct.CallbackBeforeSetGroupInfoExReq, callbackstruct.CallbackBeforeSetGroupInfoExResp](),
	callbackstruct.CallbackAfterSetGroupInfoExCommand:      shapesOf[callbackstruct.CallbackAfterSetGroupInfoExReq, callbackstruct.CallbackAfterSetGroupInfoExResp](),

	// Messages.
	callbackstruct.CallbackBeforeSendSingleMsgCommand: shapesOf[callbackstruct.CallbackBeforeSendSingleMsgReq, callbackstruct.CallbackBeforeSendSingleMsgResp](),
	callbackstruct.CallbackAfterSendSingleMsgCommand:  shapesOf[callbackstruct.CallbackAfterSendSingleMsgReq, callbackstruct.CallbackAfterSendSingleMsgResp](),
	callbackstruct.CallbackBeforeSendGroupMsgCommand:  shapesOf[callbackstruct.CallbackBeforeSendGroupMsgReq, callbackstruct.CallbackBeforeSendGroupMsgResp](),
	callbackstruct.CallbackAfterSendGroupMsgCommand:   shapesOf[callbackstruct.CallbackAfterSendGroupMsgReq, callbackstruct.CallbackAfterSendGroupMsgResp](),
	callbackstruct.CallbackBeforeMsgModifyCommand:     shapesOf[callbackstruct.CallbackMsgModifyCommandReq, callbackstruct.CallbackMsgModifyCommandResp](),
	"callbackAfterMsgSaveDBCommand":                   shapesOf[afterMsgSaveDBReq, afterMsgSaveDBResp](),
	callbackstruct.CallbackAfterSingleMsgReadCommand:  shapesOf[callbackstruct.CallbackSingleMsgReadReq, callbackstruct.CallbackSingleMsgReadResp](),
	callbackstruct.CallbackAfterGroupMsgReadCommand:   shapesOf[callbackstruct.CallbackGroupMsgReadReq, callbackstruct.CallbackGroupMsgReadResp](),
	callbackstruct.CallbackAfterRevokeMsgCommand:      shapesOf[callbackstruct.CallbackAfterRevokeMsgReq, callbackstruct.CallbackAfterRevokeMsgResp](),

	// Pushes and conversations.
	callbackstruct.CallbackBeforeOnlinePushCommand:       shapesOf[callbackstruct.CallbackBeforePushReq, callbackstruct.CallbackBeforePushResp](),
	callbackstruct.CallbackBeforeGroupOnlinePushCommand:  shapesOf[callbackstruct.CallbackBeforeSuperGroupOnlinePushReq, callbackstruct.CallbackBeforeSuperGroupOnlinePushResp](),
	callbackstruct.CallbackBeforeOfflinePushCommand:      shapesOf[callbackstruct.CallbackBeforePushReq, callbackstruct.CallbackBeforePushResp](),
	"callbackBeforeCreateSingleChatConversationsCommand": shapesOf[singleChatConversationsReq, beforeCreateConversationsResp](),
	"callbackAfterCreateSingleChatConversationsCommand":  shapesOf[singleChatConversationsReq, afterCreateConversationsResp](),
	"callbackBeforeCreateGroupChatConversationsCommand":  shapesOf[groupChatConversationsReq, beforeCreateConversationsResp](),
	"callbackAfterCreateGroupChatConversationsCommand":   shapesOf[groupChatConversationsReq, afterCreateConversationsResp](),
}
