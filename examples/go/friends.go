package main

import (
	"context"
	"os"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/grpc/status"

	bridgev1 "github.com/openim-bridge/openim-bridge/gen/openim/bridge/v1"
)

// The service's own codes, of the 5000 to 9899 that are free for it.
const (
	codeNotAllowed = 5001
	codeBlank      = 5002
)

type friends struct {
	bridgev1.UnimplementedFriendCallbackServiceServer
	words []string
}

func (f *friends) BeforeSetFriendRemark(
	ctx context.Context, request *bridgev1.BeforeSetFriendRemarkRequest,
) (*bridgev1.BeforeSetFriendRemarkResponse, error) {
	// Past its deadline, or cancelled: nobody reads the answer. Pass ctx to all that the rule waits for, such as a
	// database, so that it ends with the call too.
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	return decide(request.GetRemark(), f.words), nil
}

// decide is the rule. The remark alone decides, so a call that is repeated gets the same answer.
func decide(remark string, words []string) *bridgev1.BeforeSetFriendRemarkResponse {
	if containsAny(remark, words) {
		return refuse(codeNotAllowed, "This remark is not allowed")
	}
	// TrimSpace trims what has Unicode's property White_Space.
	switch trimmed := strings.TrimSpace(remark); trimmed {
	case remark:
		// Also the empty remark, which removes the one that was set.
		return &bridgev1.BeforeSetFriendRemarkResponse{
			Decision: &bridgev1.BeforeSetFriendRemarkResponse_Allow{Allow: &bridgev1.Allow{}},
		}
	case "":
		// It cannot be replaced: an empty replacement is an invalid reply.
		return refuse(codeBlank, "A remark cannot be blank")
	default:
		return &bridgev1.BeforeSetFriendRemarkResponse{
			Decision: &bridgev1.BeforeSetFriendRemarkResponse_ReplaceRemark{
				ReplaceRemark: &bridgev1.ReplaceRemark{Remark: trimmed},
			},
		}
	}
}

func refuse(code int32, message string) *bridgev1.BeforeSetFriendRemarkResponse {
	return &bridgev1.BeforeSetFriendRemarkResponse{
		Decision: &bridgev1.BeforeSetFriendRemarkResponse_Refuse{
			Refuse: &bridgev1.Refuse{Code: code, Message: message},
		},
	}
}

func containsAny(text string, words []string) bool {
	text = searchable(text)
	return slices.ContainsFunc(words, func(word string) bool { return strings.Contains(text, word) })
}

// searchable makes ＳＰＡＭ, Spam and spam equal: compatibility characters taken apart (NFKD), each character in lower
// case, and put together again (NFKC), so that a word is not found in half of a Hangul syllable. Case folding proper
// (ß and ss) and letters that merely look alike are left out.
func searchable(text string) string {
	return norm.NFKC.String(strings.ToLower(norm.NFKD.String(text)))
}

func readWords(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var words []string
	for line := range strings.Lines(string(text)) {
		if word := strings.TrimSpace(line); word != "" && !strings.HasPrefix(word, "#") {
			words = append(words, searchable(word))
		}
	}
	return words, nil
}
