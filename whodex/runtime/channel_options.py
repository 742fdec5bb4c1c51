"""What every channel of Whodex is made with, in the services and in the client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# The largest message: two pictures of 32 MiB in one VerifyFaces, and what goes around them.
MAX_MESSAGE_BYTES = 66 * 1024 * 1024

CHANNEL_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A peer that vanished without a word is noticed, also between calls of a stream.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # After a restart of the peer, try again soon.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
# A proxy of the environment stands for the way out: never for the one to this machine, or between our own services.
DIRECT: tuple[str, Any] = ("grpc.enable_http_proxy", 0)
