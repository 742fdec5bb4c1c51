from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex.v1.library_pb2 import Library, RetentionPolicy
from whodex.v1.library_service_pb2 import (
    CreateLibraryResponse,
    DeleteLibraryRequest,
    GetLibraryResponse,
    ListLibrariesResponse,
    PreviewRetentionResponse,
    UpdateLibraryResponse,
)

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

ID = str(uuid4())
LIBRARY = Library(name=f"libraries/{ID}", display_name="Holidays")


def test_create_prints_the_library(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["CreateLibrary"] = lambda request: CreateLibraryResponse(
        library={"name": LIBRARY.name, "display_name": request.display_name}
    )

    assert ID in whodex("library", "create", "Holidays").stdout
    result = whodex("library", "create", "Holidays", "-o", "json")
    assert Parse(result.stdout, CreateLibraryResponse()).library == LIBRARY


def test_list_prints_every_library(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["ListLibraries"] = lambda _request: ListLibrariesResponse(libraries=[LIBRARY])

    assert "Holidays" in whodex("library", "list").stdout
    result = whodex("library", "list", "-o", "json")
    assert Parse(result.stdout, ListLibrariesResponse()).libraries == [LIBRARY]


def test_a_library_is_deleted_by_id_or_name_and_by_force_only_when_told_to(api: ScriptedApi, whodex: Whodex) -> None:
    whodex("library", "delete", ID)
    whodex("library", "delete", LIBRARY.name, "--force")

    assert api.requests("DeleteLibrary") == [
        DeleteLibraryRequest(name=LIBRARY.name),
        DeleteLibraryRequest(name=LIBRARY.name, force=True),
    ]


def test_a_retention_policy_is_changed_where_it_is_told_to(api: ScriptedApi, whodex: Whodex) -> None:
    kept = Library(name=LIBRARY.name, retention_policy={"photo_days": 90, "delete_people_without_consent": True})
    api.answers["GetLibrary"] = lambda _: GetLibraryResponse(library=kept)
    api.answers["UpdateLibrary"] = lambda request: UpdateLibraryResponse(library=request.library)

    table = whodex("library", "retention", ID, "--video-days", 30, "--keep-people-without-consent").stdout

    (request,) = api.requests("UpdateLibrary")
    assert request.library.retention_policy == RetentionPolicy(video_days=30, photo_days=90)
    assert list(request.update_mask.paths) == ["retention_policy"]
    assert "30 days" in table
    assert "until deleted" in table


def test_a_retention_policy_is_shown_and_tried_without_a_change(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["GetLibrary"] = lambda _: GetLibraryResponse(library=LIBRARY)
    api.answers["PreviewRetention"] = lambda _: PreviewRetentionResponse(videos=7)

    assert "until deleted" in whodex("library", "retention", ID).stdout
    assert "7" in whodex("library", "retention", ID, "--video-days", 30, "--preview").stdout

    assert api.requests("UpdateLibrary") == []
    assert api.requests("PreviewRetention")[0].retention_policy == RetentionPolicy(video_days=30)
