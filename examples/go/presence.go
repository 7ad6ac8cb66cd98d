package main

import (
	"context"
	"sync"

	bridgev1 "github.com/openim-bridge/openim-bridge/gen/openim/bridge/v1"
)

// presence keeps when each user was last seen online. OpenIM tells it afterwards, and the bridge delivers it: perhaps
// twice, since it retries, and not always in order. So the latest time counts, whatever comes when.
type presence struct {
	bridgev1.UnimplementedUserCallbackServiceServer
	mu       sync.Mutex
	lastSeen map[string]int64 // Unix milliseconds by user ID. A service of several pods keeps it in a database.
}

func newPresence() *presence {
	return &presence{lastSeen: make(map[string]int64)}
}

func (p *presence) AfterUserOnline(
	_ context.Context, request *bridgev1.AfterUserOnlineRequest,
) (*bridgev1.AfterUserOnlineResponse, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lastSeen[request.GetUserId()] = max(p.lastSeen[request.GetUserId()], request.GetTimeMs())
	// The answer only says that it need not be delivered again.
	return &bridgev1.AfterUserOnlineResponse{}, nil
}
