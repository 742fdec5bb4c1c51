from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex.cli.errors import CommandError
from whodex.cli.limits import format_bytes, parse_limits
from whodex.v1.library_pb2 import Library, LibraryLimits
from whodex.v1.library_service_pb2 import GetLibraryResponse, UpdateLibraryLimitsResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

ID = str(uuid4())
LIBRARY = Library(
    name=f"libraries/{ID}",
    display_name="Holidays",
    usage={"stored_bytes": 3 << 29, "people": 7},
    limits={"stored_bytes": 1 << 40, "people": 100, "requests_per_second": 2.5},
)


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("900", 900), ("1.5GiB", 3 << 29), ("2 tib", 2 << 40), ("10MiB", 10 << 20)]
)
def test_bytes_are_written_with_or_without_a_unit(text: str, size: int) -> None:
    assert parse_limits({"stored_bytes": text}) == LibraryLimits(stored_bytes=size)


@pytest.mark.parametrize("text", ["", "much", "1.5", "-3", "5GB"])
def test_what_is_no_number_is_refused(text: str) -> None:
    name = "stored_bytes" if text == "5GB" else "people"
    if text == "-3":
        assert parse_limits({"people": text}).people == -3  # the server says what is wrong with it
        return
    with pytest.raises(CommandError, match="is not a number"):
        parse_limits({name: text})


@pytest.mark.parametrize(("size", "text"), [(900, "900 B"), (3 << 29, "1.5 GiB"), (1 << 40, "1 TiB")])
def test_bytes_are_read_in_the_unit_that_fits(size: int, text: str) -> None:
    assert format_bytes(size) == text


def test_show_prints_limits_and_what_is_in_use(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["GetLibrary"] = lambda _request: GetLibraryResponse(library=LIBRARY)

    printed = whodex("library", "show", ID).stdout

    assert "1 TiB" in printed
    assert "1.5 GiB" in printed
    assert "2.5" in printed
    assert Parse(whodex("library", "show", "-o", "json").stdout, GetLibraryResponse()).library == LIBRARY
    assert [request.name for request in api.requests("GetLibrary")] == [LIBRARY.name, api.library]


def test_limit_changes_what_is_named_and_unsets_a_default(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["UpdateLibraryLimits"] = lambda _request: UpdateLibraryLimitsResponse(library=LIBRARY)

    result = whodex("library", "limit", ID, "--stored", "1TiB", "--people", "default")

    assert result.exit_code == 0, result.stderr
    (request,) = api.requests("UpdateLibraryLimits")
    assert request.limits == LibraryLimits(stored_bytes=1 << 40)
    assert sorted(request.update_mask.paths) == ["people", "stored_bytes"]


def test_limit_without_any_is_refused(whodex: Whodex) -> None:
    result = whodex("library", "limit", ID)

    assert result.exit_code == 1
    assert "No limit is named" in result.stderr
