package main

import (
	"context"
	"testing"

	bridgev1 "github.com/openim-bridge/openim-bridge/gen/openim/bridge/v1"
)

func TestAfterUserOnline(t *testing.T) {
	p := newPresence()
	// Delivered twice, and an older one late.
	for _, time := range []int64{2000, 2000, 1000} {
		request := &bridgev1.AfterUserOnlineRequest{UserId: "u1", TimeMs: time}
		if _, err := p.AfterUserOnline(context.Background(), request); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.lastSeen["u1"]; got != 2000 {
		t.Errorf("last seen at %d, want 2000", got)
	}
}
