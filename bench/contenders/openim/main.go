// openim sends callbacks as OpenIM Server does: with its own HTTP client, and with its own types for what is sent and what
// is answered. Prints one line of JSON.
//
// A module of its own, for what OpenIM Server requires not to decide the versions that the contenders are built with.
package main

import (
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

// callback does what OpenIM Server's webhook client does for one, and says what is wrong with the answer.
func (o *openIM) callback(n uint64) error {
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				o.connections.Add(1)
			}
		},
	})
	request := callbackstruct.CallbackBeforeSetFriendRemarkReq{
		CallbackCommand: callbackstruct.CallbackBeforeSetFriendRemarkCommand,
		OwnerUserID:     "u1",
		FriendUserID:    "u2",
		Remark:          fmt.Sprintf("remark %d", n),
	}
	headers := map[string]string{constant.OperationID: fmt.Sprintf("bench-%d", n)}
	body, err := o.client.Post(ctx, o.url+"/"+request.GetCallbackCommand(), headers, request, timeout)
	if err != nil {
		return err
	}
	var response callbackstruct.CallbackBeforeSetFriendRemarkResp
	if err := json.Unmarshal(body, &response); err != nil {
		return fmt.Errorf("%w: %q", err, body)
	}
	if err := response.Parse(); err != nil {
		return fmt.Errorf("refused: %w", err)
	}
	right := callbackstruct.CallbackBeforeSetFriendRemarkResp{
		CommonCallbackResp: callbackstruct.CommonCallbackResp{ErrMsg: "Success"},
		Remark:             request.Remark,
	}
	if response != right {
		return fmt.Errorf("another answer: %s", body)
	}
	return nil
}

// send sends so many callbacks, with at most so many under way at one time.
func (o *openIM) send(callbacks uint64, concurrency int) result {
	var (
		next    atomic.Uint64
		all     sync.WaitGroup
		lock    sync.Mutex
		total   = result{Samples: []string{}}
		merged  = hdrhistogram.New(1, maxLatency, digits)
		opened  = o.connections.Load()
		started = time.Now()
	)
	for range concurrency {
		all.Go(func() {
			latencies := hdrhistogram.New(1, maxLatency, digits)
			var right, wrong uint64
			var samples []string
			for n := next.Add(1); n <= callbacks; n = next.Add(1) {
				sent := time.Now()
				err := o.callback(n)
				latency := min(time.Since(sent).Microseconds(), maxLatency)
				if err != nil {
					wrong++
					if len(samples) < maxSamples {
						samples = append(samples, err.Error())
					}
					continue
				}
				right++
				_ = latencies.RecordValue(latency) // within its range
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
	if warm := o.send(*warmUp, *concurrency); warm.Wrong > 0 {
		return fmt.Errorf("%d of %d callbacks of the warm-up failed, such as: %s", warm.Wrong, warm.Sent, warm.Samples[0])
	}
	return json.NewEncoder(os.Stdout).Encode(o.send(*callbacks, *concurrency))
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
