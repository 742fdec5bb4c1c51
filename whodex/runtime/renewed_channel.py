"""Channels that follow the certificates of their process. gRPC itself reads those of a channel once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from whodex.runtime.certificates import Certificates, CertificateSet

# What the calls on a connection of the old certificate have left to end; streams are opened anew.
DRAIN_SECONDS = 30.0
# The same for synchronous code, where a channel cannot be closed without its calls: longer than any deadline of ours.
SYNC_DRAIN_SECONDS = 600.0


class _Renewed:
    """What stubs use of a channel; each call is made on the newest one."""

    def unary_unary(self, *method: Any, **options: Any) -> Callable[..., Any]:
        """Like the method of gRPC's channel, and so are the others."""
        return self._each_call("unary_unary", method, options)

    def unary_stream(self, *method: Any, **options: Any) -> Callable[..., Any]:
        """One request, many responses."""
        return self._each_call("unary_stream", method, options)

    def stream_unary(self, *method: Any, **options: Any) -> Callable[..., Any]:
        """Many requests, one response."""
        return self._each_call("stream_unary", method, options)

    def _each_call(self, kind: str, method: Sequence[Any], options: Mapping[str, Any]) -> Callable[..., Any]:
        def call(*request: Any, **details: Any) -> Any:
            return getattr(self._newest(), kind)(*method, **options)(*request, **details)

        return call

    def _newest(self) -> Any:
        raise NotImplementedError


class RenewedChannel(_Renewed):
    """An asyncio channel.

    Args:
        certificates: asked before each call.
        open_channel: makes a channel with them.
    """

    def __init__(self, certificates: Certificates, open_channel: Callable[[CertificateSet], grpc.aio.Channel]) -> None:
        self._certificates = certificates
        self._open = open_channel
        self._used = certificates.current()
        self._channel = open_channel(self._used)
        self._draining: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._draining:
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        await self._channel.close()

    def _newest(self) -> grpc.aio.Channel:
        found = self._certificates.current()
        if found is not self._used:
            task = asyncio.create_task(_close_later(self._channel))
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
            self._used, self._channel = found, self._open(found)
        return self._channel


async def _close_later(channel: grpc.aio.Channel) -> None:
    # Not close(DRAIN_SECONDS): once that has begun, nothing ends it sooner.
    try:
        await asyncio.sleep(DRAIN_SECONDS)
    finally:
        await channel.close()


class RenewedSyncChannel(_Renewed):
    """The same for synchronous code; safe to use from several threads."""

    def __init__(self, certificates: Certificates, open_channel: Callable[[CertificateSet], grpc.Channel]) -> None:
        self._certificates = certificates
        self._open = open_channel
        self._lock = threading.Lock()
        self._used = certificates.current()
        self._channel = open_channel(self._used)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()

    def _newest(self) -> grpc.Channel:
        with self._lock:
            found = self._certificates.current()
            if found is not self._used:
                closing = threading.Timer(SYNC_DRAIN_SECONDS, self._channel.close)
                closing.daemon = True
                closing.start()
                self._used, self._channel = found, self._open(found)
            return self._channel
