// queue tells of after callbacks as OpenIM Server does: each user's call puts its event into the queue of OpenIM's own
// webhook client (100 places, 2 workers), which its workers send. Prints one line of JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/openimsdk/open-im-server/v3/pkg/callbackstruct"
	"github.com/openimsdk/open-im-server/v3/pkg/common/config"
	"github.com/openimsdk/open-im-server/v3/pkg/common/webhook"
	"github.com/openimsdk/protocol/constant"
	openimlog "github.com/openimsdk/tools/log"
	"github.com/openimsdk/tools/mcontext"
	"github.com/openimsdk/tools/mq/memamq"
)

const (
	// OpenIM's own, which its client does not export: webhook/http_client.go.
	workers = 2
	places  = 100
	// OpenIM's default for these callbacks, in seconds.
	timeout = 5
	// A call that takes so long has waited for a place. Much less is what the scheduler of a busy machine takes.
	waiting = 20 * time.Millisecond
)

// result is what is printed.
type result struct {
	// Calls of users, of which each has one event.
	Calls uint64 `json:"calls"`
	// Events whose request was answered, and the answer was one that OpenIM takes for a success.
	Accepted uint64 `json:"accepted"`
	// Calls that waited for a place in the queue, and the longest.
	Waited      uint64  `json:"waited"`
	LongestWait float64 `json:"longest_wait_ms"`
	// From the first call to the last answer.
	AcceptedIn float64 `json:"accepted_in_s"`
}

type tally struct {
	accepted, waited atomic.Uint64
	// Nanoseconds: of the longest wait, and from the first call to the last answer.
	longest, last atomic.Int64
	began         time.Time
}

// accept counts an answer.
func (t *tally) accept() {
	t.accepted.Add(1)
	raise(&t.last, time.Since(t.began))
}

// push counts how long a call took to hand over its event.
func (t *tally) push(took time.Duration) {
	if took >= waiting {
		t.waited.Add(1)
	}
	raise(&t.longest, took)
}

func raise(most *atomic.Int64, to time.Duration) {
	for {
		old := most.Load()
		if int64(to) <= old || most.CompareAndSwap(old, int64(to)) {
			return
		}
	}
}

// answer is OpenIM's own, which also counts when it is read.
type answer struct {
	callbackstruct.CommonCallbackResp
	tally *tally
}

func (a *answer) Parse() error {
	err := a.CommonCallbackResp.Parse()
	if err == nil {
		a.tally.accept()
	}
	return err
}

// event is the number-th: as captured from a real server, but for its conversation and its IDs. Every other one is of a
// group.
func event(number, keys uint64) callbackstruct.CallbackReq {
	pair := number % keys
	common := callbackstruct.CommonCallbackReq{
		SendID:           fmt.Sprintf("sender%d", pair),
		ServerMsgID:      fmt.Sprintf("ec3395b6e2bb7e8e%016x", number),
		ClientMsgID:      fmt.Sprintf("event-%d", number),
		OperationID:      operationID(number),
		SenderPlatformID: constant.WebPlatformID,
		SenderNickname:   "N-u1",
		MsgFrom:          200,
		ContentType:      constant.Text,
		SendTime:         1795982375636,
		CreateTime:       1795982375636,
		Content:          `{"content":"single one"}`,
	}
	if pair%2 == 0 {
		common.CallbackCommand = callbackstruct.CallbackAfterSendSingleMsgCommand
		common.SessionType = constant.SingleChatType
		return &callbackstruct.CallbackAfterSendSingleMsgReq{CommonCallbackReq: common, RecvID: fmt.Sprintf("receiver%d", pair)}
	}
	common.CallbackCommand = callbackstruct.CallbackAfterSendGroupMsgCommand
	common.SessionType = constant.ReadGroupChatType
	return &callbackstruct.CallbackAfterSendGroupMsgReq{CommonCallbackReq: common, GroupID: fmt.Sprintf("group%d", pair)}
}

func operationID(number uint64) string {
	return fmt.Sprintf("bench-%d", number)
}

// tell has so many users' calls a second, whatever becomes of those before, until each event is sent or lost.
func tell(url string, events, keys uint64, rate float64) result {
	queue := memamq.NewMemoryQueue(workers, places)
	client := webhook.NewWebhookClient(url, queue)
	after := &config.AfterConfig{Enable: true, Timeout: timeout}
	every := time.Duration(float64(time.Second) / rate)
	count := &tally{began: time.Now()}
	var calls sync.WaitGroup
	for number := range events {
		time.Sleep(time.Until(count.began.Add(time.Duration(number) * every)))
		calls.Go(func() {
			ctx := mcontext.SetOperationID(context.Background(), operationID(number))
			request := event(number, keys)
			pushed := time.Now()
			client.AsyncPost(ctx, request.GetCallbackCommand(), request, &answer{tally: count}, after)
			count.push(time.Since(pushed))
		})
	}
	calls.Wait()
	queue.Stop()
	return result{
		Calls:       events,
		Accepted:    count.accepted.Load(),
		Waited:      count.waited.Load(),
		LongestWait: float64(count.longest.Load()) / 1e6,
		AcceptedIn:  time.Duration(count.last.Load()).Seconds(),
	}
}

func run() error {
	url := flag.String("url", "", "as in webhooks.yml: the command is appended to it")
	events := flag.Uint64("events", 5_000, "`N` users' calls, each with an event")
	keys := flag.Uint64("keys", 1_000, "`N` conversations, every other one of a group")
	rate := flag.Float64("rate", 3_000, "`N` calls a second")
	flag.Parse()
	if *url == "" || *keys == 0 || *rate <= 0 {
		return errors.New("--url is missing, or --keys or --rate is 0")
	}
	// OpenIM logs twice for each callback. What that costs is not what is measured.
	if err := openimlog.InitLoggerFromConfig("queue", "", "", "", openimlog.LevelFatal, true, false, "", 1, 1, "", false); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(tell(*url, *events, *keys, *rate))
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
