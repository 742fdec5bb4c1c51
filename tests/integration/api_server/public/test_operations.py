"""OperationsService where no worker runs: what it says then, and that it leaves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
import pytest

from api_server.database.engine import Database
from api_server.work import registration
from whodex.runtime.tasks import declared_tasks
from whodex.v1.decoder_pb2 import SANDBOX_LAYER_LANDLOCK, SANDBOX_LAYER_NAMESPACES
from whodex.v1.embedding_pb2 import EmbeddingSpace
from whodex.v1.operations_service_pb2 import ListTasksRequest, SmokeTestRequest
from whodex.v1.operations_service_pb2_grpc import OperationsServiceStub
from whodex.v1.work_service_pb2 import RegisterWorkerRequest

SECOND = {"seconds": 1}


@pytest.fixture
def has_media():
    return True


@pytest.fixture
def server_settings(server_settings, tmp_path, has_media):
    """With sample media that no worker will ever look at."""
    if not has_media:
        return server_settings
    media = {}
    for name, data in (("smoke_photo", b"\xff\xd8\xff\xe0" + bytes(99)), ("smoke_video", b"\0\0\0\x18ftypmp42")):
        media[name] = tmp_path / name
        media[name].write_bytes(data)
    return server_settings.model_copy(update=media)


@pytest.fixture
def operations(api) -> Any:
    return OperationsServiceStub(api.admin.channel)


async def libraries(database: Database) -> list[str]:
    async with database.reads() as session:
        connection = await session.connection()
        rows = await connection.exec_driver_sql("SELECT display_name FROM libraries")
    return [row.display_name for row in rows]


async def wait_until_clean(database):
    async with asyncio.timeout(10):
        while await libraries(database) != ["Library"]:
            await asyncio.sleep(0.05)


async def test_every_declared_task_is_listed_with_what_waits(api, operations):
    person = await api.caller.person(api.library)
    await api.caller.photo(person.name)

    tasks = (await operations.ListTasks(ListTasksRequest())).tasks

    assert [task.task for task in tasks] == sorted(declared_tasks())
    waiting = {task.task: task.waiting_count for task in tasks}
    assert waiting == {
        "whodex.analyze_reference_photo": 1,
        "whodex.delete_blobs": 0,
        "whodex.process_video": 0,
    }


async def test_it_is_listed_what_the_decoders_of_each_machine_lack(operations, database):
    async def register(worker: str, *layers: int) -> None:
        request = RegisterWorkerRequest(worker=worker, tasks=declared_tasks(), missing_sandbox_layers=layers)
        request.embedding_space.CopyFrom(EmbeddingSpace(space="test", dimension=8, model="test"))
        await registration.register(database.system, request)

    await register("one/11", SANDBOX_LAYER_LANDLOCK)
    await register("two/12", SANDBOX_LAYER_NAMESPACES)
    await register("two/13")

    hosts = (await operations.ListTasks(ListTasksRequest())).decoder_hosts

    assert [(host.host, list(host.missing_layers)) for host in hosts] == [
        ("one", [SANDBOX_LAYER_LANDLOCK]),
        ("two", []),
    ]
    assert all(host.report_time.seconds > 0 for host in hosts)


async def test_without_workers_every_task_fails_with_what_to_do(operations, database):
    outcomes = [outcome async for outcome in operations.SmokeTest(SmokeTestRequest(task_timeout=SECOND))]

    assert sorted(outcome.task for outcome in outcomes) == sorted(declared_tasks())
    assert not any(outcome.passed for outcome in outcomes)
    assert "Does a worker for the queue photos run?" in outcomes[0].message
    assert outcomes[0].elapsed.ToTimedelta().total_seconds() == pytest.approx(1, abs=0.9)
    await wait_until_clean(database)


@pytest.mark.parametrize("outcomes", [0, 1])
async def test_a_client_that_hangs_up_leaves_no_library(operations, database, outcomes):
    call = operations.SmokeTest(SmokeTestRequest(task_timeout=SECOND))
    for _ in range(outcomes):
        await call.read()
    async with asyncio.timeout(10):
        while "smoke test" not in await libraries(database):
            await asyncio.sleep(0.02)

    call.cancel()

    await wait_until_clean(database)


@pytest.mark.parametrize("has_media", [False])
async def test_without_sample_media_it_says_which_settings_are_missing(api, operations):
    async def run():
        return [outcome async for outcome in operations.SmokeTest(SmokeTestRequest())]

    assert await api.refused(run()) == ("FAILED_PRECONDITION", "SAMPLE_MEDIA_MISSING")


async def test_a_key_of_a_library_does_not_open_it(api):
    stub: Any = OperationsServiceStub(api.caller.channel)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListTasks(ListTasksRequest())
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
