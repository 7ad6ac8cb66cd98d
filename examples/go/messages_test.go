package main

import "testing"

func TestModify(t *testing.T) {
	words := []string{searchable("spam")}
	for _, test := range []struct {
		name        string
		contentType int32
		content     string
		want        string // Empty: allowed as it is.
	}{
		{"an ordinary text is allowed", 101, `{"content":"hi"}`, ""},
		{"a listed word is hidden", 101, `{"content":"so much ＳＰＡＭ"}`, `{"content":"***"}`},
		{"what else is in it stays", 101, `{"content":"spam","x":{"y":1}}`, `{"content":"***","x":{"y":1}}`},
		{"a picture is allowed", 102, `{"content":"spam"}`, ""},
		{"so is what is no JSON", 101, `spam`, ""},
		{"and what has no text", 101, `{"content":["spam"]}`, ""},
		{"or is null", 101, `null`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := modify(test.contentType, test.content, words)
			if got.GetChange().GetContent() != test.want || (got.GetAllow() == nil) != (test.want != "") {
				t.Errorf("modify(%q) = %v, want %q", test.content, got, test.want)
			}
		})
	}
}
