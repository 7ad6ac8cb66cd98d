// byhand answers OpenIM's callback as one would write it in Go: net/http in front, grpc-go behind.
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

	bridgev1 "github.com/openim-bridge/openim-bridge/examples/go/gen/openim/bridge/v1"
	"github.com/openim-bridge/openim-bridge/bench/contenders/go/internal/sidecar"
)

const command = "callbackBeforeSetFriendRemarkCommand"

type callback struct {
	CallbackCommand string `json:"callbackCommand"`
	OwnerUserID     string `json:"ownerUserID"`
	FriendUserID    string `json:"friendUserID"`
	Remark          string `json:"remark"`
}

type handler struct {
	decisions bridgev1.FriendCallbackServiceClient
	timeout   time.Duration
}

func (h handler) beforeSetFriendRemark(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
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
	var request callback
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, sidecar.MaxBody)).Decode(&request); err != nil {
		if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
			sidecar.Refuse(9904, "the body is too large", "").Write(w, http.StatusRequestEntityTooLarge)
			return
		}
		sidecar.Refuse(9900, "the body is not this callback's JSON", "").Write(w, http.StatusBadRequest)
		return
	}
	if request.CallbackCommand != command {
		sidecar.Refuse(9902, "the body's command is another", "").Write(w, http.StatusBadRequest)
		return
	}
	h.decide(ctx, operationID, request).Write(w, http.StatusOK)
}

func (h handler) decide(ctx context.Context, operationID string, request callback) sidecar.Answer {
	if inMetadata(operationID) {
		ctx = metadata.AppendToOutgoingContext(ctx, "operation-id", operationID)
	}
	reply, err := h.decisions.BeforeSetFriendRemark(ctx, &bridgev1.BeforeSetFriendRemarkRequest{
		OperationId:  strings.ToValidUTF8(operationID, "\ufffd"),
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
	h := handler{decisions: bridgev1.NewFriendCallbackServiceClient(conn), timeout: flags.Timeout}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+sidecar.Path, h.beforeSetFriendRemark)
	return flags.Serve(mux)
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
