import unittest
from unittest import mock

from openim.bridge.v1 import user_pb2

from presence import Presence


class AfterUserOnline(unittest.IsolatedAsyncioTestCase):
    async def test_the_latest_time_counts(self) -> None:
        presence = Presence()
        # Delivered twice, and an older one late.
        for time in (2000, 2000, 1000):
            await presence.AfterUserOnline(user_pb2.AfterUserOnlineRequest(user_id="u1", time_ms=time), mock.Mock())
        self.assertEqual(presence.last_seen, {"u1": 2000})


if __name__ == "__main__":
    unittest.main()
