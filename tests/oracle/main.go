// The oracle: what OpenIM Server itself sends, and what it makes of the answer to a callback.
//
// It sends callbacks through OpenIM's own webhook client and response types, as OpenIM's friend service does before it
// sets a friend's remark; it writes the body of any callback with Go's encoder; and it reads the answer to any callback
// into OpenIM's own struct. It reads calls as JSON lines from standard input, and writes for each one line of JSON with
// what came of it. See main.rs, which compares that with what the bridge meant and with what `send` says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/openimsdk/open-im-server/v3/pkg/callbackstruct"
	"github.com/openimsdk/open-im-server/v3/pkg/common/config"
	"github.com/openimsdk/open-im-server/v3/pkg/common/webhook"
	"github.com/openimsdk/protocol/constant"
	"github.com/openimsdk/tools/errs"
	"github.com/openimsdk/tools/log"
)

// call is a line of input: one to send, unless it says otherwise. The timeout is in seconds, as in webhooks.yml.
type call struct {
	Commands bool      `json:"commands"`
	Body     *bodyCall `json:"body"`
	Read     *readCall `json:"read"`

	URL         string `json:"url"`
	Timeout     int    `json:"timeout"`
	OperationID string `json:"operationID"`
	Owner       string `json:"owner"`
	Friend      string `json:"friend"`
	Remark      string `json:"remark"`
}

// verdict is a line of output. Error is set when OpenIM does not go on: a refusal, or an error of OpenIM's own.
type verdict struct {
	Remark string    `json:"remark"`
	Error  *apiError `json:"error"`
}

// apiError is what OpenIM's API gives its caller. Own tells OpenIM's errors from what the answer said. Text is the whole
// error, for people.
type apiError struct {
	Code   int    `json:"code"`
	Msg    string `json:"msg"`
	Detail string `json:"detail"`
	Own    bool   `json:"own"`
	Text   string `json:"text"`
}

func main() {
	calls, verdicts := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	quiet()
	clients := map[string]*webhook.Client{}
	for {
		var next call
		if err := calls.Decode(&next); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			panic(err)
		}
		if err := verdicts.Encode(answerTo(next, clients)); err != nil {
			panic(err)
		}
	}
}

// answerTo is the line of output for a line of input.
func answerTo(next call, clients map[string]*webhook.Client) any {
	switch {
	case next.Commands:
		commands := []string{}
		for command := range callbacks {
			commands = append(commands, command)
		}
		return commands
	case next.Body != nil:
		return body(*next.Body)
	case next.Read != nil:
		return read(*next.Read)
	}
	if clients[next.URL] == nil {
		clients[next.URL] = webhook.NewWebhookClient(next.URL)
	}
	return send(clients[next.URL], next)
}

// send does what the friend service does; that code is internal to OpenIM's module.
func send(client *webhook.Client, call call) verdict {
	ctx := context.WithValue(context.Background(), constant.OperationID, call.OperationID)
	request := &callbackstruct.CallbackBeforeSetFriendRemarkReq{
		CallbackCommand: callbackstruct.CallbackBeforeSetFriendRemarkCommand,
		OwnerUserID:     call.Owner,
		FriendUserID:    call.Friend,
		Remark:          call.Remark,
	}
	response := &answer{}
	before := &config.BeforeConfig{Enable: true, Timeout: call.Timeout}
	if err := client.SyncPost(ctx, request.GetCallbackCommand(), request, response, before); err != nil {
		return verdict{Error: errorOf(err, !response.refused)}
	}
	if response.Remark != "" {
		return verdict{Remark: response.Remark}
	}
	return verdict{Remark: call.Remark}
}

func errorOf(err error, own bool) *apiError {
	told := &apiError{Own: own, Text: err.Error()}
	var coded errs.CodeError
	if errors.As(err, &coded) {
		told.Code, told.Msg, told.Detail = coded.Code(), coded.Msg(), coded.Detail()
	}
	return told
}

// answer is OpenIM's own, which also knows whether it refused.
type answer struct {
	callbackstruct.CallbackBeforeSetFriendRemarkResp
	refused bool
}

func (a *answer) Parse() error {
	err := a.CallbackBeforeSetFriendRemarkResp.Parse()
	a.refused = err != nil
	return err
}

// quiet keeps OpenIM's log lines, which it writes to standard output, to itself.
func quiet() {
	err := log.InitLoggerFromConfig("oracle", "", "", "", log.LevelFatal, true, false, "", 1, 1, "", false)
	if err != nil {
		panic(err)
	}
}
