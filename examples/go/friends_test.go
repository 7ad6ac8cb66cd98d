package main

import (
	"testing"

	"google.golang.org/protobuf/proto"

	bridgev1 "github.com/openim-bridge/openim-bridge/gen/openim/bridge/v1"
)

func TestDecide(t *testing.T) {
	words := []string{searchable("spam"), searchable("Überfall")}
	allow := &bridgev1.BeforeSetFriendRemarkResponse{
		Decision: &bridgev1.BeforeSetFriendRemarkResponse_Allow{Allow: &bridgev1.Allow{}},
	}
	replace := func(remark string) *bridgev1.BeforeSetFriendRemarkResponse {
		return &bridgev1.BeforeSetFriendRemarkResponse{
			Decision: &bridgev1.BeforeSetFriendRemarkResponse_ReplaceRemark{
				ReplaceRemark: &bridgev1.ReplaceRemark{Remark: remark},
			},
		}
	}
	notAllowed := refuse(codeNotAllowed, "This remark is not allowed")

	for _, test := range []struct {
		name, remark string
		want         *bridgev1.BeforeSetFriendRemarkResponse
	}{
		{"an ordinary remark is allowed", "Alice", allow},
		{"an empty remark is allowed", "", allow},
		{"space around is trimmed", "\u3000 Alice\n", replace("Alice")},
		{"a blank remark is refused", " \t\u2028", refuse(codeBlank, "A remark cannot be blank")},
		{"a listed word is refused", "so much spam", notAllowed},
		{"letter case does not matter", "ÜBERFALL", notAllowed},
		{"nor does width", "ＳＰＡＭ", notAllowed},
		{"nor do combining characters", "U\u0308berfall", notAllowed},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := decide(test.remark, words); !proto.Equal(got, test.want) {
				t.Errorf("decide(%q) = %v, want %v", test.remark, got, test.want)
			}
		})
	}
}
