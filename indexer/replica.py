"""The copy of the database's embeddings that is searched, and how it keeps up with the feed."""

from __future__ import annotations

import asyncio
from uuid import UUID

from indexer.index import FeedContractError, VectorIndex, read_epoch
from whodex.errors import InvalidArgumentError, UnavailableError
from whodex.runtime.log import get_logger
from whodex.v1 import embedding_feed_service_pb2 as feed
from whodex.v1 import error_reason_pb2

_RETRY_AFTER_SECONDS = 1.0
_log = get_logger()


class CatchUp:
    """An index on its way to what was committed when its stream began.

    Args:
        index: what the stream goes on from; None: the stream has to start from nothing.
    """

    def __init__(self, index: VectorIndex | None) -> None:
        self.index = index
        self._target: int | None = None

    @property
    def complete(self) -> bool:
        """Whether the index holds everything that was committed when the stream began."""
        return self.index is not None and self._target is not None and self.index.sequence >= self._target

    def apply(self, message: feed.StreamChangesResponse) -> VectorIndex:
        """Applies a message and returns the index, a new one if the message says restart.

        Raises:
            FeedContractError: see `VectorIndex.apply`; or a stream from nothing that does not say restart.
        """
        index = VectorIndex(read_epoch(message)) if message.restart else self.index
        if index is None:
            raise FeedContractError("the feed goes on from a watermark that it was not given")
        index.apply(message)
        if self._target is None:
            self._target = message.newest_sequence
        self.index = index
        return index


class Replica:
    """What searches see. Lives on one event loop: a message is applied between two searches, never during one.

    Nothing is served before the index has once held all that was committed when the feed was opened: an answer that
    lacks people is worse than an error. A restart within the same epoch builds a new index aside while the old one
    serves on; one with another epoch means that the database was restored, so the old index is dropped at once.

    Args:
        loaded: an index from a snapshot, to go on from.
    """

    def __init__(self, loaded: VectorIndex | None) -> None:
        self._serving: VectorIndex | None = None
        self._following = CatchUp(loaded)
        self._newest_sequence = 0
        self._changed = asyncio.Event()

    @property
    def current(self) -> VectorIndex | None:
        """The index that serves, else the one on its way; None before the feed said anything."""
        return self._serving or self._following.index

    @property
    def lag(self) -> int:
        """How many changes the database is ahead, as far as the feed has said."""
        applied = 0 if self.current is None else self.current.sequence
        return max(0, self._newest_sequence - applied)

    def serving(self) -> VectorIndex:
        """The index to search.

        Raises:
            UnavailableError: INDEX_UNAVAILABLE, it has not caught up yet.
        """
        if self._serving is None:
            raise UnavailableError(
                f"The index is catching up with the database, {self.lag} changes are missing. Try again soon.",
                reason=error_reason_pb2.ERROR_REASON_INDEX_UNAVAILABLE,
                retry_after_seconds=_RETRY_AFTER_SECONDS,
            )
        return self._serving

    async def reach(self, watermark: feed.Watermark) -> None:
        """Waits until the index holds every change up to a watermark.

        Raises:
            InvalidArgumentError: CONSISTENCY_TOKEN_INVALID, the watermark is of another database.
            UnavailableError: see `serving`.
        """
        while not self._holds(watermark):
            await self._changed.wait()

    def begin_stream(self, *, from_start: bool) -> feed.StreamChangesRequest:
        """The request to open the feed with; `apply` then takes the stream's messages.

        Args:
            from_start: because the feed does not hold any more what came after the index's watermark.
        """
        index = None if from_start else self._following.index
        self._following = CatchUp(index)
        return feed.StreamChangesRequest(after=None if index is None else watermark_of(index))

    def apply(self, message: feed.StreamChangesResponse) -> None:
        """Applies a message of the stream that was begun last.

        Raises:
            FeedContractError: see `CatchUp.apply`.
        """
        index = self._following.apply(message)
        self._newest_sequence = message.newest_sequence
        if self._serving is not None and self._serving.epoch != index.epoch:
            _log.warning("database was restored", epoch=str(index.epoch), dropped_epoch=str(self._serving.epoch))
            self._serving = None
        if self._following.complete:
            self._serve(index)
        self._wake_waiters()

    def adopt(self, rebuilt: CatchUp) -> bool:
        """Serves a rebuilt index from now on, if it is of the same epoch and not behind; says whether it does."""
        index, replaced = rebuilt.index, self._following.index
        if index is None or not rebuilt.complete:
            return False
        if replaced is not None and (index.epoch != replaced.epoch or index.sequence < replaced.sequence):
            return False
        self._following.index = index
        self._serve(index)
        self._wake_waiters()
        return True

    def _serve(self, index: VectorIndex) -> None:
        if index is not self._serving:
            self._serving = index
            _log.info("caught up", epoch=str(index.epoch), sequence=index.sequence)

    def _holds(self, watermark: feed.Watermark) -> bool:
        index = self.serving()
        if UUID(watermark.epoch) != index.epoch:
            raise InvalidArgumentError(
                "The consistency token is of another database. Search without it, or with a newer one.",
                reason=error_reason_pb2.ERROR_REASON_CONSISTENCY_TOKEN_INVALID,
            )
        return index.sequence >= watermark.sequence

    def _wake_waiters(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def watermark_of(index: VectorIndex) -> feed.Watermark:
    """What is applied."""
    return feed.Watermark(epoch=str(index.epoch), sequence=index.sequence)
