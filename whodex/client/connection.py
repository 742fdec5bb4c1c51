"""The one seam between the client and gRPC: credentials, deadlines and errors of every call."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import Any, TypeVar

import grpc

from whodex.client.configuration import (
    ADMIN_KEY_VARIABLE,
    API_KEY_VARIABLE,
    LIBRARY_VARIABLE,
)
from whodex.client.errors import ConfigurationError
from whodex.client.retries import Patience
from whodex.client.service_config import service_config
from whodex.client.transport import LOOPBACK_HOSTS, ClientTls
from whodex.errors import from_rpc_error
from whodex.runtime.channel_options import CHANNEL_OPTIONS, DIRECT

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")

# The slowest line that an upload's deadline has patience for: 1 Mbit/s.
SLOWEST_BYTES_PER_SECOND = 125_000


def open_channel(address: str, tls: ClientTls | None = None) -> grpc.Channel:
    """A channel to the public API.

    Args:
        address: host:port.
        tls: None: plaintext.

    Raises:
        ConfigurationError: a file of TLS cannot be used.
    """
    options: list[tuple[str, Any]] = [*CHANNEL_OPTIONS, ("grpc.service_config", service_config())]
    if address.startswith(LOOPBACK_HOSTS):
        options.append(DIRECT)
    if tls is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, tls.credentials(), options=options)


class Connection:
    """Makes calls on a channel with one key.

    Args:
        channel: see `open_channel`; the connection does not close it.
        key: sent as `authorization: Bearer KEY`.
        library: the library that calls are about unless they name another resource.
        timeout_seconds: the deadline of a call that brings none of its own.
    """

    def __init__(self, channel: grpc.Channel, *, key: str | None, library: str | None, timeout_seconds: float) -> None:
        self.channel = channel
        self._key = key
        self._library = library
        self.timeout_seconds = timeout_seconds

    @property
    def library(self) -> str:
        """`libraries/{library}`; ConfigurationError when nothing names one."""
        if not self._library:
            raise ConfigurationError(f"No library is named: set {LIBRARY_VARIABLE} to `libraries/...` or pass library.")
        return self._library

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout_seconds: float | None = None,
    ) -> ResponseT:
        """One request, one response. A call that the server refuses for being one too many is made again.

        Raises:
            WhodexError: the server refused or did not answer in time.
            ConfigurationError: there is no key to call with.
        """
        patience = Patience(timeout_seconds or self.timeout_seconds)
        while True:
            try:
                return method(request, timeout=patience.remaining_seconds(), metadata=self._metadata())
            except grpc.RpcError as error:
                patience.wait_after(from_rpc_error(error))

    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[RequestT, ResponseT],
        request: RequestT,
        timeout_seconds: float | None = None,
    ) -> Generator[ResponseT, None, None]:
        """One request, many responses; the call starts with the first `next` and is cancelled when no more are taken.

        Raises:
            WhodexError: the stream ended with an error, or its deadline passed.
            ConfigurationError: there is no key to call with.
        """
        patience = Patience(timeout_seconds or self.timeout_seconds)
        while True:
            responses = method(request, timeout=patience.remaining_seconds(), metadata=self._metadata())
            try:
                for response in responses:
                    patience.give_up()
                    yield response
            except grpc.RpcError as error:
                patience.wait_after(from_rpc_error(error))
            else:
                return
            finally:
                responses.cancel()

    def upload(
        self,
        method: grpc.StreamUnaryMultiCallable[RequestT, ResponseT],
        requests: Iterable[RequestT],
        size_bytes: int,
    ) -> ResponseT:
        """Many requests, one response. gRPC takes the requests from a thread of its own.

        Args:
            method: of a stub.
            requests: all of them.
            size_bytes: how much they carry; the deadline grows with it.

        Raises:
            WhodexError: the server refused or did not answer in time.
            ConfigurationError: there is no key to call with.
        """
        source = _Source(requests)
        timeout_seconds = self.timeout_seconds + size_bytes / SLOWEST_BYTES_PER_SECOND
        future = method.future(source, timeout=timeout_seconds, metadata=self._metadata())
        try:
            return future.result()
        except grpc.RpcError as error:
            # gRPC would only say that iterating failed, not why.
            raise source.failure or from_rpc_error(error) from error
        finally:
            # Ctrl-C must not leave the thread sending.
            future.cancel()

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        if not self._key:
            raise ConfigurationError(
                f"No key is given: set {API_KEY_VARIABLE} (or {ADMIN_KEY_VARIABLE} for what needs the admin key)."
            )
        return (("authorization", f"Bearer {self._key}"),)


class _Source(Iterator[RequestT]):
    """Remembers why it broke off."""

    def __init__(self, items: Iterable[RequestT]) -> None:
        self._items = iter(items)
        self.failure: Exception | None = None

    def __next__(self) -> RequestT:
        try:
            return next(self._items)
        except StopIteration:
            raise
        except Exception as error:
            self.failure = error
            raise
