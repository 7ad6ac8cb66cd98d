// byhand answers those of OpenIM's callbacks that the benchmark sends, as one would write it in Go: net/http in front,
// grpc-go behind.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"mime"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/openim-bridge/openim-bridge/bench/contenders/go/internal/sidecar"
	bridgev1 "github.com/openim-bridge/openim-bridge/gen/openim/bridge/v1"
)

type handler struct {
	friends  bridgev1.FriendCallbackServiceClient
	messages bridgev1.MessageCallbackServiceClient
	pushes   bridgev1.PushCallbackServiceClient
	groups   bridgev1.GroupCallbackServiceClient
}

// handle serves a callback: it checks a request, decodes its body, and writes the answer that it has from answer.
func handle[B body](mux *http.ServeMux, timeout time.Duration, command string, answer func(context.Context, string, B) any) {
	mux.HandleFunc("POST "+sidecar.Folder+command, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()

		operationID := r.Header.Get("operationID")
		if operationID == "" {
			sidecar.Refuse(9903, "operationID is missing", "").Write(w, http.StatusBadRequest)
			return
		}
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			sidecar.Refuse(9905, "the content type must be application/json", "").Write(w, http.StatusUnsupportedMediaType)
			return
		}
		var request B
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, sidecar.MaxBody)).Decode(&request); err != nil {
			if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
				sidecar.Refuse(9904, "the body is too large", "").Write(w, http.StatusRequestEntityTooLarge)
				return
			}
			sidecar.Refuse(9900, "the body is not this callback's JSON", "").Write(w, http.StatusBadRequest)
			return
		}
		if request.command() != command {
			sidecar.Refuse(9902, "the body's command is another", "").Write(w, http.StatusBadRequest)
			return
		}
		if inMetadata(operationID) {
			ctx = metadata.AppendToOutgoingContext(ctx, "operation-id", operationID)
		}
		sidecar.Write(w, http.StatusOK, answer(ctx, strings.ToValidUTF8(operationID, "\ufffd"), request))
	})
}

func (h handler) beforeSetFriendRemark(ctx context.Context, operationID string, request friendRemark) any {
	reply, err := h.friends.BeforeSetFriendRemark(ctx, &bridgev1.BeforeSetFriendRemarkRequest{
		OperationId:  operationID,
		OwnerUserId:  request.OwnerUserID,
		FriendUserId: request.FriendUserID,
		Remark:       request.Remark,
	})
	if err != nil {
		return sidecar.Fallback(status.Code(err))
	}
	switch decision := reply.Decision.(type) {
	case *bridgev1.BeforeSetFriendRemarkResponse_Allow:
		return friendRemarkAnswer{Answer: sidecar.Allow(), Remark: request.Remark}
	case *bridgev1.BeforeSetFriendRemarkResponse_ReplaceRemark:
		return friendRemarkAnswer{Answer: sidecar.Allow(), Remark: decision.ReplaceRemark.GetRemark()}
	case *bridgev1.BeforeSetFriendRemarkResponse_Refuse:
		return refuse(decision.Refuse)
	default:
		return invalidReply()
	}
}

func (h handler) beforeSendSingleMsg(ctx context.Context, operationID string, request singleMsg) any {
	reply, err := h.messages.BeforeSendSingleMsg(ctx, &bridgev1.BeforeSendSingleMsgRequest{
		OperationId:      operationID,
		SenderUserId:     request.SendID,
		ServerMsgId:      request.ServerMsgID,
		ClientMsgId:      request.ClientMsgID,
		SenderPlatformId: bridgev1.Platform(request.SenderPlatformID),
		SenderNickname:   request.SenderNickname,
		SessionType:      bridgev1.SessionType(request.SessionType),
		MsgFrom:          request.MsgFrom,
		ContentType:      request.ContentType,
		Status:           request.Status,
		SendTimeMs:       request.SendTime,
		CreateTimeMs:     request.CreateTime,
		Content:          request.Content,
		Seq:              request.Seq,
		AtUserIds:        request.AtUserIDs,
		SenderFaceUrl:    request.FaceURL,
		Ex:               request.Ex,
		ReceiverUserId:   request.RecvID,
	})
	if err != nil {
		return sidecar.Fallback(status.Code(err))
	}
	switch decision := reply.Decision.(type) {
	case *bridgev1.BeforeSendSingleMsgResponse_Allow:
		return sidecar.Allow()
	case *bridgev1.BeforeSendSingleMsgResponse_Refuse:
		return refuse(decision.Refuse)
	default:
		return invalidReply()
	}
}

func (h handler) beforeMsgModify(ctx context.Context, operationID string, request message) any {
	reply, err := h.messages.BeforeMsgModify(ctx, &bridgev1.BeforeMsgModifyRequest{
		OperationId:      operationID,
		SenderUserId:     request.SendID,
		ServerMsgId:      request.ServerMsgID,
		ClientMsgId:      request.ClientMsgID,
		SenderPlatformId: bridgev1.Platform(request.SenderPlatformID),
		SenderNickname:   request.SenderNickname,
		SessionType:      bridgev1.SessionType(request.SessionType),
		MsgFrom:          request.MsgFrom,
		ContentType:      request.ContentType,
		Status:           request.Status,
		SendTimeMs:       request.SendTime,
		CreateTimeMs:     request.CreateTime,
		Content:          request.Content,
		Seq:              request.Seq,
		AtUserIds:        request.AtUserIDs,
		SenderFaceUrl:    request.FaceURL,
		Ex:               request.Ex,
	})
	if err != nil {
		return sidecar.Fallback(status.Code(err))
	}
	switch decision := reply.Decision.(type) {
	case *bridgev1.BeforeMsgModifyResponse_Allow:
		return sidecar.Allow()
	case *bridgev1.BeforeMsgModifyResponse_Change:
		change := decision.Change
		return msgModifyAnswer{
			Answer:           sidecar.Allow(),
			Content:          change.Content,
			RecvID:           change.RedirectToUserId,
			GroupID:          change.RedirectToGroupId,
			SenderPlatformID: (*int32)(change.SenderPlatformId),
			SenderNickname:   change.SenderNickname,
			SenderFaceURL:    change.SenderFaceUrl,
			ContentType:      change.ContentType,
			AtUserIDs:        change.AtUserIds.GetValues(),
			AttachedInfo:     change.AttachedInfo,
			Ex:               change.Ex,
		}
	case *bridgev1.BeforeMsgModifyResponse_Refuse:
		return refuse(decision.Refuse)
	default:
		return invalidReply()
	}
}

func (h handler) beforeOnlinePush(ctx context.Context, operationID string, request onlinePush) any {
	reply, err := h.pushes.BeforeOnlinePush(ctx, &bridgev1.BeforeOnlinePushRequest{
		OperationId:        operationID,
		SenderPlatformId:   bridgev1.Platform(request.PlatformID),
		SenderPlatformName: request.Platform,
		ReceiverUserIds:    request.UserIDs,
		ClientMsgId:        request.ClientMsgID,
		SenderUserId:       request.SendID,
		GroupId:            request.GroupID,
		SessionType:        bridgev1.SessionType(request.SessionType),
		ContentType:        request.ContentType,
		AtUserIds:          request.AtUserIDs,
		Content:            request.Content,
	})
	if err != nil {
		return sidecar.Fallback(status.Code(err))
	}
	switch decision := reply.Decision.(type) {
	case *bridgev1.BeforeOnlinePushResponse_Allow:
		return sidecar.Allow()
	case *bridgev1.BeforeOnlinePushResponse_Refuse:
		return refuse(decision.Refuse)
	default:
		return invalidReply()
	}
}

func (h handler) beforeSetGroupInfoEx(ctx context.Context, operationID string, request setGroupInfo) any {
	reply, err := h.groups.BeforeSetGroupInfoEx(ctx, &bridgev1.BeforeSetGroupInfoExRequest{
		OperationId:       operationID,
		GroupId:           request.GroupID,
		GroupName:         request.GroupName,
		Notification:      request.Notification,
		Introduction:      request.Introduction,
		FaceUrl:           request.FaceURL,
		Ex:                request.Ex,
		NeedVerification:  request.NeedVerification,
		LookMemberInfo:    request.LookMemberInfo,
		ApplyMemberFriend: request.ApplyMemberFriend,
	})
	if err != nil {
		return sidecar.Fallback(status.Code(err))
	}
	answer := setGroupInfoAnswer{Answer: sidecar.Allow(), groupInfo: request.groupInfo}
	switch decision := reply.Decision.(type) {
	case *bridgev1.BeforeSetGroupInfoExResponse_Allow:
	case *bridgev1.BeforeSetGroupInfoExResponse_Change:
		change := decision.Change
		replace(&answer.GroupName, change.GroupName)
		replace(&answer.Introduction, change.Introduction)
		replace(&answer.FaceURL, change.FaceUrl)
		replace(&answer.Ex, change.Ex)
		replace(&answer.NeedVerification, change.NeedVerification)
		replace(&answer.LookMemberInfo, change.LookMemberInfo)
		replace(&answer.ApplyMemberFriend, change.ApplyMemberFriend)
	case *bridgev1.BeforeSetGroupInfoExResponse_Refuse:
		return refuse(decision.Refuse)
	default:
		return invalidReply()
	}
	return answer
}

// replace puts in what a change sets.
func replace[T any](old **T, changed *T) {
	if changed != nil {
		*old = changed
	}
}

func refuse(refusal *bridgev1.Refuse) sidecar.Answer {
	return sidecar.Refuse(refusal.GetCode(), refusal.GetMessage(), refusal.GetDetail())
}

func invalidReply() sidecar.Answer {
	return sidecar.Refuse(9925, "The service is busy, please try again later", "")
}

func (h handler) afterSendSingleMsg(ctx context.Context, operationID string, event singleMsg) any {
	_, err := h.messages.AfterSendSingleMsg(ctx, &bridgev1.AfterSendSingleMsgRequest{
		OperationId:      operationID,
		SenderUserId:     event.SendID,
		ServerMsgId:      event.ServerMsgID,
		ClientMsgId:      event.ClientMsgID,
		SenderPlatformId: bridgev1.Platform(event.SenderPlatformID),
		SenderNickname:   event.SenderNickname,
		SessionType:      bridgev1.SessionType(event.SessionType),
		MsgFrom:          event.MsgFrom,
		ContentType:      event.ContentType,
		Status:           event.Status,
		SendTimeMs:       event.SendTime,
		CreateTimeMs:     event.CreateTime,
		Content:          event.Content,
		Seq:              event.Seq,
		AtUserIds:        event.AtUserIDs,
		SenderFaceUrl:    event.FaceURL,
		Ex:               event.Ex,
		ReceiverUserId:   event.RecvID,
	})
	return told(err)
}

func (h handler) afterSendGroupMsg(ctx context.Context, operationID string, event groupMsg) any {
	_, err := h.messages.AfterSendGroupMsg(ctx, &bridgev1.AfterSendGroupMsgRequest{
		OperationId:      operationID,
		SenderUserId:     event.SendID,
		ServerMsgId:      event.ServerMsgID,
		ClientMsgId:      event.ClientMsgID,
		SenderPlatformId: bridgev1.Platform(event.SenderPlatformID),
		SenderNickname:   event.SenderNickname,
		SessionType:      bridgev1.SessionType(event.SessionType),
		MsgFrom:          event.MsgFrom,
		ContentType:      event.ContentType,
		Status:           event.Status,
		SendTimeMs:       event.SendTime,
		CreateTimeMs:     event.CreateTime,
		Content:          event.Content,
		Seq:              event.Seq,
		AtUserIds:        event.AtUserIDs,
		SenderFaceUrl:    event.FaceURL,
		Ex:               event.Ex,
		GroupId:          event.GroupID,
	})
	return told(err)
}

func (h handler) afterMsgSaveDB(ctx context.Context, operationID string, event savedMsg) any {
	_, err := h.messages.AfterMsgSaveDB(ctx, &bridgev1.AfterMsgSaveDBRequest{
		OperationId:      operationID,
		SenderUserId:     event.SendID,
		ServerMsgId:      event.ServerMsgID,
		ClientMsgId:      event.ClientMsgID,
		SenderPlatformId: bridgev1.Platform(event.SenderPlatformID),
		SenderNickname:   event.SenderNickname,
		SessionType:      bridgev1.SessionType(event.SessionType),
		MsgFrom:          event.MsgFrom,
		ContentType:      event.ContentType,
		Status:           event.Status,
		SendTimeMs:       event.SendTime,
		CreateTimeMs:     event.CreateTime,
		Content:          event.Content,
		Seq:              event.Seq,
		AtUserIds:        event.AtUserIDs,
		SenderFaceUrl:    event.FaceURL,
		Ex:               event.Ex,
		ReceiverUserId:   event.RecvID,
		GroupId:          event.GroupID,
	})
	return told(err)
}

// told is the answer to an after callback, which OpenIM has once the service was told.
func told(err error) sidecar.Answer {
	if err != nil {
		return sidecar.Fallback(status.Code(err))
	}
	return sidecar.Allow()
}

// inMetadata tells whether gRPC takes it as a value of metadata.
func inMetadata(value string) bool {
	if len(value) > 256 {
		return false
	}
	for i := range len(value) {
		if value[i] < ' ' || value[i] > '~' {
			return false
		}
	}
	return true
}

func run() error {
	flags, err := sidecar.Parse()
	if err != nil {
		return err
	}
	conn, err := flags.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	h := handler{
		friends:  bridgev1.NewFriendCallbackServiceClient(conn),
		messages: bridgev1.NewMessageCallbackServiceClient(conn),
		pushes:   bridgev1.NewPushCallbackServiceClient(conn),
		groups:   bridgev1.NewGroupCallbackServiceClient(conn),
	}
	mux := http.NewServeMux()
	handle(mux, flags.Timeout, "callbackBeforeSetFriendRemarkCommand", h.beforeSetFriendRemark)
	handle(mux, flags.Timeout, "callbackBeforeSendSingleMsgCommand", h.beforeSendSingleMsg)
	handle(mux, flags.Timeout, "callbackBeforeMsgModifyCommand", h.beforeMsgModify)
	handle(mux, flags.Timeout, "callbackBeforeOnlinePushCommand", h.beforeOnlinePush)
	handle(mux, flags.Timeout, "callbackBeforeSetGroupInfoExCommand", h.beforeSetGroupInfoEx)
	handle(mux, flags.Timeout, "callbackAfterSendSingleMsgCommand", h.afterSendSingleMsg)
	handle(mux, flags.Timeout, "callbackAfterSendGroupMsgCommand", h.afterSendGroupMsg)
	handle(mux, flags.Timeout, "callbackAfterMsgSaveDBCommand", h.afterMsgSaveDB)
	return flags.Serve(mux)
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
