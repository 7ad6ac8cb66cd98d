package com.example.decision;

import static com.example.decision.Friends.CODE_BLANK;
import static com.example.decision.Friends.CODE_NOT_ALLOWED;
import static com.example.decision.Friends.refuse;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import io.openim.bridge.v1.Allow;
import io.openim.bridge.v1.BeforeSetFriendRemarkResponse;
import io.openim.bridge.v1.ReplaceRemark;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class FriendsTest {
    private final Friends friends = new Friends(Stream.of("# a comment", "spam", "", "Überfall"));

    @ParameterizedTest(name = "{0}")
    @MethodSource("cases")
    void decides(String name, String remark, BeforeSetFriendRemarkResponse expected) {
        assertEquals(expected, friends.decide(remark));
    }

    static Stream<Arguments> cases() {
        var allow = BeforeSetFriendRemarkResponse.newBuilder().setAllow(Allow.getDefaultInstance()).build();
        var alice = BeforeSetFriendRemarkResponse.newBuilder()
                .setReplaceRemark(ReplaceRemark.newBuilder().setRemark("Alice"))
                .build();
        var notAllowed = refuse(CODE_NOT_ALLOWED, "This remark is not allowed");
        return Stream.of(
                arguments("an ordinary remark is allowed", "Alice", allow),
                arguments("an empty remark is allowed", "", allow),
                arguments("space around is trimmed", "\u3000 Alice\n", alice),
                arguments("a no-break space is space", "\u00a0Alice", alice),
                arguments("a control character is not", "\u001cAlice", allow),
                arguments("a blank remark is refused", " \t\u2028", refuse(CODE_BLANK, "A remark cannot be blank")),
                arguments("a listed word is refused", "so much spam", notAllowed),
                arguments("letter case does not matter", "ÜBERFALL", notAllowed),
                arguments("nor does width", "ＳＰＡＭ", notAllowed),
                arguments("nor do combining characters", "U\u0308berfall", notAllowed));
    }
}
