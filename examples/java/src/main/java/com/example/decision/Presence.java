package com.example.decision;

import io.grpc.stub.StreamObserver;
import io.openim.bridge.v1.AfterUserOnlineRequest;
import io.openim.bridge.v1.AfterUserOnlineResponse;
import io.openim.bridge.v1.UserCallbackServiceGrpc.UserCallbackServiceImplBase;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/**
 * An after callback: when each user was last seen online. OpenIM tells it afterwards, and the bridge delivers it:
 * perhaps twice, since it retries, and not always in order. So the latest time counts, whatever comes when.
 */
final class Presence extends UserCallbackServiceImplBase {
    /** Unix milliseconds by user ID. A service of several pods keeps it in a database. */
    final Map<String, Long> lastSeen = new ConcurrentHashMap<>();

    @Override
    public void afterUserOnline(AfterUserOnlineRequest request, StreamObserver<AfterUserOnlineResponse> response) {
        lastSeen.merge(request.getUserId(), request.getTimeMs(), Math::max);
        // The answer only says that it need not be delivered again.
        response.onNext(AfterUserOnlineResponse.getDefaultInstance());
        response.onCompleted();
    }
}
