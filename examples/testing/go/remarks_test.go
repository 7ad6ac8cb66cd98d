// Package remarks tests the bridge as it is deployed, with the mock in place of the decision service.
package remarks

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

const command = "callbackBeforeSetFriendRemarkCommand"

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

// start has the mock follow these rules, and forget all that was.
func start(t *testing.T, rules string) {
	t.Helper()
	send(t, "POST", mock+"/reset", "", nil)
	send(t, "PUT", mock+"/rules", rules, nil)
}

type told struct {
	NextCode, ErrCode int
	ErrMsg, Remark    string
}

// setRemark sends what OpenIM does when u1 sets the remark of u2, and returns what it is told.
func setRemark(t *testing.T, remark string) (answer told) {
	t.Helper()
	body, err := json.Marshal(map[string]string{
		"callbackCommand": command, "ownerUserID": "u1", "friendUserID": "u2", "remark": remark,
	})
	if err != nil {
		t.Fatal(err)
	}
	send(t, "POST", bridge+"/"+command, string(body), &answer)
	return answer
}

type call struct {
	Callback       string
	OperationID    string `json:"operation_id"`
	Request        struct{ OwnerUserID, FriendUserID, Remark string }
	DeadlineLeftMs int `json:"deadline_left_ms"`
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
	left := asked[0].DeadlineLeftMs
	asked[0].DeadlineLeftMs = 0
	expected := call{Callback: "beforeSetFriendRemark", OperationID: t.Name()}
	expected.Request.OwnerUserID, expected.Request.FriendUserID, expected.Request.Remark = "u1", "u2", " Bob "
	if asked[0] != expected || left <= 0 || left > 4000 {
		t.Errorf("got %+v with %d ms left", asked[0], left)
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
