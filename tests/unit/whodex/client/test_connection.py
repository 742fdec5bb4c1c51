from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from whodex.client import Client, ConfigurationError
from whodex.client.connection import Connection, open_channel
from whodex.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    UnauthenticatedError,
    UnavailableError,
)
from whodex.v1 import error_reason_pb2
from whodex.v1.people_service_pb2 import (
    CreatePersonRequest,
    CreatePersonResponse,
    ListPeopleResponse,
    WatchPersonResponse,
)
from whodex.v1.people_service_pb2_grpc import PeopleServiceStub

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

PERSON = f"libraries/{uuid4()}/people/{uuid4()}"
AWAY = UnavailableError("The database is away.", reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE)


def _failing(error: Exception) -> Any:
    def answer(_request: object) -> None:
        raise error

    return answer


def _failing_once(error: Exception, response: Any) -> Any:
    errors = [error]

    def answer(_request: object) -> Any:
        if errors:
            raise errors.pop()
        return response

    return answer


def test_an_error_arrives_as_it_was_raised(api: ScriptedApi, client: Client) -> None:
    api.answers["SearchScenes"] = _failing(
        FailedPreconditionError("Add a photo first.", reason=error_reason_pb2.ERROR_REASON_PERSON_NOT_READY)
    )

    with pytest.raises(FailedPreconditionError, match=r"Add a photo first\.") as caught:
        list(client.search.scenes([PERSON]))

    assert caught.value.reason_name == "PERSON_NOT_READY"
    assert not caught.value.transient


def test_a_request_that_breaks_its_limits_names_the_field(client: Client) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.people.create("")

    assert [one.field for one in caught.value.violations] == ["display_name"]


def test_an_unknown_key_is_refused(api: ScriptedApi) -> None:
    with (
        Client(api.address, library=api.library, api_key="wrong") as client,
        pytest.raises(UnauthenticatedError) as caught,
    ):
        client.people.create("Ada")

    assert caught.value.reason_name == "CREDENTIALS_INVALID"


def test_without_a_key_nothing_is_sent(api: ScriptedApi) -> None:
    with Client(api.address, library=api.library) as client, pytest.raises(ConfigurationError, match="WHODEX_API_KEY"):
        client.people.create("Ada")


def test_without_a_library_nothing_is_sent(api: ScriptedApi) -> None:
    with Client(api.address, api_key=api.api_key) as client, pytest.raises(ConfigurationError, match="WHODEX_LIBRARY"):
        client.people.create("Ada")


def test_every_call_has_a_deadline(api: ScriptedApi) -> None:
    api.answers["GetPerson"] = lambda _request: time.sleep(1)
    with (
        Client(api.address, library=api.library, api_key=api.api_key, timeout_seconds=0.05) as client,
        pytest.raises(DeadlineExceededError) as caught,
    ):
        client.people.get(PERSON)

    assert caught.value.reason_name == "DEADLINE_PASSED"


def test_a_stream_ends_with_the_error_that_ended_it(api: ScriptedApi, client: Client) -> None:
    def deleted(_request: object) -> Iterator[WatchPersonResponse]:
        yield WatchPersonResponse(person={"name": PERSON})
        raise NotFoundError("Deleted.", reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND)

    api.answers["WatchPerson"] = deleted
    states = client.people.watch(PERSON)

    assert next(states).person.name == PERSON
    with pytest.raises(NotFoundError):
        next(states)


def test_a_stream_that_is_not_read_to_its_end_is_cancelled(api: ScriptedApi, client: Client) -> None:
    ended: list[bool] = []

    def endless(_request: object) -> Iterator[WatchPersonResponse]:
        try:
            while True:
                yield WatchPersonResponse(person={"name": PERSON})
        finally:
            ended.append(True)

    api.answers["WatchPerson"] = endless
    states = client.people.watch(PERSON)
    next(states)
    states.close()

    deadline = time.monotonic() + 5
    while not ended and time.monotonic() < deadline:
        time.sleep(0.01)
    assert ended


def test_a_read_is_repeated_when_the_server_was_away(api: ScriptedApi, client: Client) -> None:
    api.answers["ListPeople"] = _failing_once(AWAY, ListPeopleResponse(people=[{"display_name": "Ada"}]))

    assert [person.display_name for person in client.people.list()] == ["Ada"]
    assert len(api.requests("ListPeople")) == 2


def test_a_write_is_not_repeated(api: ScriptedApi, client: Client) -> None:
    api.answers["CreatePerson"] = _failing(AWAY)

    with pytest.raises(UnavailableError):
        client.people.create("Ada")

    assert len(api.requests("CreatePerson")) == 1


def _busy(retry_after_seconds: float | None) -> ResourceExhaustedError:
    reason = error_reason_pb2.ERROR_REASON_SERVER_BUSY
    return ResourceExhaustedError("One too many.", reason=reason, retry_after_seconds=retry_after_seconds)


def test_a_call_that_was_one_too_many_is_made_again_when_the_server_says(api: ScriptedApi, client: Client) -> None:
    api.answers["CreatePerson"] = _failing_once(_busy(0.05), CreatePersonResponse(person={"display_name": "Ada"}))

    assert client.people.create("Ada").display_name == "Ada"
    assert len(api.requests("CreatePerson")) == 2


def test_a_stream_that_was_one_too_many_is_opened_again(api: ScriptedApi, client: Client) -> None:
    api.answers["WatchPerson"] = _failing_once(_busy(0.05), [WatchPersonResponse(person={"name": PERSON})])

    assert [state.person.name for state in client.people.watch(PERSON)] == [PERSON]


@pytest.mark.parametrize(
    ("retry_after_seconds", "attempts"), [(None, 1), (0.01, 4), (3600, 1)], ids=["never", "soon", "past the deadline"]
)
def test_a_refusal_is_the_callers_in_the_end(
    api: ScriptedApi, client: Client, retry_after_seconds: float | None, attempts: int
) -> None:
    api.answers["GetPerson"] = _failing(_busy(retry_after_seconds))

    with pytest.raises(ResourceExhaustedError):
        client.people.get(PERSON)

    assert len(api.requests("GetPerson")) == attempts


def test_a_stream_that_has_begun_is_not_opened_again(api: ScriptedApi, client: Client) -> None:
    def broken(_request: object) -> Iterator[WatchPersonResponse]:
        yield WatchPersonResponse(person={"name": PERSON})
        raise _busy(0.01)

    api.answers["WatchPerson"] = broken

    with pytest.raises(ResourceExhaustedError):
        list(client.people.watch(PERSON))
    assert len(api.requests("WatchPerson")) == 1


def test_a_server_that_is_not_there_is_unavailable(free_port: int) -> None:
    with (
        Client(f"127.0.0.1:{free_port}", library=f"libraries/{uuid4()}", api_key="key") as client,
        pytest.raises(UnavailableError),
    ):
        client.people.create("Ada")


def test_an_upload_that_cannot_be_read_fails_with_the_reason_of_the_reader(api: ScriptedApi) -> None:
    def broken() -> Iterator[Any]:
        raise OSError("the disk is gone")
        yield

    with open_channel(api.address) as channel:
        connection = Connection(channel, key=api.api_key, library=api.library, timeout_seconds=5)
        with pytest.raises(OSError, match="the disk is gone"):
            connection.upload(PeopleServiceStub(channel).UploadReferencePhoto, broken(), 10)


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    api: ScriptedApi, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    for name in ("no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)

    with open_channel(api.address) as channel:
        connection = Connection(channel, key=api.api_key, library=api.library, timeout_seconds=5)
        request = CreatePersonRequest(parent=api.library, display_name="Ada")
        connection.call(PeopleServiceStub(channel).CreatePerson, request)


def test_a_proxy_of_the_environment_is_the_way_to_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(5)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("grpc_proxy", "no_proxy", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        with open_channel("whodex.example:7700") as channel:
            channel.subscribe(lambda _state: None, try_to_connect=True)
            connection, _ = proxy.accept()
            with connection, connection.makefile("rb") as received:
                assert received.readline().startswith(b"CONNECT whodex.example:7700 ")
