"""Triton's synchronous client under an asyncio server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from inference.triton.client import TritonClient

ResultT = TypeVar("ResultT")

THREADS: Final = 4
"""Pictures under way at once. Each waits for Triton most of the time, and may hold up to 400 MB while it is decoded;
what comes on top waits its turn, until its deadline at most."""


class TritonThreads:
    """Threads with a Triton client each: one client must not be used by several.

    Args:
        address: host:port of Triton's gRPC.
        ca: see `TritonClient`.
    """

    def __init__(self, address: str, ca: Path | None = None) -> None:
        self._address = address
        self._ca = ca
        self._local = threading.local()
        self._executor = ThreadPoolExecutor(THREADS, "triton", initializer=self._connect)

    async def run(self, work: Callable[[TritonClient], ResultT]) -> ResultT:
        """Runs something with a client, in a thread. Cancelling it before its turn takes it out of the queue."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: work(self._local.client))

    async def check(self) -> None:
        """Raises TritonTransientError unless every model answers its golden input as it should."""
        await self.run(TritonClient.check_golden)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Waits for what is under way."""
        await asyncio.to_thread(self._executor.shutdown, cancel_futures=True)

    def _connect(self) -> None:
        self._local.client = TritonClient(self._address, ca=self._ca)
