"""Leases: claimed items, their heartbeats, and the ways to give them back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from whodex.errors import AbortedError, WhodexError, from_rpc_error
from whodex.runtime.log import get_logger
from whodex.runtime.tasks import TaskDeclaration
from whodex.v1 import work_service_pb2, work_service_pb2_grpc
from whodex.v1.failure_pb2 import FailureReason

PayloadT = TypeVar("PayloadT", bound=Message)
# A third of the api_server's lease, so that two can be lost on the way.
HEARTBEAT_SECONDS = 10.0


# Storing the scenes of a long video is one transaction.
COMPLETION_DEADLINE_SECONDS = 300.0
_log = get_logger()


class LeaseLostError(Exception):
    """The item is no longer ours: deleted, cancelled or claimed by somebody else. What was done has no effect."""


class WorkerStoppingError(Exception):
    """This worker is being stopped: give the item back, so that another one does not have to wait for its lease."""


@dataclass(eq=False)
class ClaimedItem(Generic[PayloadT]):
    """A leased piece of work.

    Attributes:
        payload: the task's payload message.
        lease: the item's id and fencing token.
        attempt: from 1.
        output_prefix: blobs are written below this key; ends with a slash.
        correlation_id: of the call that made the work.
        stopping: whether this worker is being stopped.
    """

    payload: PayloadT
    lease: work_service_pb2.Lease
    attempt: int
    output_prefix: str
    correlation_id: str
    stopping: Callable[[], bool] = lambda: False
    _progress: float = 0.0
    _alive: bool = True
    _lost: bool = False

    def progress(self, share: float) -> None:
        """Says that work goes on; `share` of it is done, 0 to 1. An item that stays silent loses its lease.

        Raises:
            LeaseLostError: stop working on it.
            WorkerStoppingError: likewise.
        """
        if self._lost:
            raise LeaseLostError
        if self.stopping():
            raise WorkerStoppingError
        self._progress = max(self._progress, min(share, 1.0))
        self._alive = True

    def heartbeat(self) -> work_service_pb2.Heartbeat | None:
        """The sign of life to send, or None when nothing has happened since the last one."""
        if self._lost or not self._alive:
            return None
        self._alive = False
        return work_service_pb2.Heartbeat(lease=self.lease, progress=self._progress)

    def mark_lost(self) -> None:
        """Makes the next `progress` raise."""
        self._lost = True


class Claims:
    """The worker's side of WorkService. Every method raises `WhodexError` when the api_server refuses or is away."""

    def __init__(self, stub: work_service_pb2_grpc.WorkServiceStub, worker: str, stopping: Callable[[], bool]) -> None:
        self._stub = stub
        self._worker = worker
        self.stopping = stopping

    def claim(self, task: TaskDeclaration) -> list[ClaimedItem[Any]]:
        """Leases up to the task's `max_claim` items."""
        request = work_service_pb2.ClaimWorkRequest(task=task.name, max_items=task.max_claim, worker=self._worker)
        with _mapped_errors():
            items = self._stub.ClaimWork(request).items
        return [_claimed(item, task, self.stopping) for item in items]

    def complete(self, items: Sequence[ClaimedItem[Any]], results: Sequence[Message]) -> list[ClaimedItem[Any]]:
        """Commits one result per item; returns the items whose lease is lost, and whose result had no effect."""
        request = work_service_pb2.CompleteWorkRequest()
        for item, result in zip(items, results, strict=True):
            completion = request.completions.add(lease=item.lease)
            completion.result.Pack(result)
        with _mapped_errors():
            lost = set(self._stub.CompleteWork(request, timeout=COMPLETION_DEADLINE_SECONDS).lost_work_items)
        return [item for item in items if item.lease.work_item in lost]

    def stage(self, item: ClaimedItem[Any], ordinal: int, part: Message) -> None:
        """Stages one part of a large result under the lease."""
        request = work_service_pb2.ReportWorkRequest(lease=item.lease, ordinal=ordinal)
        request.part.Pack(part)
        with _mapped_errors():
            self._stub.ReportWork(iter([request]))

    def fail(self, item: ClaimedItem[Any], reason: FailureReason.ValueType, message: str, *, retryable: bool) -> None:
        """Ends the attempt in a failure of the item."""
        request = work_service_pb2.FailWorkRequest(
            lease=item.lease,
            reason=reason,
            message=message[:2000],
            retryable=retryable,
        )
        with _mapped_errors():
            self._stub.FailWork(request)

    def release(self, items: Sequence[ClaimedItem[Any]], why: str, delay_seconds: int) -> None:
        """Gives items back uncounted, not to be claimed again before the delay has passed."""
        request = work_service_pb2.ReleaseWorkRequest(leases=[item.lease for item in items], message=why[:2000])
        request.retry_delay.FromSeconds(delay_seconds)
        with _mapped_errors():
            self._stub.ReleaseWork(request)

    @contextmanager
    def heartbeats(self, items: Sequence[ClaimedItem[Any]]) -> Iterator[None]:
        """Keeps the leases of items that make progress alive, from a thread of its own."""
        done = threading.Event()
        thread = threading.Thread(target=self._beat, args=(items, done), name="heartbeats", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _beat(self, items: Sequence[ClaimedItem[Any]], done: threading.Event) -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            beats = [beat for item in items if (beat := item.heartbeat()) is not None]
            if beats:
                self._send(items, beats)

    def _send(self, items: Sequence[ClaimedItem[Any]], beats: Sequence[work_service_pb2.Heartbeat]) -> None:
        started = time.monotonic()
        try:
            request = work_service_pb2.HeartbeatWorkRequest(heartbeats=beats)
            lost = set(self._stub.HeartbeatWork(request, timeout=HEARTBEAT_SECONDS).lost_work_items)
        except grpc.RpcError as error:
            # The next one may come through; if none does, the lease lapses and somebody else takes the item.
            waited_s = time.monotonic() - started
            _log.warning("heartbeat not delivered", why=str(from_rpc_error(error)), waited_s=round(waited_s, 1))
            return
        for item in items:
            if item.lease.work_item in lost:
                item.mark_lost()


def _claimed(item: work_service_pb2.WorkItem, task: TaskDeclaration, stopping: Callable[[], bool]) -> ClaimedItem[Any]:
    payload = task.payload_class()
    item.payload.Unpack(payload)
    return ClaimedItem(payload, item.lease, item.attempt, item.output_prefix, item.correlation_id, stopping)


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        known: WhodexError = from_rpc_error(error)
        if isinstance(known, AbortedError):
            raise LeaseLostError from error
        raise known from error
