import unittest

from openim.bridge.v1 import decision_pb2

from friends import searchable
from messages import Decision, modify

WORDS = [searchable("spam")]
ALLOW = Decision(allow=decision_pb2.Allow())


class Modify(unittest.TestCase):
    def test_modifies(self) -> None:
        for name, content_type, content, expected in (
            ("an ordinary text is allowed", 101, '{"content":"hi"}', None),
            ("a listed word is hidden", 101, '{"content":"so much ＳＰＡＭ"}', '{"content": "***"}'),
            ("what else is in it stays", 101, '{"content":"spam","x":[1]}', '{"content": "***", "x": [1]}'),
            ("a picture is allowed", 102, '{"content":"spam"}', None),
            ("so is what is no JSON", 101, "spam", None),
            ("and what has no text", 101, '{"content":["spam"]}', None),
            ("or is null", 101, "null", None),
            ("or is too deep", 101, "[" * 100_000, None),
        ):
            with self.subTest(name):
                changed = Decision(change={"content": expected}) if expected else ALLOW
                self.assertEqual(modify(content_type, content, WORDS), changed)


if __name__ == "__main__":
    unittest.main()
