"""Channels between our own services: an internal credential, the correlation id and a deadline on every call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import grpc
import grpc.aio

from whodex.runtime.certificates import CertificateSet
from whodex.runtime.channel_options import CHANNEL_OPTIONS, DIRECT
from whodex.runtime.log import CORRELATION_METADATA_KEY, current_correlation_id
from whodex.runtime.renewed_channel import RenewedChannel, RenewedSyncChannel
from whodex.runtime.tls import Tls

DEFAULT_DEADLINE_SECONDS = 30.0
_INTERNAL_OPTIONS = (*CHANNEL_OPTIONS, DIRECT)


def internal_channel(address: str, token: str, tls: Tls | None = None) -> grpc.aio.Channel:
    """An asyncio channel to one of our services. Unary calls without a timeout get the default deadline.

    Args:
        address: host:port.
        token: the internal credential.
        tls: what both sides prove themselves by; None: plaintext.
    """
    interceptors = _aio_interceptors(token)
    if tls is None:
        return grpc.aio.insecure_channel(address, options=_INTERNAL_OPTIONS, interceptors=interceptors)

    def secure(certificates: CertificateSet) -> grpc.aio.Channel:
        credentials = channel_credentials(certificates)
        return grpc.aio.secure_channel(address, credentials, options=_INTERNAL_OPTIONS, interceptors=interceptors)

    # Stubs, which are all that uses it, find what they need.
    return cast("grpc.aio.Channel", RenewedChannel(tls.certificates, secure))


def internal_channel_sync(
    address: str, token: str, tls: Tls | None = None, *, service_config: str = "{}"
) -> grpc.Channel:
    """The same for synchronous code. Make it after a fork, never before.

    Args:
        address: host:port.
        token: the internal credential.
        tls: what both sides prove themselves by; None: plaintext.
        service_config: gRPC's, as JSON: which methods are retried, and when.
    """
    options = [*_INTERNAL_OPTIONS, ("grpc.service_config", service_config)]
    interceptor = _SyncInterceptor(token)
    if tls is None:
        return grpc.intercept_channel(grpc.insecure_channel(address, options=options), interceptor)

    def secure(certificates: CertificateSet) -> grpc.Channel:
        channel = grpc.secure_channel(address, channel_credentials(certificates), options=options)
        return grpc.intercept_channel(channel, interceptor)

    return cast("grpc.Channel", RenewedSyncChannel(tls.certificates, secure))


def channel_credentials(certificates: CertificateSet) -> grpc.ChannelCredentials:
    """What a client of our services proves itself by. The server's name has to be in its certificate."""
    return grpc.ssl_channel_credentials(certificates.authorities, certificates.key, certificates.chain)


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
