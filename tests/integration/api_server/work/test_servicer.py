"""WorkService over real gRPC."""

from __future__ import annotations

from uuid import uuid4

import grpc
import pytest
from google.protobuf import any_pb2
from pydantic import SecretStr

from api_server.work.servicer import WorkServicer
from whodex.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    UnauthenticatedError,
    from_rpc_error,
)
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import internal_credential
from whodex.runtime.server import Listener, Service, running
from whodex.runtime.tasks import declared_tasks
from whodex.v1 import embedding_pb2, failure_pb2, tasks_pb2
from whodex.v1 import work_service_pb2 as pb
from whodex.v1.error_reason_pb2 import ERROR_REASON_LEASE_LOST, ERROR_REASON_WORKER_MISMATCH
from whodex.v1.work_service_pb2_grpc import WorkServiceStub, add_WorkServiceServicer_to_server

TOKEN = "token-of-the-internal-services"  # noqa: S105


@pytest.fixture
async def address(database):
    service = Service("whodex.v1.WorkService", add_WorkServiceServicer_to_server, WorkServicer(database))
    listener = Listener("127.0.0.1:0", [service], internal_credential(SecretStr(TOKEN)))
    async with running(listener) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture
async def work(address):
    async with internal_channel(address, TOKEN) as channel:
        yield WorkServiceStub(channel)


async def error_of(call):
    with pytest.raises(grpc.RpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def pack(message):
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def registration(**values: object) -> pb.RegisterWorkerRequest:
    threshold = embedding_pb2.Threshold(
        false_match_rate=embedding_pb2.FALSE_MATCH_RATE_ONE_IN_1000, similarity=0.29, extrapolated=False
    )
    space = embedding_pb2.EmbeddingSpace(space="test-space", dimension=8, model="test", thresholds=[threshold])
    for name, value in values.items():
        setattr(space, name, value)
    return pb.RegisterWorkerRequest(worker="worker-1", tasks=declared_tasks(), embedding_space=space)


async def claim_one(work, task):
    response = await work.ClaimWork(pb.ClaimWorkRequest(task=task, max_items=1, worker="worker-1"))
    (item,) = response.items
    return item


async def test_a_photo_from_claim_to_completion(work, worker, rows, samples):
    await work.RegisterWorker(registration())
    library = await rows.library()
    photo = await rows.photo(library, await rows.person(library))

    item = await claim_one(work, worker.photos)
    payload = tasks_pb2.AnalyzeReferencePhotoPayload()
    assert item.payload.Unpack(payload)
    assert payload.photo.endswith(f"/photos/{photo}")
    assert (item.attempt, item.correlation_id) == (1, "test-call")
    assert item.output_prefix == f"work/{library}/{photo}/{item.lease.work_item}/1/"
    completion = pb.Completion(lease=item.lease, result=pack(samples.photo_result()))
    response = await work.CompleteWork(pb.CompleteWorkRequest(completions=[completion]))

    assert list(response.lost_work_items) == []
    assert (await rows.one("SELECT state FROM reference_photos")).state == "ready"


async def test_a_video_from_report_to_completion(work, worker, rows, samples):
    await work.RegisterWorker(registration())
    await rows.video(await rows.library())
    item = await claim_one(work, worker.videos)
    await work.HeartbeatWork(pb.HeartbeatWorkRequest(heartbeats=[pb.Heartbeat(lease=item.lease, progress=0.5)]))

    async def reports():
        for ordinal in range(70):
            request = pb.ReportWorkRequest(ordinal=ordinal, part=pack(samples.video_part(10 * ordinal, (1,))))
            if ordinal == 0:
                request.lease.CopyFrom(item.lease)
            yield request

    assert (await work.ReportWork(reports())).staged_count == 70
    completion = pb.Completion(lease=item.lease, result=pack(samples.video_result(70)))
    await work.CompleteWork(pb.CompleteWorkRequest(completions=[completion]))

    assert (await rows.one("SELECT appearance_count FROM videos")).appearance_count == 70


async def test_the_first_worker_registers_its_space_and_a_second_one_fits(work, rows):
    response = await work.RegisterWorker(registration())
    await work.RegisterWorker(registration())

    assert response.lease_duration.ToTimedelta() == 3 * response.heartbeat_interval.ToTimedelta()
    row = await rows.one("SELECT * FROM embedding_spaces")
    assert (row.space, row.dimension, row.model) == ("test-space", 8, "test")
    assert row.thresholds == [{"false_match_rate": 2, "similarity": pytest.approx(0.29), "extrapolated": False}]


@pytest.mark.parametrize(
    ("differing", "said"), [({"space": "other"}, "space is 'other'"), ({"dimension": 16}, "dimension is 16")]
)
async def test_a_worker_with_another_model_is_refused(work, differing, said):
    await work.RegisterWorker(registration())

    error = await error_of(work.RegisterWorker(registration(**differing)))

    assert isinstance(error, FailedPreconditionError)
    assert error.reason == ERROR_REASON_WORKER_MISMATCH
    assert said in error.message


async def test_a_worker_with_other_tasks_is_refused_and_registers_nothing(work, rows):
    request = registration()
    request.tasks.remove("whodex.delete_blobs")
    request.tasks.append("whodex.brew_coffee")

    error = await error_of(work.RegisterWorker(request))

    assert error.reason == ERROR_REASON_WORKER_MISMATCH
    assert "does not implement whodex.delete_blobs" in error.message
    assert "implements whodex.brew_coffee, which is not declared" in error.message
    assert await rows.all("SELECT * FROM embedding_spaces") == []


async def test_a_late_failure_is_answered_lease_lost(work):
    lease = pb.Lease(work_item=str(uuid4()), fencing_token=1)
    request = pb.FailWorkRequest(lease=lease, reason=failure_pb2.FAILURE_REASON_NO_FACE, message="No face.")

    error = await error_of(work.FailWork(request))

    assert isinstance(error, AbortedError)
    assert error.reason == ERROR_REASON_LEASE_LOST


async def test_late_heartbeats_results_and_releases_are_told(work, samples):
    lease = pb.Lease(work_item=str(uuid4()), fencing_token=1)

    beat = await work.HeartbeatWork(pb.HeartbeatWorkRequest(heartbeats=[pb.Heartbeat(lease=lease)]))
    completion = pb.Completion(lease=lease, result=pack(samples.photo_result()))
    done = await work.CompleteWork(pb.CompleteWorkRequest(completions=[completion]))
    await work.ReleaseWork(pb.ReleaseWorkRequest(leases=[lease], message="Stopping."))

    assert list(beat.lost_work_items) == list(done.lost_work_items) == [lease.work_item]


async def test_a_report_needs_its_lease_first_and_only_there(work, samples):
    part = pack(samples.video_part(0))
    lease = pb.Lease(work_item=str(uuid4()), fencing_token=1)

    without = await error_of(work.ReportWork(iter([pb.ReportWorkRequest(part=part)])))
    twice = await error_of(work.ReportWork(iter([pb.ReportWorkRequest(lease=lease, part=part)] * 2)))
    empty = await error_of(work.ReportWork(iter([])))

    assert all(isinstance(error, InvalidArgumentError) for error in (without, twice, empty))
    assert "missing in the first message" in without.message
    assert "after the first" in twice.message


async def test_clients_keys_do_not_open_it(address):
    async with internal_channel(address, "some-other-credential") as channel:
        error = await error_of(WorkServiceStub(channel).RegisterWorker(registration()))

    assert isinstance(error, UnauthenticatedError)
