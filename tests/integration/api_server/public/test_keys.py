"""Keys: what each role may do, how one replaces another, and that an ended one opens nothing on any instance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc.aio
import pytest

from api_server.libraries.api_keys import MAX_ACTIVE_KEYS
from api_server.server import public_listener, resources
from whodex.errors import from_rpc_error
from whodex.runtime.server import running
from whodex.v1.content_service_pb2 import DownloadContentRequest
from whodex.v1.library_pb2 import ApiKey
from whodex.v1.library_service_pb2 import (
    CreateApiKeyRequest,
    CreateLibraryRequest,
    DeleteLibraryRequest,
    GetLibraryRequest,
    ListApiKeysRequest,
    RevokeApiKeyRequest,
    RotateApiKeyRequest,
)
from whodex.v1.people_service_pb2 import (
    DeletePersonRequest,
    ListPeopleRequest,
    UploadReferencePhotoRequest,
    WatchPersonRequest,
)

INVALID = ("UNAUTHENTICATED", "CREDENTIALS_INVALID")
NOT_ALLOWED = ("PERMISSION_DENIED", "METHOD_NOT_ALLOWED")
# Far more than a stream needs to hear of the end of its key, and far less than it would live.
SOON_SECONDS = 10

Connect = Callable[[str, str], Any]


async def new_key(api: Any, **fields: Any) -> Any:
    """Makes a key of the test's library."""
    request = CreateApiKeyRequest(parent=api.library, display_name="Key", **fields)
    return await api.admin.libraries.CreateApiKey(request)


async def listed(api: Any) -> dict[str, ApiKey]:
    """The keys of the test's library by name."""
    response = await api.admin.libraries.ListApiKeys(ListApiKeysRequest(parent=api.library))
    return {key.name: key for key in response.api_keys}


async def outcome(call: Any) -> str:
    """The reason that a call is refused with, or "OK"."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason_name
    return "OK"


async def opens(api: Any, caller: Any) -> bool:
    """Whether a key opens the test's library."""
    reason = await outcome(caller.libraries.GetLibrary(GetLibraryRequest(name=api.library)))
    assert reason in {"OK", "CREDENTIALS_INVALID"}
    return reason == "OK"


# Roles.


async def test_each_role_may_do_what_the_ones_before_it_may(api: Any, connect: Connect) -> None:
    outcomes = {}
    for role in (ApiKey.ROLE_READ, ApiKey.ROLE_WRITE, ApiKey.ROLE_ADMIN):
        caller = connect(api.address, (await new_key(api, role=role)).secret)
        person = (await api.caller.person(api.library)).name
        calls = {
            "list": caller.people.ListPeople(ListPeopleRequest(parent=api.library)),
            "create": caller.person(api.library),
            "delete": caller.people.DeletePerson(DeletePersonRequest(name=person)),
            "keys": caller.libraries.ListApiKeys(ListApiKeysRequest(parent=api.library)),
        }
        outcomes[role] = {name: await outcome(call) for name, call in calls.items()}
    no = "METHOD_NOT_ALLOWED"
    assert outcomes == {
        ApiKey.ROLE_READ: {"list": "OK", "create": no, "delete": no, "keys": no},
        ApiKey.ROLE_WRITE: {"list": "OK", "create": "OK", "delete": no, "keys": no},
        ApiKey.ROLE_ADMIN: {"list": "OK", "create": "OK", "delete": "OK", "keys": "OK"},
    }


async def test_a_key_whose_role_is_too_small_is_told_which_is_needed(api: Any, connect: Connect) -> None:
    caller = connect(api.address, (await new_key(api, role=ApiKey.ROLE_READ)).secret)
    with pytest.raises(grpc.aio.AioRpcError, match="role is READ, and the method needs WRITE"):
        await caller.person(api.library)


async def test_a_key_that_was_made_without_a_role_may_do_everything_as_before(api: Any) -> None:
    made = await new_key(api)
    assert made.api_key.role == ApiKey.ROLE_ADMIN


async def test_no_role_opens_what_is_the_admins(api: Any, connect: Connect) -> None:
    caller = connect(api.address, (await new_key(api, role=ApiKey.ROLE_ADMIN)).secret)
    call = caller.libraries.DeleteLibrary(DeleteLibraryRequest(name=api.library, force=True))
    assert await api.refused(call) == NOT_ALLOWED


# Expiry.


async def test_a_key_opens_nothing_once_it_has_expired(api: Any, connect: Connect, rows: Any) -> None:
    made = await new_key(api, ttl=timedelta(minutes=1))
    caller = connect(api.address, made.secret)
    assert await opens(api, caller)
    lifetime = made.api_key.expire_time.ToDatetime() - made.api_key.create_time.ToDatetime()
    assert lifetime == timedelta(minutes=1)
    await rows.do("UPDATE api_keys SET expire_time = now() WHERE expire_time IS NOT NULL")
    assert not await opens(api, caller)
    assert (await listed(api))[made.api_key.name].state == ApiKey.STATE_EXPIRED


@pytest.mark.parametrize(
    "fields",
    [
        {"ttl": timedelta(seconds=59)},
        {"ttl": timedelta(days=3654)},
        {"expire_time": datetime(2020, 1, 1, tzinfo=UTC)},
        {"expire_time": datetime(3000, 1, 1, tzinfo=UTC)},
        {"expire_time": {"seconds": 4_000_000_000, "nanos": 2_000_000_000}},
        {"role": 7},
    ],
)
async def test_an_end_or_a_role_that_cannot_be_is_refused(api: Any, fields: Any) -> None:
    before = await listed(api)
    assert await api.refused(new_key(api, **fields)) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert await listed(api) == before


async def test_a_key_may_end_at_a_moment(api: Any) -> None:
    end = datetime(2999, 12, 31, tzinfo=UTC)
    assert (await new_key(api, expire_time=end)).api_key.expire_time.ToDatetime(tzinfo=UTC) == end


# Use.


async def test_the_last_use_is_kept_to_the_minute(api: Any, connect: Connect, rows: Any) -> None:
    made = await new_key(api)
    assert not made.api_key.HasField("last_use_time")
    caller = connect(api.address, made.secret)
    await opens(api, caller)
    first = (await listed(api))[made.api_key.name].last_use_time
    assert first.seconds > 0
    await opens(api, caller)
    assert (await listed(api))[made.api_key.name].last_use_time == first
    await rows.do("UPDATE api_keys SET last_use_time = last_use_time - interval '1 hour'")
    await opens(api, caller)
    assert (await listed(api))[made.api_key.name].last_use_time.seconds >= first.seconds


# Rotation.


async def test_both_keys_open_the_library_until_the_overlap_ends(api: Any, connect: Connect, rows: Any) -> None:
    old = await new_key(api, role=ApiKey.ROLE_READ)
    rotate = RotateApiKeyRequest(name=old.api_key.name, overlap=timedelta(hours=2), ttl=timedelta(days=90))
    new = await api.admin.libraries.RotateApiKey(rotate)
    assert (new.api_key.role, new.api_key.display_name) == (ApiKey.ROLE_READ, "Key")
    assert new.rotated.name == old.api_key.name
    assert new.rotated.successor == new.api_key.name
    assert new.rotated.expire_time.seconds - new.api_key.create_time.seconds == timedelta(hours=2).total_seconds()
    callers = [connect(api.address, secret) for secret in (old.secret, new.secret)]
    assert [await opens(api, caller) for caller in callers] == [True, True]
    await rows.do("UPDATE api_keys SET expire_time = now() WHERE successor_id IS NOT NULL")
    assert [await opens(api, caller) for caller in callers] == [False, True]


async def test_a_rotation_without_an_overlap_ends_the_old_key(api: Any, connect: Connect) -> None:
    old = await new_key(api)
    rotate = RotateApiKeyRequest(name=old.api_key.name, overlap=timedelta(0))
    new = await api.admin.libraries.RotateApiKey(rotate)
    assert not await opens(api, connect(api.address, old.secret))
    assert await opens(api, connect(api.address, new.secret))


async def test_a_rotation_never_lengthens_the_life_of_the_old_key(api: Any) -> None:
    old = await new_key(api, ttl=timedelta(hours=1))
    new = await api.admin.libraries.RotateApiKey(RotateApiKeyRequest(name=old.api_key.name))
    assert new.rotated.expire_time == old.api_key.expire_time
    assert not new.api_key.HasField("expire_time")


async def test_a_key_has_one_active_successor(api: Any) -> None:
    old = await new_key(api)
    rotate = RotateApiKeyRequest(name=old.api_key.name)
    lost = await api.admin.libraries.RotateApiKey(rotate)
    assert await api.refused(api.admin.libraries.RotateApiKey(rotate)) == ("FAILED_PRECONDITION", "KEY_NOT_ROTATABLE")
    await api.admin.libraries.RevokeApiKey(RevokeApiKeyRequest(name=lost.api_key.name))
    again = await api.admin.libraries.RotateApiKey(rotate)
    assert again.rotated.successor == again.api_key.name


async def test_rotations_at_the_same_time_make_one_successor(api: Any) -> None:
    old = await new_key(api)
    rotate = RotateApiKeyRequest(name=old.api_key.name)
    outcomes = await asyncio.gather(*(outcome(api.admin.libraries.RotateApiKey(rotate)) for _ in range(5)))
    assert sorted(outcomes) == ["KEY_NOT_ROTATABLE"] * 4 + ["OK"]


async def test_a_key_that_has_ended_is_not_rotated(api: Any) -> None:
    old = await new_key(api)
    await api.admin.libraries.RevokeApiKey(RevokeApiKeyRequest(name=old.api_key.name))
    rotation = api.admin.libraries.RotateApiKey(RotateApiKeyRequest(name=old.api_key.name))
    assert await api.refused(rotation) == ("FAILED_PRECONDITION", "KEY_NOT_ROTATABLE")


async def test_a_library_has_a_limited_number_of_active_keys(api: Any, rows: Any) -> None:
    await rows.do(
        "INSERT INTO api_keys (id, library_id, display_name, prefix, role, secret_sha256) "
        "SELECT gen_random_uuid(), library_id, display_name, prefix, role, sha256(n::text::bytea) "
        "FROM api_keys, generate_series(1, :more) AS n",
        more=MAX_ACTIVE_KEYS - 1,
    )
    assert await api.refused(new_key(api)) == ("FAILED_PRECONDITION", "TOO_MANY_KEYS")
    one = next(iter(await listed(api)))
    await api.admin.libraries.RevokeApiKey(RevokeApiKeyRequest(name=one))
    await new_key(api)


# The end of a key, seen by what is under way on two instances.


@pytest.fixture
async def other_instance(server_settings: Any) -> AsyncIterator[str]:
    """The address of a second api_server on the same database."""
    async with resources(server_settings) as parts, running(public_listener(server_settings, parts)) as port:
        yield f"127.0.0.1:{port}"


async def _watch(caller: Any, person: str, begun: asyncio.Event) -> str:
    try:
        async for _ in caller.people.WatchPerson(WatchPersonRequest(name=person)):
            begun.set()
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason_name
    return "ended"


async def _upload(caller: Any, person: str, begun: asyncio.Event) -> str:
    """An upload whose client pauses in the middle."""
    call = caller.people.UploadReferencePhoto()
    try:
        await call.write(UploadReferencePhotoRequest(metadata={"parent": person}))
        await call.write(UploadReferencePhotoRequest(chunk=b"\xff\xd8\xff\xe0"))
        begun.set()
        await call
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason_name
    return "ended"


async def _download(caller: Any, content: str, begun: asyncio.Event) -> str:
    """A download whose client reads nothing for a while: the server waits for it, and is told of the end meanwhile."""
    call = caller.contents.DownloadContent(DownloadContentRequest(name=content))
    try:
        await call.read()
        begun.set()
        await asyncio.sleep(SOON_SECONDS / 2)
        while await call.read() is not grpc.aio.EOF:
            pass
    except grpc.aio.AioRpcError as error:
        return from_rpc_error(error).reason_name
    return "ended"


@pytest.mark.parametrize("end", ["revoked", "expired", "deleted"])
async def test_the_end_of_a_key_ends_its_streams_on_every_instance(
    api: Any, connect: Connect, rows: Any, other_instance: str, end: str
) -> None:
    made = await new_key(api)
    person = (await api.caller.person(api.library)).name
    large = (await api.caller.photo(person, api.jpeg + bytes(16 << 20))).original.name
    streams = []
    async with asyncio.TaskGroup() as group:
        for address in (api.address, other_instance):
            caller = connect(address, made.secret)
            for stream, name in ((_watch, person), (_upload, person), (_download, large)):
                begun = asyncio.Event()
                streams.append(group.create_task(stream(caller, name, begun)))
                await begun.wait()
        others = connect(other_instance, (await new_key(api)).secret)
        begun = asyncio.Event()
        goes_on = group.create_task(_watch(others, person, begun))
        await begun.wait()
        key_id = made.api_key.name.rpartition("/")[2]
        if end == "revoked":
            await api.caller.libraries.RevokeApiKey(RevokeApiKeyRequest(name=made.api_key.name))
        elif end == "expired":
            await rows.do("UPDATE api_keys SET expire_time = now() + interval '2 seconds' WHERE id = :id", id=key_id)
        else:
            await rows.do("DELETE FROM api_keys WHERE id = :id", id=key_id)
        async with asyncio.timeout(SOON_SECONDS):
            assert [await stream for stream in streams] == ["CREDENTIALS_INVALID"] * len(streams)
        assert not goes_on.done()
        goes_on.cancel()
    # Nothing is left of the uploads that were broken off.
    assert len(await rows.all("SELECT 1 FROM reference_photos")) == 1
    assert len(api.blobs()) == 1


async def test_a_revocation_between_the_check_and_the_stream_is_noticed(api: Any, connect: Connect, rows: Any) -> None:
    """The notification came before the stream listened: nothing tells it but its first look."""
    made = await new_key(api)
    person = (await api.caller.person(api.library)).name
    await rows.do("ALTER TABLE api_keys DISABLE TRIGGER whodex_notify")
    begun = asyncio.Event()
    watch = asyncio.create_task(_watch(connect(api.address, made.secret), person, begun))
    await begun.wait()
    await api.caller.libraries.RevokeApiKey(RevokeApiKeyRequest(name=made.api_key.name))
    async with asyncio.timeout(SOON_SECONDS):
        assert await watch == "CREDENTIALS_INVALID"


# The admin key.


@pytest.mark.parametrize("separator", [",", "\n", ", "])
async def test_two_admin_keys_open_while_one_replaces_the_other(
    server_settings: Any, connect: Connect, separator: str
) -> None:
    keys = ["the-first-admin-key", "the-second-admin-key"]
    settings = type(server_settings).model_validate(server_settings.model_dump() | {"admin_key": separator.join(keys)})
    async with resources(settings) as parts, running(public_listener(settings, parts)) as port:
        for key in keys:
            caller = connect(f"127.0.0.1:{port}", key)
            create = CreateLibraryRequest(display_name="Library")
            assert (await caller.libraries.CreateLibrary(create)).library.name
