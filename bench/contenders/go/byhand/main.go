// byhand answers OpenIM's callbacks, a decision's and two that only tell of a message, as one would write it in Go: net/http in front, grpc-go behind.
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
	bridgev1 "github.com/openim-bridge/openim-bridge/examples/go/gen/openim/bridge/v1"
)

type handler struct {
	decisions bridgev1.FriendCallbackServiceClient
	messages  bridgev1.MessageCallbackServiceClient
}

// handle serves a callback: it checks a request, decodes its body, and writes the answer that it has from answer.
func handle[B body](mux *http.ServeMux, timeout time.Duration, command string, answer func(context.Context, string, B) sidecar.Answer) {
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
		answer(ctx, strings.ToValidUTF8(operationID, "\ufffd"), request).Write(w, http.StatusOK)
	})
}

func (h handler) beforeSetFriendRemark(ctx context.Context, operationID string, request friendRemark) sidecar.Answer {
	reply, err := h.decisions.BeforeSetFriendRemark(ctx, &bridgev1.BeforeSetFriendRemarkRequest{
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
		return sidecar.Allow(request.Remark)
	case *bridgev1.BeforeSetFriendRemarkResponse_ReplaceRemark:
		return sidecar.Allow(decision.ReplaceRemark.GetRemark())
	case *bridgev1.BeforeSetFriendRemarkResponse_Refuse:
		refusal := decision.Refuse
		return sidecar.Refuse(refusal.GetCode(), refusal.GetMessage(), refusal.GetDetail())
	default:
		return sidecar.Refuse(9925, "The service is busy, please try again later", "")
	}
}

func (h handler) afterSendSingleMsg(ctx context.Context, operationID string, event singleMsg) sidecar.Answer {
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

func (h handler) afterSendGroupMsg(ctx context.Context, operationID string, event groupMsg) sidecar.Answer {
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

// told is the answer to an after callback, which OpenIM has once the service was told.
func told(err error) sidecar.Answer {
	if err != nil {
		return sidecar.Fallback(status.Code(err))
	}
	return sidecar.Allow("")
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
	h := handler{decisions: bridgev1.NewFriendCallbackServiceClient(conn), messages: bridgev1.NewMessageCallbackServiceClient(conn)}
	mux := http.NewServeMux()
	handle(mux, flags.Timeout, "callbackBeforeSetFriendRemarkCommand", h.beforeSetFriendRemark)
	handle(mux, flags.Timeout, "callbackAfterSendSingleMsgCommand", h.afterSendSingleMsg)
	handle(mux, flags.Timeout, "callbackAfterSendGroupMsgCommand", h.afterSendGroupMsg)
	return flags.Serve(mux)
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
