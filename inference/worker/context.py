"""What a task needs beside its input. Made in each process after Celery's fork, never before it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from functools import cached_property
from typing import Any, TypeVar

from inference.triton.client import TritonClient
from inference.worker.claims import Claims
from inference.worker.settings import WorkerSettings
from whodex.runtime.channel import internal_channel_sync
from whodex.runtime.store import ObjectStore
from whodex.v1 import work_service_pb2_grpc

ResultT = TypeVar("ResultT")


class WorkerContext:
    """The connections of one worker process, each opened at its first use."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings
        self._stack = ExitStack()

    @cached_property
    def work(self) -> work_service_pb2_grpc.WorkServiceStub:
        """The api_server's WorkService."""
        token = self.settings.internal_token.get_secret_value()
        channel = internal_channel_sync(self.settings.internal_address, token)
        return work_service_pb2_grpc.WorkServiceStub(self._stack.enter_context(channel))

    @cached_property
    def claims(self) -> Claims:
        """The worker's leases."""
        return Claims(self.work, self.settings.worker_name)

    @cached_property
    def triton(self) -> TritonClient:
        """The models."""
        return TritonClient(self.settings.triton_address)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store; its coroutines are run by `wait`."""
        return ObjectStore.from_url(self.settings.store_url)

    @cached_property
    def _runner(self) -> asyncio.Runner:
        return self._stack.enter_context(asyncio.Runner())

    def wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Runs a coroutine to its end: tasks themselves are synchronous."""
        return self._runner.run(work)

    def close(self) -> None:
        """Closes what was opened."""
        self._stack.close()
