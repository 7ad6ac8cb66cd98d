package com.example.decision;

import io.grpc.Context;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;
import io.openim.bridge.v1.Allow;
import io.openim.bridge.v1.BeforeSetFriendRemarkRequest;
import io.openim.bridge.v1.BeforeSetFriendRemarkResponse;
import io.openim.bridge.v1.FriendCallbackServiceGrpc.FriendCallbackServiceImplBase;
import io.openim.bridge.v1.Refuse;
import io.openim.bridge.v1.ReplaceRemark;
import java.text.Normalizer;
import java.util.List;
import java.util.stream.Stream;

/** The rule: remarks that contain a listed word are refused, the others trimmed. */
final class Friends extends FriendCallbackServiceImplBase {
    /** The service's own codes, of the 5000 to 9899 that are free for it. */
    static final int CODE_NOT_ALLOWED = 5001;

    static final int CODE_BLANK = 5002;

    /** Unicode's property White_Space. {@link String#strip} leaves U+00A0 and others, and takes U+001C to U+001F. */
    private static final String WHITE_SPACE = "\t\n\u000b\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005"
            + "\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000";

    private final List<String> words;

    /** Takes one word a line. Empty lines and those that begin with # are passed over. */
    Friends(Stream<String> lines) {
        words = lines.map(Friends::trim)
                .filter(line -> !line.isEmpty() && !line.startsWith("#"))
                .map(Friends::searchable)
                .toList();
    }

    @Override
    public void beforeSetFriendRemark(
            BeforeSetFriendRemarkRequest request, StreamObserver<BeforeSetFriendRemarkResponse> response) {
        // Past its deadline, or cancelled: nobody reads the answer. What the rule waits for, such as a database, can
        // end with the call by a listener of this context.
        if (Context.current().isCancelled()) {
            response.onError(Status.CANCELLED.asRuntimeException());
            return;
        }
        response.onNext(decide(request.getRemark()));
        response.onCompleted();
    }

    /** The remark alone decides, so a call that is repeated gets the same answer. */
    BeforeSetFriendRemarkResponse decide(String remark) {
        String text = searchable(remark);
        if (words.stream().anyMatch(text::contains)) {
            return refuse(CODE_NOT_ALLOWED, "This remark is not allowed");
        }
        String trimmed = trim(remark);
        if (trimmed.equals(remark)) {
            // Also the empty remark, which removes the one that was set.
            return BeforeSetFriendRemarkResponse.newBuilder()
                    .setAllow(Allow.getDefaultInstance())
                    .build();
        }
        if (trimmed.isEmpty()) {
            // It cannot be replaced: an empty replacement is an invalid reply.
            return refuse(CODE_BLANK, "A remark cannot be blank");
        }
        return BeforeSetFriendRemarkResponse.newBuilder()
                .setReplaceRemark(ReplaceRemark.newBuilder().setRemark(trimmed))
                .build();
    }

    static BeforeSetFriendRemarkResponse refuse(int code, String message) {
        return BeforeSetFriendRemarkResponse.newBuilder()
                .setRefuse(Refuse.newBuilder().setCode(code).setMessage(message))
                .build();
    }

    private static String trim(String text) {
        int start = 0;
        int end = text.length();
        while (start < end && WHITE_SPACE.indexOf(text.charAt(start)) >= 0) {
            start++;
        }
        while (start < end && WHITE_SPACE.indexOf(text.charAt(end - 1)) >= 0) {
            end--;
        }
        return text.substring(start, end);
    }

    /**
     * Makes ＳＰＡＭ, Spam and spam equal: compatibility characters taken apart (NFKD), each character in lower case, and
     * put together again (NFKC), so that a word is not found in half of a Hangul syllable. Case folding proper (ß and
     * ss) and letters that merely look alike are left out.
     */
    private static String searchable(String text) {
        StringBuilder lower = Normalizer.normalize(text, Normalizer.Form.NFKD)
                .codePoints()
                .map(Character::toLowerCase)
                .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append);
        return Normalizer.normalize(lower, Normalizer.Form.NFKC);
    }
}
