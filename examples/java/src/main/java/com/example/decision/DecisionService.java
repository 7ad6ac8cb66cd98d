package com.example.decision;

import io.grpc.InsecureServerCredentials;
import io.grpc.Server;
import io.grpc.ServerCredentials;
import io.grpc.TlsServerCredentials;
import io.grpc.TlsServerCredentials.ClientAuth;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import io.grpc.protobuf.services.HealthStatusManager;
import io.grpc.protobuf.services.ProtoReflectionServiceV1;
import io.openim.bridge.v1.FriendCallbackServiceGrpc;
import io.openim.bridge.v1.UserCallbackServiceGrpc;
import java.io.File;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.logging.ConsoleHandler;
import java.util.logging.Level;
import java.util.logging.LogManager;
import java.util.logging.Logger;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/**
 * A decision service for openim-bridge. It refuses remarks that contain a listed word, and trims the others; and keeps
 * when users were last online.
 */
@Command(name = "decision-service", mixinStandardHelpOptions = true)
public final class DecisionService implements Callable<Integer> {
    /** The bridge takes requests of up to 1 MiB unless configured otherwise. */
    private static final int MAX_MESSAGE_BYTES = 2 << 20;
    /** The bridge asks for health every 2 s. While it finds out that the service stops, calls are still answered. */
    private static final Duration DRAIN = Duration.ofSeconds(3);
    /** What then still runs may take this long. No call of the bridge's lasts longer. */
    private static final Duration GRACE = Duration.ofSeconds(15);

    private static final Logger log = Logger.getLogger(DecisionService.class.getName());

    @Option(names = "--listen", paramLabel = "HOST:PORT", defaultValue = "${env:LISTEN:-127.0.0.1:50051}",
            description = "Where to serve, port 0 takes a free one [LISTEN]")
    private String listen;

    @Option(names = "--words", paramLabel = "FILE", defaultValue = "${env:WORDS:-../words.txt}",
            description = "Words that are refused [WORDS]")
    private Path words;

    @Option(names = "--tls-cert", paramLabel = "FILE", defaultValue = "${env:TLS_CERT}",
            description = "PEM file of the certificate chain, for TLS [TLS_CERT]")
    private File tlsCert;

    @Option(names = "--tls-key", paramLabel = "FILE", defaultValue = "${env:TLS_KEY}",
            description = "PEM file of its key [TLS_KEY]")
    private File tlsKey;

    @Option(names = "--tls-client-ca", paramLabel = "FILE", defaultValue = "${env:TLS_CLIENT_CA}",
            description = "PEM file of the authority whose clients alone may call [TLS_CLIENT_CA]")
    private File tlsClientCa;

    private final CommandLine command = new CommandLine(this);

    public static void main(String[] args) throws IOException {
        LogManager.getLogManager().reset();
        ConsoleHandler handler = new ConsoleHandler();
        handler.setFormatter(new JsonLines());
        Logger.getLogger("").addHandler(handler);

        System.exit(new DecisionService().command
                .setExecutionExceptionHandler((exception, command, parsed) -> {
                    log.log(Level.SEVERE, "failed", exception);
                    return 1;
                })
                .execute(args));
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        HealthStatusManager health = new HealthStatusManager();
        health.setStatus(FriendCallbackServiceGrpc.SERVICE_NAME, ServingStatus.SERVING);
        health.setStatus(UserCallbackServiceGrpc.SERVICE_NAME, ServingStatus.SERVING);
        Server server = NettyServerBuilder.forAddress(address(), credentials())
                .maxInboundMessageSize(MAX_MESSAGE_BYTES)
                .addService(friends())
                .addService(new Presence())
                .addService(health.getHealthService())
                .addService(ProtoReflectionServiceV1.newInstance())
                .build();
        CompletableFuture<Signal> signal = stopSignal();
        server.start();
        InetSocketAddress bound = (InetSocketAddress) server.getListenSockets().get(0);
        String address = bound.getAddress().getHostAddress() + ":" + bound.getPort();
        log.log(Level.INFO, "listening", Map.of("address", address, "tls", tlsCert != null));

        Signal received = signal.join();
        log.info("stopping");
        health.enterTerminalState(); // NOT_SERVING from here on.
        if (received.getName().equals("TERM")) {
            Thread.sleep(DRAIN.toMillis());
        }
        server.shutdown();
        if (!server.awaitTermination(GRACE.toMillis(), TimeUnit.MILLISECONDS)) {
            server.shutdownNow();
        }
        log.info("stopped");
        return 0;
    }

    private Friends friends() throws IOException {
        try (var lines = Files.lines(words)) {
            return new Friends(lines);
        }
    }

    private InetSocketAddress address() {
        int colon = listen.lastIndexOf(':');
        try {
            return new InetSocketAddress(listen.substring(0, colon), Integer.parseInt(listen.substring(colon + 1)));
        } catch (IndexOutOfBoundsException | IllegalArgumentException e) {
            throw new ParameterException(command, "--listen: \"" + listen + "\" is not HOST:PORT");
        }
    }

    private ServerCredentials credentials() throws IOException {
        if ((tlsCert == null) != (tlsKey == null)) {
            throw new ParameterException(command, "--tls-cert and --tls-key go together");
        }
        if (tlsClientCa != null && tlsCert == null) {
            throw new ParameterException(command, "--tls-client-ca needs --tls-cert and --tls-key");
        }
        if (tlsCert == null) {
            return InsecureServerCredentials.create();
        }
        TlsServerCredentials.Builder tls = TlsServerCredentials.newBuilder().keyManager(tlsCert, tlsKey);
        if (tlsClientCa != null) {
            tls.trustManager(tlsClientCa).clientAuth(ClientAuth.REQUIRE);
        }
        return tls.build();
    }

    /**
     * The first SIGTERM or SIGINT. A second one ends the process at once. A shutdown hook would not know which it was,
     * and the JVM would exit with 143.
     */
    private static CompletableFuture<Signal> stopSignal() {
        CompletableFuture<Signal> received = new CompletableFuture<>();
        Signal[] signals = {new Signal("TERM"), new Signal("INT")};
        for (Signal each : signals) {
            Signal.handle(each, signal -> {
                for (Signal again : signals) {
                    Signal.handle(again, SignalHandler.SIG_DFL);
                }
                received.complete(signal);
            });
        }
        return received;
    }
}
