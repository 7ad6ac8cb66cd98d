"""The rule: remarks that contain a listed word are refused, the others trimmed."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import grpc
from openim.bridge.v1 import decision_pb2, friend_pb2, friend_pb2_grpc

# The service's own codes, of the 5000 to 9899 that are free for it.
CODE_NOT_ALLOWED = 5001
CODE_BLANK = 5002

# Unicode's property White_Space. A bare strip() also takes U+001C to U+001F.
WHITE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

Decision = friend_pb2.BeforeSetFriendRemarkResponse


class Friends(friend_pb2_grpc.FriendCallbackServiceServicer):
    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    async def BeforeSetFriendRemark(
        self, request: friend_pb2.BeforeSetFriendRemarkRequest, context: grpc.aio.ServicerContext
    ) -> Decision:
        # Past its deadline: nobody reads the answer. What the rule awaits, such as a database, ends with the call too:
        # gRPC cancels this task.
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED)
        return decide(request.remark, self._words)


def decide(remark: str, words: Sequence[str]) -> Decision:
    """Decide by the remark alone, so that a call that is repeated gets the same answer."""
    if contains_any(remark, words):
        return refuse(CODE_NOT_ALLOWED, "This remark is not allowed")
    trimmed = remark.strip(WHITE_SPACE)
    if trimmed == remark:
        # Also the empty remark, which removes the one that was set.
        return Decision(allow=decision_pb2.Allow())
    if not trimmed:
        # It cannot be replaced: an empty replacement is an invalid reply.
        return refuse(CODE_BLANK, "A remark cannot be blank")
    return Decision(replace_remark=friend_pb2.ReplaceRemark(remark=trimmed))


def refuse(code: int, message: str) -> Decision:
    return Decision(refuse=decision_pb2.Refuse(code=code, message=message))


def contains_any(text: str, words: Sequence[str]) -> bool:
    text = searchable(text)
    return any(word in text for word in words)


def searchable(text: str) -> str:
    """Make ＳＰＡＭ, Spam and spam equal.

    Compatibility characters are taken apart (NFKD), each character is put in lower case, and all is put together again
    (NFKC), so that a word is not found in half of a Hangul syllable. Case folding proper (ß and ss) and letters that
    merely look alike are left out.
    """
    lower = "".join(map(str.lower, unicodedata.normalize("NFKD", text)))
    return unicodedata.normalize("NFKC", lower)


def read_words(path: Path) -> list[str]:
    lines = (line.strip(WHITE_SPACE) for line in path.read_text(encoding="utf-8").split("\n"))
    return [searchable(line) for line in lines if line and not line.startswith("#")]
