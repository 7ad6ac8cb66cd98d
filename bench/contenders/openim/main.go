// openim sends callbacks as OpenIM Server does: with its own HTTP client, and with its own types for what is sent and what
// is answered. Each is a remark's, or, with --chat, all that a message between two users causes. Prints one line of JSON.
//
// A module of its own, for what OpenIM Server requires not to decide the versions that the contenders are built with.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/openimsdk/open-im-server/v3/pkg/callbackstruct"
	"github.com/openimsdk/protocol/constant"
	"github.com/openimsdk/tools/utils/httputil"
)

const (
	// OpenIM's default for this callback, in seconds.
	timeout = 5
	// Latencies are kept in microseconds to three digits, up to a little more than the timeout.
	maxLatency = 20_000_000
	digits     = 3
	maxSamples = 3
	// Conversations of --chat.
	pairs = 512
	// Of OpenIM main, which no release has.
	callbackAfterMsgSaveDBCommand = "callbackAfterMsgSaveDBCommand"
)

// result is what is printed.
type result struct {
	Sent    uint64   `json:"sent"`
	Right   uint64   `json:"right"`
	Wrong   uint64   `json:"wrong"`
	Samples []string `json:"samples"`
	// Seconds from the first callback after the warm-up to the last answer.
	Seconds float64 `json:"seconds"`
	// Connections that were opened after the warm-up.
	Connections uint64 `json:"connections"`
	// Latencies in microseconds.
	P50  int64 `json:"p50_us"`
	P99  int64 `json:"p99_us"`
	P999 int64 `json:"p999_us"`
	Max  int64 `json:"max_us"`
}

type openIM struct {
	client      *httputil.HTTPClient
	url         string
	connections atomic.Uint64
}

// right is an answer that lets the user's action go on.
func right() callbackstruct.CommonCallbackResp {
	return callbackstruct.CommonCallbackResp{ErrMsg: "Success"}
}

// answer is what an answer of OpenIM's is decoded to.
type answer interface {
	comparable
	Parse() error
}

// post does what OpenIM Server's webhook client does for one callback, and says what is wrong with the answer.
func post[A answer](o *openIM, n uint64, request callbackstruct.CallbackReq, right A) error {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				o.connections.Add(1)
			}
		},
	})
	headers := map[string]string{constant.OperationID: operationID(n)}
	body, err := o.client.Post(ctx, o.url+"/"+request.GetCallbackCommand(), headers, request, timeout)
	if err != nil {
		return err
	}
	var response A
	if err := json.Unmarshal(body, &response); err != nil {
		return fmt.Errorf("%w: %q", err, body)
	}
	if err := response.Parse(); err != nil {
		return fmt.Errorf("refused: %w", err)
	}
	if response != right {
		return fmt.Errorf("another answer: %s", body)
	}
	return nil
}

// remark sends one callback. How long it took.
func (o *openIM) remark(n uint64) (time.Duration, error) {
	request := callbackstruct.CallbackBeforeSetFriendRemarkReq{
		CallbackCommand: callbackstruct.CallbackBeforeSetFriendRemarkCommand,
		OwnerUserID:     "u1",
		FriendUserID:    "u2",
		Remark:          fmt.Sprintf("remark %d", n),
	}
	sent := time.Now()
	err := post(o, n, &request, callbackstruct.CallbackBeforeSetFriendRemarkResp{
		CommonCallbackResp: right(),
		Remark:             request.Remark,
	})
	return time.Since(sent), err
}

// savedMsg is the request of OpenIM main, which no release has.
type savedMsg struct {
	callbackstruct.CommonCallbackReq
	RecvID  string `json:"recvID"`
	GroupID string `json:"groupID"`
}

// plain is the answer to a callback of which OpenIM reads no more.
type plain struct {
	callbackstruct.CommonCallbackResp
}

// modified has pointers to what is to be changed: nothing is.
type modified = callbackstruct.CallbackMsgModifyCommandResp

// pushed has no more than what can be compared, and no user whom OpenIM would not push to.
type pushed struct {
	callbackstruct.CommonCallbackResp
	UserIDs *json.RawMessage `json:"userIDList"`
}

// chat sends what a message between two users causes, in OpenIM's order: before it is sent, before it is changed, after it
// was sent, after it was stored, before it is pushed. How long the first two took, for which its sender waits.
func (o *openIM) chat(n uint64) (time.Duration, error) {
	// As captured from a real server, but for the users, the IDs and the text.
	pair := n % pairs
	receiver := fmt.Sprintf("receiver%d", pair)
	message := func(command string) callbackstruct.CommonCallbackReq {
		return callbackstruct.CommonCallbackReq{
			CallbackCommand:  command,
			SendID:           fmt.Sprintf("sender%d", pair),
			ServerMsgID:      fmt.Sprintf("ec3395b6e2bb7e8e%016x", n),
			ClientMsgID:      fmt.Sprintf("f3e92d831dd5cec8%016x", n),
			OperationID:      operationID(n),
			SenderPlatformID: constant.WebPlatformID,
			SenderNickname:   "N-u1",
			SessionType:      constant.SingleChatType,
			MsgFrom:          200,
			ContentType:      constant.Text,
			SendTime:         1795982375636,
			CreateTime:       1795982375636,
			Content:          fmt.Sprintf(`{"content":"single %d"}`, n),
		}
	}
	send := message(callbackstruct.CallbackBeforeSendSingleMsgCommand)
	sent := time.Now()
	if err := post(o, n, &callbackstruct.CallbackBeforeSendSingleMsgReq{CommonCallbackReq: send, RecvID: receiver}, plain{right()}); err != nil {
		return 0, err
	}
	modify := message(callbackstruct.CallbackBeforeMsgModifyCommand)
	if err := post(o, n, &callbackstruct.CallbackMsgModifyCommandReq{CommonCallbackReq: modify}, modified{CommonCallbackResp: right()}); err != nil {
		return 0, err
	}
	waited := time.Since(sent)
	told := message(callbackstruct.CallbackAfterSendSingleMsgCommand)
	if err := post(o, n, &callbackstruct.CallbackAfterSendSingleMsgReq{CommonCallbackReq: told, RecvID: receiver}, plain{right()}); err != nil {
		return 0, err
	}
	saved := message(callbackAfterMsgSaveDBCommand)
	saved.Seq = uint32(n)
	if err := post(o, n, &savedMsg{CommonCallbackReq: saved, RecvID: receiver}, plain{right()}); err != nil {
		return 0, err
	}
	push := callbackstruct.CallbackBeforePushReq{
		UserStatusBatchCallbackReq: callbackstruct.UserStatusBatchCallbackReq{
			UserStatusBaseCallback: callbackstruct.UserStatusBaseCallback{
				CallbackCommand: callbackstruct.CallbackBeforeOnlinePushCommand,
				OperationID:     operationID(n),
				PlatformID:      constant.WebPlatformID,
				Platform:        constant.WebPlatformStr,
			},
			UserIDList: []string{receiver},
		},
		ClientMsgID: send.ClientMsgID,
		SendID:      send.SendID,
		ContentType: send.ContentType,
		SessionType: send.SessionType,
		Content:     send.Content,
	}
	return waited, post(o, n, &push, pushed{CommonCallbackResp: right()})
}

func operationID(n uint64) string {
	return fmt.Sprintf("bench-%d", n)
}

// send does so many of one kind, with at most so many under way at one time.
func (o *openIM) send(one func(uint64) (time.Duration, error), callbacks uint64, concurrency int) result {
	var (
		next   atomic.Uint64
		all    sync.WaitGroup
		lock   sync.Mutex
		total  = result{Samples: []string{}}
		merged = hdrhistogram.New(1, maxLatency, digits)
		opened = o.connections.Load()
		each   = make([]*hdrhistogram.Histogram, concurrency)
	)
	// All of them before the first callback: together they are some MB, and the first callbacks would wait for the memory.
	for place := range each {
		each[place] = hdrhistogram.New(1, maxLatency, digits)
	}
	started := time.Now()
	for _, latencies := range each {
		all.Go(func() {
			var right, wrong uint64
			var samples []string
			for n := next.Add(1); n <= callbacks; n = next.Add(1) {
				took, err := one(n)
				if err != nil {
					wrong++
					if len(samples) < maxSamples {
						samples = append(samples, err.Error())
					}
					continue
				}
				right++
				_ = latencies.RecordValue(min(took.Microseconds(), maxLatency)) // within its range
			}
			lock.Lock()
			defer lock.Unlock()
			total.Right += right
			total.Wrong += wrong
			total.Samples = append(total.Samples, samples...)
			merged.Merge(latencies)
		})
	}
	all.Wait()
	total.Seconds = time.Since(started).Seconds()
	total.Sent = total.Right + total.Wrong
	total.Samples = total.Samples[:min(len(total.Samples), maxSamples)]
	total.Connections = o.connections.Load() - opened
	total.P50 = merged.ValueAtQuantile(50)
	total.P99 = merged.ValueAtQuantile(99)
	total.P999 = merged.ValueAtQuantile(99.9)
	total.Max = merged.Max()
	return total
}

func run() error {
	url := flag.String("url", "", "as in webhooks.yml: the command is appended to it; with the command as its end, that is taken off")
	ca := flag.String("ca", "", "PEM `FILE` of the authority to trust, as in the system's roots")
	callbacks := flag.Uint64("callbacks", 10_000, "`N` callbacks to send and measure")
	warmUp := flag.Uint64("warm-up", 0, "`N` callbacks to send before, unmeasured")
	concurrency := flag.Int("concurrency", 64, "`N` callbacks under way at one time")
	wait := flag.Bool("wait", false, "after the warm-up, print a line and wait for one")
	chat := flag.Bool("chat", false, "each of them is a message between two users, with all its callbacks")
	flag.Parse()
	if *url == "" {
		return errors.New("--url is missing")
	}
	if *ca != "" {
		// What Go reads for the system's roots, at its first handshake: OpenIM's client has no setting of its own.
		if err := os.Setenv("SSL_CERT_FILE", *ca); err != nil {
			return err
		}
	}
	o := &openIM{
		client: httputil.NewHTTPClient(httputil.NewClientConfig()),
		url:    strings.TrimSuffix(*url, "/"+callbackstruct.CallbackBeforeSetFriendRemarkCommand),
	}
	one := o.remark
	if *chat {
		one = o.chat
	}
	warm := o.send(one, *warmUp, *concurrency)
	if warm.Wrong > 0 {
		return fmt.Errorf("%d of %d callbacks of the warm-up failed, such as: %s", warm.Wrong, warm.Sent, warm.Samples[0])
	}
	if *wait {
		fmt.Println("warm")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(o.send(one, *callbacks, *concurrency))
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
