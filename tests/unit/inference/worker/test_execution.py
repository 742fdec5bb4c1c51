"""Claiming, doing and giving back, over real gRPC against a WorkService that keeps its promises in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from pydantic import SecretStr

from inference.faces.errors import NoFaceError
from inference.triton.errors import TritonUnavailableError
from inference.worker import claims as claims_module
from inference.worker.claims import ClaimedItem, LeaseLostError
from inference.worker.context import WorkerContext
from inference.worker.execution import run_claims
from inference.worker.registry import Implementation, Task
from inference.worker.settings import WorkerSettings
from whodex.errors import DeadlineExceededError, ResourceExhaustedError, UnavailableError
from whodex.runtime.tasks import declared_tasks
from whodex.v1 import failure_pb2, tasks_pb2, work_service_pb2, work_service_pb2_grpc

DECLARATION = declared_tasks()["whodex.delete_blobs"]


class _WorkService(work_service_pb2_grpc.WorkServiceServicer):
    """Leases each item once; keeps what the worker says of it."""

    def __init__(self) -> None:
        self.waiting: list[work_service_pb2.WorkItem] = []
        self.lost: set[str] = set()
        self.completed: list[str] = []
        self.failed: dict[str, work_service_pb2.FailWorkRequest] = {}
        self.released: dict[str, str] = {}
        self.heartbeats: list[str] = []
        self.stopping = False

    def add(self, work_item: str, *keys: str) -> None:
        item = work_service_pb2.WorkItem(
            lease={"work_item": work_item, "fencing_token": 1}, attempt=1, output_prefix=f"{work_item}/1/"
        )
        item.payload.Pack(tasks_pb2.DeleteBlobsPayload(content_keys=keys))
        self.waiting.append(item)

    def ClaimWork(self, request, context):  # noqa: ARG002, N802
        claimed, self.waiting = self.waiting[: request.max_items], self.waiting[request.max_items :]
        return work_service_pb2.ClaimWorkResponse(items=claimed)

    def HeartbeatWork(self, request, context):  # noqa: ARG002, N802
        self.heartbeats += [beat.lease.work_item for beat in request.heartbeats]
        return work_service_pb2.HeartbeatWorkResponse(lost_work_items=self.lost)

    def CompleteWork(self, request, context):  # noqa: ARG002, N802
        items = [one.lease.work_item for one in request.completions]
        self.completed += [item for item in items if item not in self.lost]
        return work_service_pb2.CompleteWorkResponse(lost_work_items=[item for item in items if item in self.lost])

    def FailWork(self, request, context):  # noqa: N802
        if request.lease.work_item in self.lost:
            context.abort(grpc.StatusCode.ABORTED, "the lease is lost")
        self.failed[request.lease.work_item] = request
        return work_service_pb2.FailWorkResponse()

    def ReleaseWork(self, request, context):  # noqa: ARG002, N802
        self.released |= {lease.work_item: request.message for lease in request.leases}
        return work_service_pb2.ReleaseWorkResponse()


@pytest.fixture
def service() -> _WorkService:
    return _WorkService()


@pytest.fixture
def context(service) -> Iterator[WorkerContext]:
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    work_service_pb2_grpc.add_WorkServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    settings = WorkerSettings(
        broker_url=SecretStr("redis://127.0.0.1:1/0"),
        internal_address=f"127.0.0.1:{port}",
        internal_token=SecretStr("a-token-of-the-tests"),
        # Nothing listens there: Triton is away for whoever asks.
        triton_address="127.0.0.1:1",
        store_url="memory:///",
    )
    worker = WorkerContext(settings, lambda: service.stopping)
    yield worker
    worker.close()
    server.stop(grace=None).wait()


def _keys(item: ClaimedItem[Any]) -> list[str]:
    return list(item.payload.content_keys)


def _run(context: WorkerContext, implementation: Implementation) -> bool:
    return run_claims(Task(DECLARATION, implementation, str), context)


def _done(_: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> list[tasks_pb2.DeleteBlobsResult]:
    for item in items:
        if "bad" in _keys(item):
            raise ZeroDivisionError("by nothing")
        if "no-face" in _keys(item):
            raise NoFaceError("No face was found; upload another photo.")
    return [tasks_pb2.DeleteBlobsResult(deleted_count=len(_keys(item))) for item in items]


def test_everything_that_waits_is_done(context, service):
    for number in range(10):
        service.add(f"item-{number}")
    assert _run(context, _done) is False
    assert service.completed == [f"item-{number}" for number in range(10)]


def test_one_bad_item_does_not_fail_its_neighbours(context, service):
    service.add("good-1")
    service.add("bad", "bad")
    service.add("good-2")
    _run(context, _done)
    assert service.completed == ["good-1", "good-2"]
    assert list(service.failed) == ["bad"]


def test_a_defect_can_be_tried_again_and_says_what_happened(context, service):
    service.add("bad", "bad")
    _run(context, _done)
    failure = service.failed["bad"]
    assert failure.reason == failure_pb2.FAILURE_REASON_INTERNAL
    assert failure.retryable
    assert "ZeroDivisionError" in failure.message
    assert "by nothing" not in failure.message


def test_bad_media_fails_for_good_with_its_reason_and_sentence(context, service):
    service.add("photo", "no-face")
    _run(context, _done)
    failure = service.failed["photo"]
    assert failure.reason == failure_pb2.FAILURE_REASON_NO_FACE
    assert not failure.retryable
    assert failure.message == "No face was found; upload another photo."


@pytest.mark.parametrize("error", [TritonUnavailableError("Triton is away"), UnavailableError("gone", reason=18)])
def test_an_outage_gives_the_items_back_uncounted(context, service, error):
    def away(_: WorkerContext, __: Sequence[ClaimedItem[Any]]) -> list[Any]:
        raise error

    service.add("one")
    service.add("two")
    _run(context, away)
    assert service.released == {"one": str(error), "two": str(error)}
    assert service.failed == {}


def test_a_failure_of_an_item_that_is_no_longer_ours_has_no_effect(context, service):
    service.lost = {"bad"}
    service.add("bad", "bad")
    service.add("good")
    _run(context, _done)
    assert service.completed == ["good"]
    assert service.failed == {}


def test_only_an_item_that_makes_progress_keeps_its_lease(context, service, monkeypatch):
    monkeypatch.setattr(claims_module, "HEARTBEAT_SECONDS", 0.05)
    beats_of_the_silent = 3

    def work(_: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> list[tasks_pb2.DeleteBlobsResult]:
        silent, busy = items
        while service.heartbeats.count(busy.lease.work_item) < beats_of_the_silent:
            busy.progress(0.5)
        assert service.heartbeats.count(silent.lease.work_item) <= 1
        return _done(_, items)

    service.add("silent")
    service.add("busy")
    _run(context, work)
    assert service.completed == ["silent", "busy"]


def test_an_item_that_was_taken_away_stops_being_worked_on(context, service, monkeypatch):
    monkeypatch.setattr(claims_module, "HEARTBEAT_SECONDS", 0.05)

    def endless(_: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> list[Any]:
        while True:
            items[0].progress(0.1)

    service.lost = {"deleted"}
    service.add("deleted")
    assert _run(context, endless) is False
    assert service.completed == []


def test_what_was_written_for_nothing_is_deleted(context, service):
    def write(_: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> list[Any]:
        for item in items:
            context.wait(context.store.put(f"{item.output_prefix}face.jpg", b"jpeg"))
            if item.lease.work_item == "deleted meanwhile":
                raise LeaseLostError
        return [tasks_pb2.DeleteBlobsResult()] * len(items)

    service.lost = {"deleted meanwhile", "deleted before the result"}
    for item in ("kept", "deleted before the result"):
        service.add(item)
    _run(context, write)
    service.add("deleted meanwhile")
    _run(context, write)
    assert service.completed == ["kept"]
    assert context.wait(_stored(context)) == ["kept/1/face.jpg"]


def test_what_an_attempt_wrote_before_it_was_given_back_is_deleted(context, service):
    def write(_: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> list[Any]:
        context.wait(context.store.put(f"{items[0].output_prefix}face.jpg", b"jpeg"))
        raise UnavailableError("the api_server is away", reason=18)

    service.add("item")
    _run(context, write)
    assert list(service.released) == ["item"]
    assert context.wait(_stored(context)) == []


async def _stored(context: WorkerContext) -> list[str]:
    return [stored.key async for stored in context.store.list()]


def test_a_worker_that_is_stopped_gives_its_work_back_and_claims_no_more(context, service):
    def long(_: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> list[Any]:
        items[0].progress(0.1)
        service.stopping = True
        items[0].progress(0.2)
        return []

    for number in range(9):
        service.add(f"item-{number}")
    assert _run(context, long) is False
    assert list(service.released) == [f"item-{number}" for number in range(8)]
    assert len(service.waiting) == 1
    assert service.failed == {}


@pytest.mark.parametrize("error", [DeadlineExceededError("late", reason=27), ResourceExhaustedError("big", reason=27)])
def test_an_item_that_is_too_large_for_a_call_counts_its_attempts(context, service, error):
    def too_large(_: WorkerContext, __: Sequence[ClaimedItem[Any]]) -> list[Any]:
        raise error

    service.add("large")
    _run(context, too_large)
    assert service.failed["large"].retryable
    assert service.released == {}
