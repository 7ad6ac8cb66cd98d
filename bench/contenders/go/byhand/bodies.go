package main

import "github.com/openim-bridge/openim-bridge/bench/contenders/go/internal/sidecar"

// body is that of a callback.
type body interface{ command() string }

type head struct {
	CallbackCommand string `json:"callbackCommand"`
}

func (h head) command() string { return h.CallbackCommand }

type friendRemark struct {
	head
	OwnerUserID  string `json:"ownerUserID"`
	FriendUserID string `json:"friendUserID"`
	Remark       string `json:"remark"`
}

type friendRemarkAnswer struct {
	sidecar.Answer
	Remark string `json:"remark"`
}

// message is what OpenIM tells of every message.
type message struct {
	head
	SendID           string   `json:"sendID"`
	ServerMsgID      string   `json:"serverMsgID"`
	ClientMsgID      string   `json:"clientMsgID"`
	SenderPlatformID int32    `json:"senderPlatformID"`
	SenderNickname   string   `json:"senderNickname"`
	SessionType      int32    `json:"sessionType"`
	MsgFrom          int32    `json:"msgFrom"`
	ContentType      int32    `json:"contentType"`
	Status           int32    `json:"status"`
	SendTime         int64    `json:"sendTime"`
	CreateTime       int64    `json:"createTime"`
	Content          string   `json:"content"`
	Seq              uint32   `json:"seq"`
	AtUserIDs        []string `json:"atUserList"`
	FaceURL          string   `json:"faceURL"`
	Ex               string   `json:"ex"`
}

type singleMsg struct {
	message
	RecvID string `json:"recvID"`
}

type groupMsg struct {
	message
	GroupID string `json:"groupID"`
}

type savedMsg struct {
	message
	RecvID  string `json:"recvID"`
	GroupID string `json:"groupID"`
}

// msgModifyAnswer changes what is set.
type msgModifyAnswer struct {
	sidecar.Answer
	Content          *string  `json:"content,omitempty"`
	RecvID           *string  `json:"recvID,omitempty"`
	GroupID          *string  `json:"groupID,omitempty"`
	SenderPlatformID *int32   `json:"senderPlatformID,omitempty"`
	SenderNickname   *string  `json:"senderNickname,omitempty"`
	SenderFaceURL    *string  `json:"senderFaceURL,omitempty"`
	ContentType      *int32   `json:"contentType,omitempty"`
	AtUserIDs        []string `json:"atUserIDList,omitempty"`
	AttachedInfo     *string  `json:"attachedInfo,omitempty"`
	Ex               *string  `json:"ex,omitempty"`
}

type onlinePush struct {
	head
	PlatformID  int32    `json:"platformID"`
	Platform    string   `json:"platform"`
	UserIDs     []string `json:"userIDList"`
	ClientMsgID string   `json:"clientMsgID"`
	SendID      string   `json:"sendID"`
	GroupID     string   `json:"groupID"`
	ContentType int32    `json:"contentType"`
	SessionType int32    `json:"sessionType"`
	AtUserIDs   []string `json:"atUserIDList"`
	Content     string   `json:"content"`
}

// groupInfo has what OpenIM also reads from an answer; what is not to be changed is null.
type groupInfo struct {
	GroupID           string  `json:"groupID"`
	GroupName         *string `json:"groupName"`
	Introduction      *string `json:"introduction"`
	FaceURL           *string `json:"faceURL"`
	Ex                *string `json:"ex"`
	NeedVerification  *int32  `json:"needVerification"`
	LookMemberInfo    *int32  `json:"lookMemberInfo"`
	ApplyMemberFriend *int32  `json:"applyMemberFriend"`
}

type setGroupInfo struct {
	head
	groupInfo
	Notification *string `json:"notification"`
}

type setGroupInfoAnswer struct {
	sidecar.Answer
	groupInfo
}
