package main

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
