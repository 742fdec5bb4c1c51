"""What a task needs beside its input. Made in each process after Celery's fork, never before it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, closing
from functools import cached_property
from typing import Any, TypeVar

from inference.sandbox.decoder import Decoder
from inference.triton.client import TritonClient
from inference.worker.claims import Claims
from inference.worker.settings import WorkerSettings
from whodex.runtime.channel import internal_channel_sync
from whodex.runtime.settings import live_secrets
from whodex.runtime.store import ObjectStore
from whodex.v1 import work_service_pb2_grpc

ResultT = TypeVar("ResultT")


# Writes carry a fencing token: one that comes twice changes nothing. So a restart of the api_server is waited out.
_REPEATABLE = ("HeartbeatWork", "ReportWork", "CompleteWork", "FailWork", "ReleaseWork")
_SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "whodex.v1.WorkService", "method": method} for method in _REPEATABLE],
                "waitForReady": True,
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "8s",
                    "backoffMultiplier": 3,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ]
    }
)


def _never() -> bool:
    return False


class WorkerContext:
    """The connections of one worker process, each opened at its first use.

    Args:
        settings: where everything is.
        stopping: whether the worker is being stopped.
    """

    def __init__(self, settings: WorkerSettings, stopping: Callable[[], bool] = _never) -> None:
        self.settings = settings
        self._stopping = stopping
        self._stack = ExitStack()

    @cached_property
    def work(self) -> work_service_pb2_grpc.WorkServiceStub:
        """The api_server's WorkService."""
        token = live_secrets(self.settings.internal_token)[0]
        settings = self.settings
        channel = internal_channel_sync(settings.internal_address, token, settings.mesh, service_config=_SERVICE_CONFIG)
        return work_service_pb2_grpc.WorkServiceStub(self._stack.enter_context(channel))

    @cached_property
    def claims(self) -> Claims:
        """The worker's leases."""
        return Claims(self.work, self.settings.worker_name, self._stopping)

    @cached_property
    def decoder(self) -> Decoder:
        """What reads the media."""
        return self._stack.enter_context(closing(Decoder()))

    @cached_property
    def triton(self) -> TritonClient:
        """The models."""
        return TritonClient(self.settings.triton_address, ca=self.settings.triton_ca)

    @cached_property
    def store(self) -> ObjectStore:
        """The object store; its coroutines are run by `wait`."""
        return self.settings.open_store()

    @cached_property
    def _runner(self) -> asyncio.Runner:
        return self._stack.enter_context(asyncio.Runner())

    def wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Runs a coroutine to its end: tasks themselves are synchronous."""
        return self._runner.run(work)

    def close(self) -> None:
        """Closes what was opened."""
        self._stack.close()
