"""The server bootstrap, over real gRPC on a loopback port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from whodex.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
    WhodexError,
    from_rpc_error,
)
from whodex.runtime.channel import internal_channel, internal_channel_sync
from whodex.runtime.credentials import internal_credential
from whodex.runtime.server import AddressError, Listener, Service, running
from whodex.v1 import error_reason_pb2, people_service_pb2, people_service_pb2_grpc

TOKEN = "a-token-of-the-tests"  # noqa: S105 - of these tests only
LIBRARY = f"libraries/{uuid4()}"


class _People(people_service_pb2_grpc.PeopleServiceServicer):
    """Answers by the name asked for, so that each path through the interceptor can be walked."""

    async def CreatePerson(  # noqa: N802
        self, request: people_service_pb2.CreatePersonRequest, _context: object
    ) -> people_service_pb2.CreatePersonResponse:
        if request.display_name == "defect":
            raise ZeroDivisionError
        if request.display_name == "missing":
            raise NotFoundError("No such library.", reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND)
        if request.display_name == "slow":
            raise TimeoutError
        if request.display_name == "away":
            raise UnavailableError(
                "Away.", reason=error_reason_pb2.ERROR_REASON_INDEX_UNAVAILABLE, retry_after_seconds=2
            )
        return people_service_pb2.CreatePersonResponse(person={"display_name": request.display_name})

    async def WatchPerson(  # noqa: N802
        self, request: people_service_pb2.WatchPersonRequest, _context: object
    ) -> AsyncIterator[people_service_pb2.WatchPersonResponse]:
        yield people_service_pb2.WatchPersonResponse(person={"name": request.name})
        raise NotFoundError("It was deleted.", reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND)

    async def UploadReferencePhoto(  # noqa: N802
        self, request_iterator: AsyncIterator[people_service_pb2.UploadReferencePhotoRequest], _context: object
    ) -> people_service_pb2.UploadReferencePhotoResponse:
        sizes = [len(request.chunk) async for request in request_iterator]
        return people_service_pb2.UploadReferencePhotoResponse(photo={"width": sum(sizes)})


async def _down() -> None:
    raise ConnectionError("the index is away")


@pytest.fixture
async def port() -> AsyncIterator[int]:
    service = Service("whodex.v1.PeopleService", people_service_pb2_grpc.add_PeopleServiceServicer_to_server, _People())
    async with running(Listener("127.0.0.1:0", [service], internal_credential(SecretStr(TOKEN)))) as bound:
        yield bound


@pytest.fixture
async def stub(port: int) -> AsyncIterator[people_service_pb2_grpc.PeopleServiceAsyncStub]:
    async with internal_channel(f"127.0.0.1:{port}", TOKEN) as channel:
        yield people_service_pb2_grpc.PeopleServiceStub(channel)


def _request(display_name: str) -> people_service_pb2.CreatePersonRequest:
    return people_service_pb2.CreatePersonRequest(parent=LIBRARY, display_name=display_name)


async def _error(call: object) -> WhodexError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def test_a_valid_call_is_answered(stub):
    response = await stub.CreatePerson(_request("Ada"))
    assert response.person.display_name == "Ada"


async def test_a_request_over_its_limits_lists_the_fields(stub):
    error = await _error(stub.CreatePerson(people_service_pb2.CreatePersonRequest(parent="libraries/nonsense")))
    assert isinstance(error, InvalidArgumentError)
    assert error.reason_name == "INVALID_FIELD"
    assert [violation.field for violation in error.violations] == ["parent", "display_name"]


async def test_each_message_of_a_stream_is_checked(stub):
    async def requests() -> AsyncIterator[people_service_pb2.UploadReferencePhotoRequest]:
        yield people_service_pb2.UploadReferencePhotoRequest(chunk=b"x")
        yield people_service_pb2.UploadReferencePhotoRequest(chunk=bytes(1048577))

    error = await _error(stub.UploadReferencePhoto(requests()))
    assert isinstance(error, InvalidArgumentError)
    assert error.violations[0].field == "chunk"


async def test_an_error_keeps_its_class_reason_and_sentence(stub):
    error = await _error(stub.CreatePerson(_request("missing")))
    assert isinstance(error, NotFoundError)
    assert (error.reason_name, error.message) == ("RESOURCE_NOT_FOUND", "No such library.")


async def test_a_transient_error_says_when_to_try_again(stub):
    error = await _error(stub.CreatePerson(_request("away")))
    assert error.transient
    assert error.retry_after_seconds == 2


async def test_a_defect_hides_its_cause_and_names_the_correlation_id(stub):
    error = await _error(stub.CreatePerson(_request("defect"), metadata=(("x-correlation-id", "trace-7"),)))
    assert isinstance(error, InternalError)
    assert "ZeroDivisionError" not in error.message


async def test_a_timeout_within_the_server_is_a_passed_deadline(stub):
    error = await _error(stub.CreatePerson(_request("slow")))
    assert isinstance(error, DeadlineExceededError)
    assert error.reason_name == "DEADLINE_PASSED"


async def test_a_stream_ends_with_the_error_after_its_messages(stub):
    call = stub.WatchPerson(people_service_pb2.WatchPersonRequest(name=f"{LIBRARY}/people/{uuid4()}"))
    assert (await call.read()).person.name
    assert isinstance(await _error(call.read()), NotFoundError)


@pytest.mark.parametrize("token", ["wrong", ""])
async def test_a_wrong_or_missing_credential_is_refused(port, token):
    async with internal_channel(f"127.0.0.1:{port}", token) as channel:
        error = await _error(people_service_pb2_grpc.PeopleServiceStub(channel).CreatePerson(_request("Ada")))
    assert isinstance(error, UnauthenticatedError)


async def test_health_needs_no_credential_and_follows_the_checks():
    add = people_service_pb2_grpc.add_PeopleServiceServicer_to_server
    service = Service("whodex.v1.PeopleService", add, _People(), checks=[_down])
    async with (
        running(Listener("127.0.0.1:0", [service], internal_credential(SecretStr(TOKEN)))) as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=service.name))
        async for response in watch:
            if response.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                return


async def test_an_address_in_use_is_an_error(port):
    service = Service("whodex.v1.PeopleService", people_service_pb2_grpc.add_PeopleServiceServicer_to_server, _People())
    with pytest.raises(AddressError, match=str(port)):
        async with running(Listener(f"127.0.0.1:{port}", [service], internal_credential(SecretStr(TOKEN)))):
            pass


async def test_the_sync_channel_sends_the_same_credential(port):
    def call() -> str:
        with internal_channel_sync(f"127.0.0.1:{port}", TOKEN) as channel:
            return people_service_pb2_grpc.PeopleServiceStub(channel).CreatePerson(_request("Ada")).person.display_name

    assert await asyncio.to_thread(call) == "Ada"
