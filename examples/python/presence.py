"""An after callback: when each user was last seen online."""

import grpc
from openim.bridge.v1 import user_pb2, user_pb2_grpc


class Presence(user_pb2_grpc.UserCallbackServiceServicer):
    """OpenIM tells it afterwards, and the bridge delivers it: perhaps twice, since it retries, and not always in order.

    So the latest time counts, whatever comes when.
    """

    def __init__(self) -> None:
        # Unix milliseconds by user ID. A service of several pods keeps it in a database.
        self.last_seen: dict[str, int] = {}

    async def AfterUserOnline(
        self, request: user_pb2.AfterUserOnlineRequest, _context: grpc.aio.ServicerContext
    ) -> user_pb2.AfterUserOnlineResponse:
        self.last_seen[request.user_id] = max(self.last_seen.get(request.user_id, 0), request.time_ms)
        # The answer only says that it need not be delivered again.
        return user_pb2.AfterUserOnlineResponse()
