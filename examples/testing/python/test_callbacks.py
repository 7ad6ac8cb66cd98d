"""The bridge as it is deployed, with the mock in place of the decision service."""

import json
import os
import time
from urllib.request import Request, urlopen

import pytest

BRIDGE = os.environ.get("BRIDGE_URL", "http://127.0.0.1:10006/callbackExample")
MOCK = os.environ.get("MOCK_URL", "http://127.0.0.1:50052")


def http(method, url, body=None, **headers):
    data = None if body is None else body.encode()
    with urlopen(Request(url, data, headers, method=method), timeout=30) as answer:
        return answer.read().decode()


def callback(command, operation="op-1", **fields):
    """Sends what OpenIM sends, and returns what it is told."""
    headers = {"Content-Type": "application/json", "operationID": operation}
    body = json.dumps({"callbackCommand": command, **fields})
    return json.loads(http("POST", f"{BRIDGE}/{command}", body, **headers))


def set_remark(remark, operation="op-1"):
    """What OpenIM sends when u1 sets the remark of u2."""
    command = "callbackBeforeSetFriendRemarkCommand"
    return callback(command, operation, ownerUserID="u1", friendUserID="u2", remark=remark)


def text(content):
    """The fields of a text message from u1 to u2. Its content is JSON in a string."""
    content = json.dumps({"content": content})
    return {"sendID": "u1", "recvID": "u2", "sessionType": 1, "contentType": 101, "content": content}


def rules(*rules):
    http("PUT", f"{MOCK}/rules", json.dumps({"rules": rules}))


def calls():
    return json.loads(http("GET", f"{MOCK}/calls"))["calls"]


@pytest.fixture(autouse=True)
def fresh_mock():
    http("POST", f"{MOCK}/reset")


def test_a_refusal_reaches_the_user_with_its_code_and_text():
    banned = {"callback": "beforeSendSingleMsg", "content": {"regex": "(?i)casino"}}
    rules({"when": banned, "then": {"refuse": {"code": 5001, "message": "No ads"}}})
    refused = callback("callbackBeforeSendSingleMsgCommand", **text("best CASINO"))
    assert (refused["nextCode"], refused["errCode"], refused["errMsg"]) == (1, 5001, "No ads")
    assert callback("callbackBeforeSendSingleMsgCommand", **text("hello"))["nextCode"] == 0


def test_the_content_of_a_message_is_changed():
    stars = json.dumps({"content": "****"})
    banned = {"callback": "beforeMsgModify", "content": {"regex": "damn"}}
    rules({"when": banned, "then": {"change": {"content": stars}}})
    changed = callback("callbackBeforeMsgModifyCommand", **text("damn"))
    assert (changed["nextCode"], changed["content"]) == (0, stars)


def test_the_decision_service_is_asked_about_what_the_user_typed():
    set_remark(" Bob ", operation="op-7")
    [call] = calls()
    assert (call["callback"], call["operation_id"]) == ("beforeSetFriendRemark", "op-7")
    assert call["request"] == {"ownerUserID": "u1", "friendUserID": "u2", "remark": " Bob "}
    assert 0 < call["deadline_left_ms"] <= 4000
    assert call["answer"] == "allow"


def test_a_call_that_fails_twice_is_retried_once_and_then_the_fallback_decides():
    down = {"status": "UNAVAILABLE"}
    rules({"sequence": [down, down, "allow"]})
    assert 9900 <= set_remark("Alice")["errCode"] <= 9999
    assert set_remark("Alice")["nextCode"] == 0
    assert [call["answer"] for call in calls()] == [down, down, "allow"]


def test_an_event_is_delivered_again_until_the_service_takes_it():
    rules({"when": {"callback": "afterSendSingleMsg"}, "sequence": [{"status": "UNAVAILABLE"}, "allow"]})
    # OpenIM is answered at once, and the event is delivered in the background.
    assert callback("callbackAfterSendSingleMsgCommand", **text("hello"))["errCode"] == 0
    deadline = time.monotonic() + 10
    while len(calls()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    first, second = (call["metadata"] for call in calls())
    assert (first["attempt"], second["attempt"]) == ("1", "2")
    assert first["callback-id"] == second["callback-id"]
