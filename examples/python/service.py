"""A decision service for openim-bridge.

It refuses remarks that contain a listed word, and trims the others; hides texts that contain one; and keeps when users
were last online.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from openim.bridge.v1 import (
    friend_pb2,
    friend_pb2_grpc,
    message_pb2,
    message_pb2_grpc,
    user_pb2,
    user_pb2_grpc,
)

from friends import Friends, read_words
from messages import Messages
from presence import Presence

# The bridge takes requests of up to 1 MiB unless configured otherwise.
MAX_MESSAGE_BYTES = 2 << 20
# The bridge asks for health every 2 s. While it finds out that the service stops, calls are still answered.
DRAIN_SECONDS = 3
# What then still runs may take this long. No call of the bridge's lasts longer.
GRACE_SECONDS = 15

log = logging.getLogger("decision-service")


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname, "msg": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def read_settings() -> argparse.Namespace:
    """Let flags win over environment variables, and these over defaults."""

    def env(name: str, default: str | None = None) -> str | None:
        return os.environ.get(name) or default

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--listen", default=env("LISTEN", "127.0.0.1:50051"), metavar="HOST:PORT",
        help="where to serve, port 0 takes a free one [LISTEN]")  # fmt: skip
    add("--words", default=env("WORDS", "../words.txt"), type=Path, metavar="FILE",
        help="words that are refused [WORDS]")  # fmt: skip
    add("--tls-cert", default=env("TLS_CERT"), type=Path, metavar="FILE",
        help="PEM file of the certificate chain, for TLS [TLS_CERT]")  # fmt: skip
    add("--tls-key", default=env("TLS_KEY"), type=Path, metavar="FILE",
        help="PEM file of its key [TLS_KEY]")  # fmt: skip
    add("--tls-client-ca", default=env("TLS_CLIENT_CA"), type=Path, metavar="FILE",
        help="PEM file of the authority whose clients alone may call [TLS_CLIENT_CA]")  # fmt: skip
    settings = parser.parse_args()
    if (settings.tls_cert is None) != (settings.tls_key is None):
        parser.error("--tls-cert and --tls-key go together")
    if settings.tls_client_ca and not settings.tls_cert:
        parser.error("--tls-client-ca needs --tls-cert and --tls-key")
    return settings


def credentials(settings: argparse.Namespace) -> grpc.ServerCredentials:
    pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
    authority = settings.tls_client_ca.read_bytes() if settings.tls_client_ca else None
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)


async def serve(settings: argparse.Namespace) -> None:
    words = read_words(settings.words)
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # Without this a second process on the same port would share its connections instead of failing.
            ("grpc.so_reuseport", 0),
        ]
    )
    friend_pb2_grpc.add_FriendCallbackServiceServicer_to_server(Friends(words), server)
    message_pb2_grpc.add_MessageCallbackServiceServicer_to_server(Messages(words), server)
    user_pb2_grpc.add_UserCallbackServiceServicer_to_server(Presence(), server)

    files = (friend_pb2.DESCRIPTOR, message_pb2.DESCRIPTOR, user_pb2.DESCRIPTOR)
    names = [service.full_name for file in files for service in file.services_by_name.values()]
    serving = health.aio.HealthServicer()
    for name in names:
        await serving.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(serving, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)

    if settings.tls_cert:
        port = server.add_secure_port(settings.listen, credentials(settings))
    else:
        port = server.add_insecure_port(settings.listen)

    # Before the first call is taken, so that no signal is missed.
    signals = watch_signals()
    await server.start()
    address = f"{settings.listen.rpartition(':')[0]}:{port}"
    log.info("listening", extra={"fields": {"address": address, "tls": settings.tls_cert is not None}})

    received = await signals
    log.info("stopping")
    await serving.enter_graceful_shutdown()  # NOT_SERVING from here on.
    if received == signal.SIGTERM:
        await asyncio.sleep(DRAIN_SECONDS)
    await server.stop(GRACE_SECONDS)
    log.info("stopped")


def watch_signals() -> asyncio.Future[signal.Signals]:
    loop = asyncio.get_running_loop()
    received: asyncio.Future[signal.Signals] = loop.create_future()

    def on_signal(number: signal.Signals) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)  # A second one ends the process at once.
        received.set_result(number)

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, on_signal, each)
    return received


def main() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    settings = read_settings()
    try:
        asyncio.run(serve(settings))
    except (OSError, UnicodeDecodeError, RuntimeError) as error:
        # gRPC raises RuntimeError for an address that cannot be bound, and says why on standard error.
        log.error("failed", extra={"fields": {"error": str(error)}})  # noqa: TRY400
        sys.exit(1)


if __name__ == "__main__":
    main()
