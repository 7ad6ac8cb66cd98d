// Package callbacks tests the bridge as it is deployed, with the mock in place of the decision service.
package callbacks

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	bridge = address("BRIDGE_URL", "http://127.0.0.1:10006/callbackExample")
	mock   = address("MOCK_URL", "http://127.0.0.1:50052")
	client = http.Client{Timeout: 30 * time.Second}
)

func address(name, otherwise string) string {
	if url := os.Getenv(name); url != "" {
		return url
	}
	return otherwise
}

// send sends a request that must be answered with 200, and reads the answer into `into`, unless that is nil.
func send(t *testing.T, method, url, body string, into any) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("operationID", t.Name())
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s %s %v", method, url, response.Status, answer, err)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s: %v", answer, err)
		}
	}
}

// start clears the state of the mock, and gives it these rules.
func start(t *testing.T, rules string) {
	t.Helper()
	send(t, "POST", mock+"/reset", "", nil)
	send(t, "PUT", mock+"/rules", rules, nil)
}

type fields map[string]any

type told struct {
	NextCode, ErrCode       int
	ErrMsg, Remark, Content string
}

// callback sends what OpenIM sends, and returns what it is told.
func callback(t *testing.T, command string, sent fields) (answer told) {
	t.Helper()
	sent["callbackCommand"] = command
	body, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	send(t, "POST", bridge+"/"+command, string(body), &answer)
	return answer
}

// setRemark sends what OpenIM sends when u1 sets the remark of u2.
func setRemark(t *testing.T, remark string) told {
	t.Helper()
	sent := fields{"ownerUserID": "u1", "friendUserID": "u2", "remark": remark}
	return callback(t, "callbackBeforeSetFriendRemarkCommand", sent)
}

type call struct {
	Callback       string
	OperationID    string `json:"operation_id"`
	Request        struct{ OwnerUserID, FriendUserID, Remark string }
	DeadlineLeftMs int `json:"deadline_left_ms"`
	Metadata       map[string]string
}

func calls(t *testing.T) []call {
	t.Helper()
	var record struct{ Calls []call }
	send(t, "GET", mock+"/calls", "", &record)
	return record.Calls
}

func TestAReplacedRemarkIsWhatOpenIMStores(t *testing.T) {
	start(t, `rules: [{ when: { friend: u2 }, then: { replace: "Bob" } }]`)
	if answer := setRemark(t, " Bob "); answer.NextCode != 0 || answer.Remark != "Bob" {
		t.Errorf("got %+v", answer)
	}
	asked := calls(t)
	if len(asked) != 1 {
		t.Fatalf("got %+v", asked)
	}
	request := asked[0].Request
	if request.OwnerUserID != "u1" || request.FriendUserID != "u2" || request.Remark != " Bob " {
		t.Errorf("asked about %+v", request)
	}
	if asked[0].Callback != "beforeSetFriendRemark" || asked[0].OperationID != t.Name() {
		t.Errorf("got %+v", asked[0])
	}
	if left := asked[0].DeadlineLeftMs; left <= 0 || left > 4000 {
		t.Errorf("%d ms left", left)
	}
}

func TestTheContentOfAMessageIsChanged(t *testing.T) {
	start(t, `rules:
  - when: { callback: beforeMsgModify, content: { regex: damn } }
    then: { change: { content: '{"content":"****"}' } }`)
	sent := fields{"sendID": "u1", "sessionType": 1, "contentType": 101, "content": `{"content":"damn"}`}
	answer := callback(t, "callbackBeforeMsgModifyCommand", sent)
	if answer.NextCode != 0 || answer.Content != `{"content":"****"}` {
		t.Errorf("got %+v", answer)
	}
}

func TestAReplyThatIsNoDecisionIsLeftToTheFallback(t *testing.T) {
	start(t, `rules: [{ sequence: [{ invalid: unset }, allow] }]`)
	if answer := setRemark(t, "Alice"); answer.NextCode != 1 || answer.ErrCode < 9900 || answer.ErrMsg == "" {
		t.Errorf("got %+v", answer)
	}
	if answer := setRemark(t, "Alice"); answer.NextCode != 0 {
		t.Errorf("got %+v", answer)
	}
}

func TestAnEventIsDeliveredAgainUntilTheServiceTakesIt(t *testing.T) {
	start(t, `rules: [{ when: { callback: afterUserOnline }, sequence: [{ status: UNAVAILABLE }, allow] }]`)
	// OpenIM is answered at once, and the event is delivered in the background.
	if answer := callback(t, "callbackAfterUserOnlineCommand", fields{"userID": "u1"}); answer.ErrCode != 0 {
		t.Errorf("got %+v", answer)
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(calls(t)) < 2 && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	delivered := calls(t)
	if len(delivered) != 2 {
		t.Fatalf("got %+v", delivered)
	}
	first, second := delivered[0].Metadata, delivered[1].Metadata
	if first["attempt"] != "1" || second["attempt"] != "2" || first["callback-id"] != second["callback-id"] {
		t.Errorf("got %v, then %v", first, second)
	}
}
