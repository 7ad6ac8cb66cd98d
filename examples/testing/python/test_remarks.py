"""The bridge as it is deployed, with the mock in place of the decision service."""

import json
import os
from urllib.request import Request, urlopen

import pytest

BRIDGE = os.environ.get("BRIDGE_URL", "http://127.0.0.1:10006/callbackExample")
MOCK = os.environ.get("MOCK_URL", "http://127.0.0.1:50052")
COMMAND = "callbackBeforeSetFriendRemarkCommand"


def http(method, url, body=None, **headers):
    data = None if body is None else body.encode()
    with urlopen(Request(url, data, headers, method=method), timeout=30) as answer:
        return answer.read().decode()


def set_remark(remark, operation="op-1"):
    """What OpenIM sends when u1 sets the remark of u2; returns what it is told."""
    body = {"callbackCommand": COMMAND, "ownerUserID": "u1", "friendUserID": "u2", "remark": remark}
    headers = {"Content-Type": "application/json", "operationID": operation}
    return json.loads(http("POST", f"{BRIDGE}/{COMMAND}", json.dumps(body), **headers))


def rules(*rules):
    http("PUT", f"{MOCK}/rules", json.dumps({"rules": rules}))


def calls():
    return json.loads(http("GET", f"{MOCK}/calls"))["calls"]


@pytest.fixture(autouse=True)
def fresh_mock():
    http("POST", f"{MOCK}/reset")


def test_a_refusal_reaches_the_user_with_its_code_and_text():
    rules({"when": {"remark": {"regex": "(?i)spam"}}, "then": {"refuse": {"code": 5001, "message": "No spam"}}})
    refused = set_remark("so much SPAM")
    assert (refused["nextCode"], refused["errCode"], refused["errMsg"]) == (1, 5001, "No spam")
    assert set_remark("Alice")["nextCode"] == 0


def test_the_decision_service_is_asked_about_what_the_user_typed():
    set_remark(" Bob ", operation="op-7")
    [call] = calls()
    assert (call["callback"], call["operation_id"]) == ("beforeSetFriendRemark", "op-7")
    assert call["request"] == {"ownerUserID": "u1", "friendUserID": "u2", "remark": " Bob "}
    assert 0 < call["deadline_left_ms"] <= 4000
    assert call["answer"] == "allow"


def test_a_service_that_is_down_for_a_while_is_asked_again_and_then_the_fallback_decides():
    down = {"status": "UNAVAILABLE"}
    rules({"sequence": [down, down, "allow"]})
    assert 9900 <= set_remark("Alice")["errCode"] <= 9999
    assert set_remark("Alice")["nextCode"] == 0
    assert [call["answer"] for call in calls()] == [down, down, "allow"]
