"""Retention policies: set, tried, and applied by the scheduler."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api_server.database.engine import Database
from api_server.scheduler.retention import apply_retention
from whodex import audit
from whodex.v1.audit_pb2 import AUDIT_ACTION_DELETE, AUDIT_ACTION_PRUNE_LOG, AuditEntry
from whodex.v1.audit_service_pb2 import GetAuditHeadRequest, ListAuditEntriesRequest
from whodex.v1.library_pb2 import Library, RetentionPolicy
from whodex.v1.library_service_pb2 import (
    GetLibraryRequest,
    PreviewRetentionRequest,
    PreviewRetentionResponse,
    UpdateLibraryRequest,
)
from whodex.v1.people_service_pb2 import CreatePersonRequest, ListPeopleRequest, ListReferencePhotosRequest
from whodex.v1.person_pb2 import Consent
from whodex.v1.video_service_pb2 import ListVideosRequest

POLICY = RetentionPolicy(video_days=30, photo_days=60, audit_days=90, delete_people_without_consent=True)


async def _set(api: Any, policy: RetentionPolicy) -> Library:
    library = Library(name=api.library, retention_policy=policy)
    request = UpdateLibraryRequest(library=library, update_mask={"paths": ["retention_policy"]})
    updated: Library = (await api.caller.libraries.UpdateLibrary(request)).library
    return updated


async def _age(rows: Any, table: str, days: int) -> None:
    await rows.do(f"UPDATE {table} SET create_time = now() - make_interval(days => :days)", days=days)  # noqa: S608


async def _entries(api: Any) -> list[AuditEntry]:
    request = ListAuditEntriesRequest(parent=api.library, page_size=1000)
    return list((await api.caller.audit.ListAuditEntries(request)).audit_entries)


async def test_a_policy_is_shown_as_it_was_set(api: Any) -> None:
    found = (await api.caller.libraries.GetLibrary(GetLibraryRequest(name=api.library))).library
    assert found.retention_policy == RetentionPolicy()

    updated = await _set(api, POLICY)

    assert updated.retention_policy == POLICY
    assert updated.display_name == found.display_name


@pytest.mark.parametrize("policy", [RetentionPolicy(audit_days=29), RetentionPolicy(video_days=-1)])
async def test_a_policy_has_limits(api: Any, policy: RetentionPolicy) -> None:
    assert await api.refused(_set(api, policy)) == ("INVALID_ARGUMENT", "INVALID_FIELD")


async def test_a_library_can_be_renamed(api: Any) -> None:
    renamed = Library(name=api.library, display_name="Films")
    request = UpdateLibraryRequest(library=renamed, update_mask={"paths": ["display_name"]})

    assert (await api.caller.libraries.UpdateLibrary(request)).library.display_name == "Films"

    request.library.display_name = ""
    assert await api.refused(api.caller.libraries.UpdateLibrary(request)) == ("INVALID_ARGUMENT", "INVALID_FIELD")


async def test_what_is_too_old_is_deleted_in_the_name_of_the_system(
    api: Any, rows: Any, tenant_database: Database
) -> None:
    person = await api.caller.person(api.library)
    old_photo, old_video = await api.caller.photo(person.name), await api.caller.video(api.library)
    consent = Consent(basis=Consent.BASIS_CONSENT, expire_time=datetime.now(UTC) - timedelta(seconds=1))
    expired = CreatePersonRequest(parent=api.library, display_name="Bo", consent=consent)
    gone = (await api.caller.people.CreatePerson(expired)).person
    await api.caller.photo(gone.name)
    await _age(rows, "reference_photos", 61)
    await _age(rows, "videos", 31)
    new_photo, new_video = await api.caller.photo(person.name), await api.caller.video(api.library)
    preview = PreviewRetentionRequest(name=api.library, retention_policy=POLICY)
    expected = PreviewRetentionResponse(videos=1, photos=1, people=1)
    assert await api.caller.libraries.PreviewRetention(preview) == expected
    await apply_retention(tenant_database.system)
    assert await api.caller.libraries.PreviewRetention(preview) == expected, "without a policy nothing goes"

    await _set(api, POLICY)
    assert await api.caller.libraries.PreviewRetention(PreviewRetentionRequest(name=api.library)) == expected
    await apply_retention(tenant_database.system)

    people = (await api.caller.people.ListPeople(ListPeopleRequest(parent=api.library))).people
    photos = (await api.caller.people.ListReferencePhotos(ListReferencePhotosRequest(parent=person.name))).photos
    videos = (await api.caller.videos.ListVideos(ListVideosRequest(parent=api.library))).videos
    assert [one.name for one in people] == [person.name]
    assert [one.name for one in photos] == [new_photo.name]
    assert [one.name for one in videos] == [new_video.name]
    deletions = [entry for entry in await _entries(api) if entry.action == AUDIT_ACTION_DELETE]
    assert [(entry.actor, entry.resource) for entry in deletions] == [
        ("system", name) for name in (gone.name, old_photo.name, old_video.name)
    ]
    assert len(await rows.all("SELECT 1 FROM erasures")) == 3


async def test_old_entries_of_the_log_go_and_the_rest_is_still_a_chain(
    api: Any, rows: Any, tenant_database: Database
) -> None:
    for _ in range(3):
        await api.caller.person(api.library)
    await _set(api, POLICY)
    # Only the owner can: nobody else may change an entry.
    await rows.do("UPDATE audit_entries SET time = time - interval '91 days' WHERE sequence <= 4")
    head = (await api.caller.audit.GetAuditHead(GetAuditHeadRequest(parent=api.library))).audit_head

    await apply_retention(tenant_database.system)
    await apply_retention(tenant_database.system)

    entries = await _entries(api)
    assert [entry.sequence for entry in entries] == [5, 6, 7]
    pruned = entries[-1]
    assert (pruned.action, pruned.actor, pruned.result_count) == (AUDIT_ACTION_PRUNE_LOG, "system", 4)
    assert pruned.resource == f"{api.library}/auditEntries/4"
    assert audit.verify(entries, [head]) == 3
    with pytest.raises(audit.AuditBrokenError, match="begins with entry 6"):
        audit.verify(entries[1:], [head])


async def test_the_services_cannot_prune_a_log_that_is_kept(api: Any, rows: Any, tenant_database: Database) -> None:
    await rows.do("UPDATE audit_entries SET time = time - interval '1000 days'")

    await apply_retention(tenant_database.system)

    assert len(await _entries(api)) == 2
