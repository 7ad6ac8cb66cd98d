package com.example.decision;

import static org.junit.jupiter.api.Assertions.assertEquals;

import io.grpc.stub.StreamObserver;
import io.openim.bridge.v1.AfterUserOnlineRequest;
import io.openim.bridge.v1.AfterUserOnlineResponse;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class PresenceTest {
    private final Presence presence = new Presence();
    private final List<AfterUserOnlineResponse> answers = new ArrayList<>();

    @Test
    void theLatestTimeCounts() {
        // Delivered twice, and an older one late.
        for (long time : new long[] {2000, 2000, 1000}) {
            var request = AfterUserOnlineRequest.newBuilder().setUserId("u1").setTimeMs(time).build();
            presence.afterUserOnline(request, new Answer());
        }
        assertEquals(Map.of("u1", 2000L), presence.lastSeen);
        assertEquals(Collections.nCopies(3, AfterUserOnlineResponse.getDefaultInstance()), answers);
    }

    private final class Answer implements StreamObserver<AfterUserOnlineResponse> {
        private AfterUserOnlineResponse value;

        @Override
        public void onNext(AfterUserOnlineResponse next) {
            value = next;
        }

        @Override
        public void onError(Throwable error) {
            throw new AssertionError(error);
        }

        @Override
        public void onCompleted() {
            answers.add(value);
        }
    }
}
