"""Follows the feed of the api_server for as long as the process lives."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from indexer.index import FeedContractError, VectorIndex
from indexer.replica import CatchUp, Replica
from whodex.errors import UnavailableError, from_rpc_error
from whodex.runtime.log import get_logger
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import error_reason_pb2

if TYPE_CHECKING:
    from whodex.v1.embedding_feed_service_pb2_grpc import EmbeddingFeedServiceAsyncStub

# The feed speaks at least once a second; after this long it is not there, whatever the connection says.
SILENCE_SECONDS = 5.0
_BACKOFF_SECONDS = 0.1
_MAX_BACKOFF_SECONDS = 5.0
_Stream = grpc.aio.UnaryStreamCall[feed.StreamChangesRequest, feed.StreamChangesResponse]
_log = get_logger()


class FeedLostError(Exception):
    """The feed ended, fell silent or cannot be opened. Opening it again is all that can be done."""


class FeedHistoryLostError(FeedLostError):
    """The feed no longer holds what came after the watermark: only its start helps."""


class FeedFollower:
    """Keeps a replica up with the feed, and says in the health whether it does.

    Args:
        stub: of the api_server.
        replica: what the changes go to.
        silence_seconds: without a message for so long, the feed counts as lost.
    """

    def __init__(
        self,
        stub: EmbeddingFeedServiceAsyncStub,
        replica: Replica,
        *,
        silence_seconds: float = SILENCE_SECONDS,
    ) -> None:
        self._stub = stub
        self._replica = replica
        self._silence_seconds = silence_seconds
        self._heard_at = time.monotonic()
        self._problem: str | None = None
        self._rebuilding = asyncio.Lock()

    async def run(self) -> None:
        """Follows until it is cancelled; a lost feed is opened again with exponential backoff and full jitter."""
        failures = 0
        from_start = False
        while True:
            heard_at = self._heard_at
            try:
                await self._follow(from_start=from_start)
            except (FeedLostError, FeedContractError) as error:
                from_start = isinstance(error, FeedHistoryLostError)
                self._report(error)
            failures = 1 if self._heard_at > heard_at else failures + 1
            await asyncio.sleep(_backoff_seconds(failures))

    async def check(self) -> None:
        """A health check: raises unless the replica serves and the feed was heard lately."""
        self._replica.serving()
        if self._problem is not None:
            raise FeedLostError(self._problem)
        silent_seconds = time.monotonic() - self._heard_at
        if silent_seconds > self._silence_seconds:
            raise FeedLostError(f"the feed has been silent for more than {self._silence_seconds:g} s")

    async def rebuild(self) -> VectorIndex:
        """Reads the feed from its start into a new index while the old one serves, then replaces it.

        Returns:
            The new index, which serves.

        Raises:
            UnavailableError: INDEX_UNAVAILABLE, the feed was lost on the way; nothing has changed.
        """
        async with self._rebuilding:
            try:
                return await self._rebuild()
            except (FeedLostError, FeedContractError) as error:
                raise UnavailableError(
                    f"The index could not be rebuilt and is as it was: {error}. Try again.",
                    reason=error_reason_pb2.ERROR_REASON_INDEX_UNAVAILABLE,
                ) from error

    async def _rebuild(self) -> VectorIndex:
        rebuilt = CatchUp(None)
        async with contextlib.aclosing(self._messages(feed.StreamChangesRequest())) as messages:
            async for message in messages:
                index = rebuilt.apply(message)
                if self._replica.adopt(rebuilt):
                    return index
        raise FeedLostError("the feed ended")

    async def _follow(self, *, from_start: bool) -> None:
        request = self._replica.begin_stream(from_start=from_start)
        async with contextlib.aclosing(self._messages(request)) as messages:
            async for message in messages:
                self._replica.apply(message)
                self._hear()
        raise FeedLostError("the feed ended")

    async def _messages(self, request: feed.StreamChangesRequest) -> AsyncGenerator[feed.StreamChangesResponse, None]:
        call = self._stub.StreamChanges(request)
        try:
            while isinstance(message := await self._read(call), feed.StreamChangesResponse):
                yield message
        except TimeoutError as error:
            raise FeedLostError(f"the feed was silent for {self._silence_seconds:g} s") from error
        except grpc.aio.AioRpcError as error:
            raise _lost(error) from error
        finally:
            call.cancel()

    async def _read(self, call: _Stream) -> object:
        """The next message, or gRPC's mark of the end."""
        # Not wait_for: before Python 3.12 it loses a cancellation that comes together with a message.
        async with asyncio.timeout(self._silence_seconds):
            return await call.read()

    def _hear(self) -> None:
        self._heard_at = time.monotonic()
        if self._problem is not None:
            self._problem = None
            _log.info("feed is back")

    def _report(self, error: Exception) -> None:
        # An api_server that stays away is one line, not one per attempt.
        if self._problem != str(error):
            self._problem = str(error)
            _log.warning("feed lost", why=self._problem, broke_contract=isinstance(error, FeedContractError))


def _lost(error: grpc.aio.AioRpcError) -> FeedLostError:
    known = from_rpc_error(error)
    kind = FeedHistoryLostError if known.reason == error_reason_pb2.ERROR_REASON_WATERMARK_TOO_OLD else FeedLostError
    return kind(f"the feed answered {known.code.name}: {known.message}")


def _backoff_seconds(failures: int) -> float:
    longest = min(_MAX_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2 ** min(failures, 16))
    return random.uniform(0, longest)  # noqa: S311 - jitter is no secret
