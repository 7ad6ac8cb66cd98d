package main

import (
	"context"
	"encoding/json"

	"google.golang.org/grpc/status"

	bridgev1 "github.com/openim-bridge/openim-bridge/gen/openim/bridge/v1"
)

// contentTypeText is a message of text, whose content is {"content":"the text"}.
const contentTypeText = 101

// messages takes listed words out of text messages. Of the service's other rpcs it implements none: disable their
// callbacks in OpenIM's webhooks.yml.
type messages struct {
	bridgev1.UnimplementedMessageCallbackServiceServer
	words []string
}

func (m *messages) BeforeMsgModify(
	ctx context.Context, request *bridgev1.BeforeMsgModifyRequest,
) (*bridgev1.BeforeMsgModifyResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return modify(request.GetContentType(), request.GetContent(), m.words), nil
}

// modify hides a text that contains a listed word. The other fields of the message stay as they are.
func modify(contentType int32, content string, words []string) *bridgev1.BeforeMsgModifyResponse {
	allow := &bridgev1.BeforeMsgModifyResponse{
		Decision: &bridgev1.BeforeMsgModifyResponse_Allow{Allow: &bridgev1.Allow{}},
	}
	if contentType != contentTypeText {
		return allow
	}
	var fields map[string]json.RawMessage
	var text string
	if json.Unmarshal([]byte(content), &fields) != nil || json.Unmarshal(fields["content"], &text) != nil {
		// The sender's client chose the content, which may be anything.
		return allow
	}
	if !containsAny(text, words) {
		return allow
	}
	fields["content"] = json.RawMessage(`"***"`)
	hidden, err := json.Marshal(fields)
	if err != nil {
		return allow
	}
	changed := string(hidden)
	return &bridgev1.BeforeMsgModifyResponse{
		Decision: &bridgev1.BeforeMsgModifyResponse_Change{
			Change: &bridgev1.BeforeMsgModifyChange{Content: &changed},
		},
	}
}
