from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex.v1.library_pb2 import Library
from whodex.v1.library_service_pb2 import CreateLibraryResponse, DeleteLibraryRequest, ListLibrariesResponse

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
