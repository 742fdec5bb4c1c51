"""The audit log over the public API, and that nobody changes it unnoticed."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from api_server.database.engine import Database
from whodex import audit
from whodex.v1.audit_pb2 import AUDIT_ACTION_CREATE_PERSON, AuditAction, AuditEntry, AuditHead
from whodex.v1.audit_service_pb2 import GetAuditHeadRequest, ListAuditEntriesRequest
from whodex.v1.library_service_pb2 import DeleteLibraryRequest, ListApiKeysRequest, RevokeApiKeyRequest
from whodex.v1.people_service_pb2 import DeletePersonRequest, DeleteReferencePhotoRequest, UpdatePersonRequest
from whodex.v1.search_service_pb2 import IdentifyFacesRequest, SearchScenesRequest, VerifyFacesRequest
from whodex.v1.video_service_pb2 import DeleteVideoRequest


async def _entries(caller: Any, library: str, **filters: Any) -> list[AuditEntry]:
    entries, request = [], ListAuditEntriesRequest(parent=library, page_size=3, **filters)
    while True:
        page = await caller.audit.ListAuditEntries(request)
        entries += page.audit_entries
        if not page.next_page_token:
            return entries
        request.page_token = page.next_page_token


async def _head(caller: Any, library: str) -> AuditHead:
    head: AuditHead = (await caller.audit.GetAuditHead(GetAuditHeadRequest(parent=library))).audit_head
    return head


def _action(entry: AuditEntry) -> str:
    return AuditAction.Name(entry.action).removeprefix("AUDIT_ACTION_")


async def test_everything_that_touches_people_is_in_the_log(api: Any) -> None:
    (key,) = (await api.caller.libraries.ListApiKeys(ListApiKeysRequest(parent=api.library))).api_keys
    person = await api.caller.person(api.library)
    person.display_name = "Grace"
    update = UpdatePersonRequest(person=person, update_mask={"paths": ["display_name"]})
    await api.caller.people.UpdatePerson(update)
    photo, video = await api.caller.photo(person.name), await api.caller.video(api.library)
    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=photo.name))
    await api.caller.people.DeletePerson(DeletePersonRequest(name=person.name))
    await api.caller.videos.DeleteVideo(DeleteVideoRequest(name=video.name))
    await api.admin.libraries.RevokeApiKey(RevokeApiKeyRequest(name=key.name))
    await api.admin.libraries.DeleteLibrary(DeleteLibraryRequest(name=api.library))

    entries = await _entries(api.admin, api.library)

    by_key = f"apiKeys/{key.name.rpartition('/')[2]}"
    assert [(_action(entry), entry.actor, entry.resource) for entry in entries] == [
        ("CREATE_LIBRARY", "admin", api.library),
        ("CREATE_KEY", "admin", key.name),
        ("CREATE_PERSON", by_key, person.name),
        ("UPDATE_PERSON", by_key, person.name),
        ("UPLOAD_PHOTO", by_key, photo.name),
        ("UPLOAD_VIDEO", by_key, video.name),
        ("DELETE", by_key, photo.name),
        ("DELETE", by_key, person.name),
        ("DELETE", by_key, video.name),
        ("REVOKE_KEY", "admin", key.name),
        ("DELETE", "admin", api.library),
    ]
    assert {entry.outcome for entry in entries} == {"OK"}
    assert audit.verify(entries, [await _head(api.admin, api.library)]) == len(entries)


async def test_searches_are_in_the_log_with_their_outcome_and_the_digest_of_the_request(api: Any) -> None:
    """Nothing that searches is there, so that each of them is refused; the log says by what."""
    person = await api.caller.person(api.library)
    requests = {
        "SEARCH": SearchScenesRequest(parent=api.library, all_of=[person.name]),
        "IDENTIFY": IdentifyFacesRequest(parent=api.library, image=api.jpeg),
        "VERIFY": VerifyFacesRequest(parent=api.library, first_image=api.jpeg, second_image=api.jpeg),
    }
    search = api.caller.search
    for call in zip((search.SearchScenes, search.IdentifyFaces, search.VerifyFaces), requests.values(), strict=True):
        await api.refused(call[0](call[1]))

    entries = (await _entries(api.caller, api.library))[-3:]

    assert [_action(entry) for entry in entries] == list(requests)
    for entry, request in zip(entries, requests.values(), strict=True):
        assert entry.request_digest == hashlib.sha256(request.SerializeToString(deterministic=True)).digest()
        assert entry.outcome in {"MODEL_NOT_REGISTERED", "INFERENCE_UNAVAILABLE"}
        assert (entry.resource, entry.result_count) == (api.library, 0)


async def test_entries_of_many_calls_at_once_are_one_chain(api: Any) -> None:
    await asyncio.gather(*(api.caller.person(api.library) for _ in range(20)))

    entries = await _entries(api.caller, api.library)

    assert audit.verify(entries, [await _head(api.caller, api.library)]) == 22
    assert len({entry.resource for entry in entries}) == 22


async def test_what_is_refused_before_it_does_anything_leaves_no_entry(api: Any) -> None:
    before = await _head(api.caller, api.library)
    unknown = f"{api.library}/people/{api.unknown_id}"
    await api.refused(api.caller.people.DeletePerson(DeletePersonRequest(name=unknown)))

    assert await _head(api.caller, api.library) == before


async def test_entries_are_filtered_by_action_resource_and_time(api: Any) -> None:
    first, second = [await api.caller.person(api.library) for _ in range(2)]
    photo = await api.caller.photo(first.name)
    everything = await _entries(api.caller, api.library)
    created = await _entries(api.caller, api.library, action=AUDIT_ACTION_CREATE_PERSON)
    of_first = await _entries(api.caller, api.library, resource=first.name)
    middle = everything[3].time

    assert [entry.resource for entry in created] == [first.name, second.name]
    assert [entry.resource for entry in of_first] == [first.name, photo.name]
    assert await _entries(api.caller, api.library, start_time=middle) == everything[3:]
    assert await _entries(api.caller, api.library, end_time=middle) == everything[:3]


async def test_another_library_sees_nothing_of_it(api: Any, connect: Any) -> None:
    library, key = await api.new_library()
    other = connect(api.address, key)

    assert await api.refused(_entries(other, api.library)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert await api.refused(_head(other, api.library)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert {entry.resource.partition("/apiKeys/")[0] for entry in await _entries(other, library)} == {library}


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_entries SET actor = 'nobody'", "DELETE FROM audit_entries", "TRUNCATE audit_entries"],
)
async def test_the_services_cannot_change_what_is_written(tenant_database: Database, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with tenant_database.system.transaction() as session:
            await session.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'nobody' WHERE sequence = 2",
        "UPDATE audit_entries SET time = time + interval '1 second' WHERE sequence = 2",
        "DELETE FROM audit_entries WHERE sequence = 2",
        "DELETE FROM audit_entries WHERE sequence = 4",
        "UPDATE audit_chains SET hash = sha256('')",
        (
            "INSERT INTO audit_entries SELECT library_id, 5, time, actor, action, resource, outcome, result_count, "
            "request_digest, correlation_id, previous_hash, hash FROM audit_entries WHERE sequence = 4"
        ),
    ],
)
async def test_who_owns_the_database_is_found_out(api: Any, rows: Any, statement: str) -> None:
    for _ in range(2):
        await api.caller.person(api.library)
    anchor = await _head(api.caller, api.library)
    assert audit.verify(await _entries(api.caller, api.library), [anchor]) == 4

    await rows.do(statement)

    with pytest.raises(audit.AuditBrokenError):
        audit.verify(await _entries(api.caller, api.library), [await _head(api.caller, api.library), anchor])
