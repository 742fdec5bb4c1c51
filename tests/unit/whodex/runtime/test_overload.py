"""What a server does not put up with, over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import grpc
import pytest
from pydantic import SecretStr

from whodex.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    QuotaViolation,
    ResourceExhaustedError,
    UnauthenticatedError,
    WhodexError,
    from_rpc_error,
)
from whodex.runtime.call_limits import CallLimits
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import internal_credential
from whodex.runtime.server import Listener, Service, running
from whodex.runtime.strangers import WRONG_BURST
from whodex.v1 import people_service_pb2 as pb
from whodex.v1.people_service_pb2_grpc import (
    PeopleServiceServicer,
    PeopleServiceStub,
    add_PeopleServiceServicer_to_server,
)

TOKEN = "a-token-of-the-tests"  # noqa: S105 - of these tests only
PERSON = f"libraries/{uuid4()}/people/{uuid4()}"
METHOD = "/whodex.v1.PeopleService"


class _People(PeopleServiceServicer):
    def __init__(self) -> None:
        self.calls = 0
        self.watching = 0
        self.may_answer = asyncio.Event()

    async def GetPerson(self, request: Any, _context: object) -> pb.GetPersonResponse:  # noqa: N802
        self.calls += 1
        await self.may_answer.wait()
        return pb.GetPersonResponse(person={"name": request.name})

    async def WatchPerson(self, request: Any, _context: object) -> AsyncIterator[pb.WatchPersonResponse]:  # noqa: N802
        self.watching += 1
        try:
            yield pb.WatchPersonResponse(person={"name": request.name})
            await asyncio.Event().wait()
        finally:
            self.watching -= 1

    async def ListPeople(self, request: Any, _context: object) -> pb.ListPeopleResponse:  # noqa: ARG002, N802
        return pb.ListPeopleResponse()

    async def UploadReferencePhoto(  # noqa: N802
        self, request_iterator: AsyncIterator[Any], _context: object
    ) -> pb.UploadReferencePhotoResponse:
        return pb.UploadReferencePhotoResponse(photo={"width": len([one async for one in request_iterator])})


@pytest.fixture
def people() -> _People:
    return _People()


@asynccontextmanager
async def _connected(people: _People, limits: CallLimits, token: str = TOKEN) -> AsyncIterator[Any]:
    service = Service("whodex.v1.PeopleService", add_PeopleServiceServicer_to_server, people)
    listener = Listener("127.0.0.1:0", [service], internal_credential(SecretStr(TOKEN)), limits=limits)
    async with running(listener) as port, internal_channel(f"127.0.0.1:{port}", token) as channel:
        yield channel


async def _error(call: Any) -> WhodexError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


def _get(channel: Any) -> Any:
    return PeopleServiceStub(channel).GetPerson(pb.GetPersonRequest(name=PERSON))


async def test_as_many_calls_as_may_run_at_once_do_and_the_next_is_told_when_to_come_back(people: _People) -> None:
    async with _connected(people, CallLimits(max_calls=2)) as channel:
        running_calls = [_get(channel) for _ in range(2)]
        while people.calls < 2:
            await asyncio.sleep(0.01)

        error = await _error(_get(channel))

        people.may_answer.set()
        assert [(await call).person.name for call in running_calls] == [PERSON] * 2
        assert (await _get(channel)).person.name == PERSON
    assert isinstance(error, ResourceExhaustedError)
    assert error.reason_name == "SERVER_BUSY"
    assert error.retry_after_seconds == 1
    assert error.quota == QuotaViolation("the server", "calls at once", 2)


async def test_a_stream_that_falls_silent_is_ended(people: _People) -> None:
    async def one_and_no_more() -> AsyncIterator[pb.UploadReferencePhotoRequest]:
        yield pb.UploadReferencePhotoRequest(chunk=b"x")
        await asyncio.Event().wait()

    async with _connected(people, CallLimits(idle_seconds=0.1)) as channel:
        error = await _error(PeopleServiceStub(channel).UploadReferencePhoto(one_and_no_more()))
    assert isinstance(error, DeadlineExceededError)
    assert error.reason_name == "STREAM_IDLE"


async def test_a_unary_call_whose_request_never_comes_is_ended(people: _People) -> None:
    async with _connected(people, CallLimits(idle_seconds=0.1)) as channel:
        call = channel.stream_unary(f"{METHOD}/GetPerson", lambda _: b"", pb.GetPersonResponse.FromString)
        silent = asyncio.Event()

        async def nothing() -> AsyncIterator[bytes]:
            await silent.wait()
            yield b""

        error = await _error(call(nothing()))
        silent.set()
    assert error.reason_name == "STREAM_IDLE"


async def test_a_watch_without_a_deadline_gets_one(people: _People) -> None:
    async with _connected(people, CallLimits(response_stream_seconds=0.1)) as channel:
        watch = PeopleServiceStub(channel).WatchPerson(pb.WatchPersonRequest(name=PERSON))
        assert (await watch.read()).person.name == PERSON
        error = await _error(watch.read())
        assert people.watching == 0
    assert error.reason_name == "DEADLINE_PASSED"


async def test_a_unary_call_without_a_deadline_gets_one(people: _People) -> None:
    async with _connected(people, CallLimits(unary_seconds=0.1)) as channel:
        # The channel gives unary calls a deadline; this one goes around that.
        call = channel.unary_stream(f"{METHOD}/GetPerson", pb.GetPersonRequest.SerializeToString)
        error = await _error(call(pb.GetPersonRequest(name=PERSON)).read())
    assert error.reason_name == "DEADLINE_PASSED"


async def test_a_message_that_is_larger_than_a_valid_one_is_refused_unread(people: _People) -> None:
    async with _connected(people, CallLimits()) as channel:
        error = await _error(PeopleServiceStub(channel).ListPeople(pb.ListPeopleRequest(page_token="x" * 70_000)))
    assert isinstance(error, ResourceExhaustedError)
    assert error.reason_name == "MESSAGE_TOO_LARGE"
    assert error.quota == QuotaViolation(f"{METHOD}/ListPeople", "bytes of a message", 65_536)


async def test_bytes_that_are_no_message_are_the_callers_mistake(people: _People) -> None:
    async with _connected(people, CallLimits()) as channel:
        error = await _error(channel.unary_unary(f"{METHOD}/GetPerson")(b"\xff\xff\xff"))
    assert isinstance(error, InvalidArgumentError)


async def test_a_call_without_a_request_is_the_callers_mistake(people: _People) -> None:
    async with _connected(people, CallLimits()) as channel:
        error = await _error(channel.stream_unary(f"{METHOD}/GetPerson")(iter([])))
    assert isinstance(error, InvalidArgumentError)


async def test_metadata_that_is_too_large_does_not_reach_a_method(people: _People) -> None:
    async with _connected(people, CallLimits()) as channel:
        stub = PeopleServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListPeople(pb.ListPeopleRequest(), metadata=(("x-large", "x" * 20_000),))
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_who_tries_keys_is_refused_before_they_are_looked_up(people: _People) -> None:
    async with _connected(people, CallLimits(), token="a-wrong-token") as channel:  # noqa: S106 - of this test only
        errors = [await _error(PeopleServiceStub(channel).ListPeople(pb.ListPeopleRequest())) for _ in range(40)]
    wrong = [error for error in errors if isinstance(error, UnauthenticatedError)]
    throttled = [error for error in errors if error.reason_name == "AUTHENTICATION_THROTTLED"]
    assert len(wrong) >= WRONG_BURST
    assert throttled
    assert len(wrong) + len(throttled) == len(errors)


async def test_the_request_of_a_stranger_is_not_read(people: _People) -> None:
    taken = 0

    async def requests() -> AsyncIterator[pb.UploadReferencePhotoRequest]:
        nonlocal taken
        while True:
            taken += 1
            yield pb.UploadReferencePhotoRequest(chunk=bytes(1 << 20))

    async with _connected(people, CallLimits(), token="a-wrong-token") as channel:  # noqa: S106 - of this test only
        error = await _error(PeopleServiceStub(channel).UploadReferencePhoto(requests()))
    # grpc.aio's client says INTERNAL when a call ends while it sends, and then not why.
    assert isinstance(error, UnauthenticatedError | InternalError)
    # No more than fits into what gRPC has under way.
    assert taken < 20
