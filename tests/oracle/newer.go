package main

import "github.com/openimsdk/open-im-server/v3/pkg/callbackstruct"

// The structs of callbacks that only OpenIM's main branch sends. They have the fields that are there in July 2026, in the
// same order, under the same names in JSON. Remove them when a release has them.

type afterMsgSaveDBReq struct {
	callbackstruct.CommonCallbackReq
	RecvID  string `json:"recvID"`
	GroupID string `json:"groupID"`
}

type afterMsgSaveDBResp struct {
	callbackstruct.CommonCallbackResp
}

type singleChatConversationsReq struct {
	callbackstruct.CallbackCommand `json:"callbackCommand"`
	OwnerUserID                    string `json:"ownerUserId"`
	ConversationID                 string `json:"conversationId"`
	ConversationType               int32  `json:"conversationType"`
	UserID                         string `json:"userId"`
	RecvMsgOpt                     int32  `json:"recvMsgOpt"`
	IsPinned                       bool   `json:"isPinned"`
	IsPrivateChat                  bool   `json:"isPrivateChat"`
	BurnDuration                   int32  `json:"burnDuration"`
	GroupAtType                    int32  `json:"groupAtType"`
	AttachedInfo                   string `json:"attachedInfo"`
	Ex                             string `json:"ex"`
}

type groupChatConversationsReq struct {
	callbackstruct.CallbackCommand `json:"callbackCommand"`
	OwnerUserID                    string `json:"ownerUserId"`
	ConversationID                 string `json:"conversationId"`
	ConversationType               int32  `json:"conversationType"`
	GroupID                        string `json:"groupId"`
	RecvMsgOpt                     int32  `json:"recvMsgOpt"`
	IsPinned                       bool   `json:"isPinned"`
	IsPrivateChat                  bool   `json:"isPrivateChat"`
	BurnDuration                   int32  `json:"burnDuration"`
	GroupAtType                    int32  `json:"groupAtType"`
	AttachedInfo                   string `json:"attachedInfo"`
	Ex                             string `json:"ex"`
}

type beforeCreateConversationsResp struct {
	callbackstruct.CommonCallbackResp
	RecvMsgOpt    *int32  `json:"recvMsgOpt"`
	IsPinned      *bool   `json:"isPinned"`
	IsPrivateChat *bool   `json:"isPrivateChat"`
	BurnDuration  *int32  `json:"burnDuration"`
	GroupAtType   *int32  `json:"groupAtType"`
	AttachedInfo  *string `json:"attachedInfo"`
	Ex            *string `json:"ex"`
}

type afterCreateConversationsResp struct {
	callbackstruct.CommonCallbackResp
}
