"""A change: texts that contain a listed word are hidden."""

import json
from collections.abc import Sequence

import grpc
from openim.bridge.v1 import decision_pb2, message_pb2, message_pb2_grpc

from friends import contains_any

# A message of text, whose content is {"content":"the text"}.
CONTENT_TYPE_TEXT = 101

Decision = message_pb2.BeforeMsgModifyResponse


class Messages(message_pb2_grpc.MessageCallbackServiceServicer):
    """Of the service's other rpcs it implements none: disable their callbacks in OpenIM's webhooks.yml."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = words

    async def BeforeMsgModify(
        self, request: message_pb2.BeforeMsgModifyRequest, context: grpc.aio.ServicerContext
    ) -> Decision:
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED)
        return modify(request.content_type, request.content, self._words)


def modify(content_type: int, content: str, words: Sequence[str]) -> Decision:
    """Hide a text that contains a listed word. The other fields of the message stay as they are."""
    allow = Decision(allow=decision_pb2.Allow())
    if content_type != CONTENT_TYPE_TEXT:
        return allow
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        # The sender's client chose the content, which may be anything.
        return allow
    text = fields.get("content") if isinstance(fields, dict) else None
    if not isinstance(text, str) or not contains_any(text, words):
        return allow
    return Decision(change=message_pb2.BeforeMsgModifyChange(content=json.dumps(fields | {"content": "***"})))
