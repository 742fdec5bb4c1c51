"""WorkService: converts, calls the use case, converts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from google.protobuf import any_pb2, duration_pb2
from grpc.aio import ServicerContext

from api_server.database.engine import Database
from api_server.results.registry import effects_by_task
from api_server.work import attempts, staging
from api_server.work.claim import HEARTBEAT_INTERVAL, LEASE, claim
from api_server.work.completion import complete
from api_server.work.heartbeat import heartbeat
from api_server.work.items import Item, Lease
from api_server.work.registration import register
from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import error_reason_pb2
from whodex.v1 import work_service_pb2 as pb
from whodex.v1.work_service_pb2_grpc import WorkServiceServicer

# Parts are written in groups: large enough to save round trips, small enough to keep the memory of a stream bounded.
_STAGE_PARTS = 32
_STAGE_BYTES = 4 * 1024 * 1024

Context = ServicerContext[Any, Any]


class WorkServicer(WorkServiceServicer):
    """Serves the workers.

    Raises:
        UnappliedTaskError: when made, if a declared task's result would have no effect.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._effects = effects_by_task()

    async def RegisterWorker(self, request: pb.RegisterWorkerRequest, context: Context) -> pb.RegisterWorkerResponse:
        """Lets a worker in, or says what differs."""
        await register(self._database, request)
        return pb.RegisterWorkerResponse(
            lease_duration=_duration(LEASE), heartbeat_interval=_duration(HEARTBEAT_INTERVAL)
        )

    async def ClaimWork(self, request: pb.ClaimWorkRequest, context: Context) -> pb.ClaimWorkResponse:
        """Leases items."""
        items = await claim(
            self._database, self._effects, request.task, max_items=request.max_items, worker=request.worker
        )
        return pb.ClaimWorkResponse(items=[_to_proto(item) for item in items])

    async def HeartbeatWork(self, request: pb.HeartbeatWorkRequest, context: Context) -> pb.HeartbeatWorkResponse:
        """Extends leases."""
        progress = {Lease.from_proto(beat.lease): beat.progress for beat in request.heartbeats}
        lost = await heartbeat(self._database, self._effects, progress)
        return pb.HeartbeatWorkResponse(lost_work_items=[str(lease.item_id) for lease in lost])

    async def ReportWork(
        self, request_iterator: AsyncIterator[pb.ReportWorkRequest], context: Context
    ) -> pb.ReportWorkResponse:
        """Stages parts in groups as they come."""
        lease: Lease | None = None
        group: list[tuple[int, any_pb2.Any]] = []
        size = 0
        async for request in request_iterator:
            lease = _lease_of_stream(request, lease)
            group.append((request.ordinal, request.part))
            size += len(request.part.value)
            if len(group) >= _STAGE_PARTS or size >= _STAGE_BYTES:
                await staging.stage(self._database, self._effects, lease, group)
                group, size = [], 0
        if lease is None:
            raise _invalid("lease", "the stream holds no message")
        if group:
            await staging.stage(self._database, self._effects, lease, group)
        return pb.ReportWorkResponse(staged_count=await staging.staged_count(self._database, lease))

    async def CompleteWork(self, request: pb.CompleteWorkRequest, context: Context) -> pb.CompleteWorkResponse:
        """Commits results."""
        results = {Lease.from_proto(one.lease): one.result for one in request.completions}
        lost = await complete(self._database, self._effects, results)
        return pb.CompleteWorkResponse(lost_work_items=[str(lease.item_id) for lease in lost])

    async def FailWork(self, request: pb.FailWorkRequest, context: Context) -> pb.FailWorkResponse:
        """Ends an attempt in a failure."""
        failure = attempts.AttemptFailure(request.reason, request.message, request.retryable)
        await attempts.fail(self._database, self._effects, Lease.from_proto(request.lease), failure)
        return pb.FailWorkResponse()

    async def ReleaseWork(self, request: pb.ReleaseWorkRequest, context: Context) -> pb.ReleaseWorkResponse:
        """Takes items back."""
        leases = [Lease.from_proto(lease) for lease in request.leases]
        delay = _delay(request.retry_delay)
        await attempts.release(self._database, self._effects, leases, request.message, delay)
        return pb.ReleaseWorkResponse()


def _to_proto(item: Item) -> pb.WorkItem:
    name = item.declaration.payload_class.DESCRIPTOR.full_name
    return pb.WorkItem(
        lease=pb.Lease(work_item=str(item.id), fencing_token=item.fencing_token),
        payload=any_pb2.Any(type_url=f"type.googleapis.com/{name}", value=item.payload),
        attempt=item.attempts + 1,
        output_prefix=item.output_prefix,
        correlation_id=item.correlation_id,
    )


def _lease_of_stream(request: pb.ReportWorkRequest, known: Lease | None) -> Lease:
    if known is not None and request.HasField("lease"):
        raise _invalid("lease", "set in a message after the first")
    if known is None and not request.HasField("lease"):
        raise _invalid("lease", "missing in the first message")
    return known or Lease.from_proto(request.lease)


def _duration(value: timedelta) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(value)
    return duration


def _delay(duration: duration_pb2.Duration) -> timedelta:
    return max(duration.ToTimedelta(), timedelta(0))


def _invalid(field: str, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{field}: {problem}.",
        reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
        violations=[FieldViolation(field, problem)],
    )
