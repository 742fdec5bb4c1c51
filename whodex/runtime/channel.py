"""Channels between our own services: an internal credential, the correlation id and a deadline on every call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from whodex.runtime.log import CORRELATION_METADATA_KEY, current_correlation_id

# The largest message: two pictures of 32 MiB in one VerifyFaces, and what goes around them.
MAX_MESSAGE_BYTES = 66 * 1024 * 1024
DEFAULT_DEADLINE_SECONDS = 30.0

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
_INTERNAL_OPTIONS = (*CHANNEL_OPTIONS, DIRECT)


def internal_channel(address: str, token: str) -> grpc.aio.Channel:
    """An asyncio channel to one of our services. Unary calls without a timeout get the default deadline."""
    return grpc.aio.insecure_channel(address, options=_INTERNAL_OPTIONS, interceptors=_aio_interceptors(token))


def internal_channel_sync(address: str, token: str, *, service_config: str = "{}") -> grpc.Channel:
    """The same for synchronous code. Make it after a fork, never before.

    Args:
        address: host:port.
        token: the internal credential.
        service_config: gRPC's, as JSON: which methods are retried, and when.
    """
    options = [*_INTERNAL_OPTIONS, ("grpc.service_config", service_config)]
    channel = grpc.insecure_channel(address, options=options)
    return grpc.intercept_channel(channel, _SyncInterceptor(token))


def _metadata(
    details: grpc.aio.ClientCallDetails | grpc.ClientCallDetails, token: str
) -> tuple[tuple[str, str | bytes], ...]:
    return (
        *(details.metadata or ()),
        ("authorization", f"Bearer {token}"),
        (CORRELATION_METADATA_KEY, current_correlation_id()),
    )


def _aio_interceptors(token: str) -> list[grpc.aio.ClientInterceptor]:
    return [_AioUnaryUnary(token), _AioUnaryStream(token), _AioStreamUnary(token)]


def _aio_details(details: grpc.aio.ClientCallDetails, token: str, deadline: float | None) -> grpc.aio.ClientCallDetails:
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=deadline if details.timeout is None else details.timeout,
        metadata=grpc.aio.Metadata(*_metadata(details, token)),
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


class _AioUnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        return await continuation(_aio_details(client_call_details, self._token, DEFAULT_DEADLINE_SECONDS), request)


class _AioUnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], client_call_details: grpc.aio.ClientCallDetails, request: Any
    ) -> Any:
        # A stream such as the feed lives as long as it is read; keepalive notices a dead peer.
        return await continuation(_aio_details(client_call_details, self._token, None), request)


class _AioStreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    async def intercept_stream_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.aio.ClientCallDetails,
        request_iterator: Any,
    ) -> Any:
        details = _aio_details(client_call_details, self._token, DEFAULT_DEADLINE_SECONDS)
        return await continuation(details, request_iterator)


class _SyncDetails(grpc.ClientCallDetails):
    def __init__(self, details: grpc.ClientCallDetails, token: str) -> None:
        self.method = details.method
        self.timeout = DEFAULT_DEADLINE_SECONDS if details.timeout is None else details.timeout
        self.metadata = _metadata(details, token)
        self.credentials = details.credentials
        self.wait_for_ready = details.wait_for_ready
        self.compression = details.compression


class _SyncInterceptor(grpc.UnaryUnaryClientInterceptor, grpc.StreamUnaryClientInterceptor):
    def __init__(self, token: str) -> None:
        self._token = token

    def intercept_unary_unary(
        self, continuation: Callable[..., Any], client_call_details: grpc.ClientCallDetails, request: Any
    ) -> Any:
        return continuation(_SyncDetails(client_call_details, self._token), request)

    def intercept_stream_unary(
        self,
        continuation: Callable[..., Any],
        client_call_details: grpc.ClientCallDetails,
        request_iterator: Any,
    ) -> Any:
        return continuation(_SyncDetails(client_call_details, self._token), request_iterator)
