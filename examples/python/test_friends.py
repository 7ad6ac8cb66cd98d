import unittest

from openim.bridge.v1 import decision_pb2

from friends import CODE_BLANK, CODE_NOT_ALLOWED, Decision, decide, refuse, searchable

WORDS = [searchable("spam"), searchable("Überfall")]
ALLOW = Decision(allow=decision_pb2.Allow())
NOT_ALLOWED = refuse(CODE_NOT_ALLOWED, "This remark is not allowed")


class Decide(unittest.TestCase):
    def test_decides(self) -> None:
        for name, remark, expected in (
            ("an ordinary remark is allowed", "Alice", ALLOW),
            ("an empty remark is allowed", "", ALLOW),
            ("space around is trimmed", "\u3000 Alice\n", Decision(replace_remark={"remark": "Alice"})),
            ("a control character is not space", "\x1cAlice", ALLOW),
            ("a blank remark is refused", " \t\u2028", refuse(CODE_BLANK, "A remark cannot be blank")),
            ("a listed word is refused", "so much spam", NOT_ALLOWED),
            ("letter case does not matter", "ÜBERFALL", NOT_ALLOWED),
            ("nor does width", "ＳＰＡＭ", NOT_ALLOWED),
            ("nor do combining characters", "U\u0308berfall", NOT_ALLOWED),
        ):
            with self.subTest(name):
                self.assertEqual(decide(remark, WORDS), expected)


if __name__ == "__main__":
    unittest.main()
