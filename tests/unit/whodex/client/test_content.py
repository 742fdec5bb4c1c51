from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from whodex.client import Client
from whodex.errors import NotFoundError
from whodex.v1 import error_reason_pb2
from whodex.v1.content_service_pb2 import DownloadContentRequest, DownloadContentResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

NAME = f"libraries/{uuid4()}/contents/{uuid4()}"


def _answer(_request: DownloadContentRequest) -> list[DownloadContentResponse]:
    return [
        DownloadContentResponse(content={"name": NAME, "size_bytes": 6}, chunk=b"abc"),
        DownloadContentResponse(chunk=b"def"),
    ]


def test_a_download_joins_the_chunks(api: ScriptedApi, client: Client) -> None:
    api.answers["DownloadContent"] = _answer

    assert client.contents.download(NAME) == b"abcdef"


def test_a_range_is_passed_on(api: ScriptedApi, client: Client) -> None:
    client.contents.download(NAME, offset=2, limit=3)

    assert api.requests("DownloadContent") == [DownloadContentRequest(name=NAME, offset=2, limit=3)]


def test_a_file_replaces_the_one_before_and_tells_its_progress(
    api: ScriptedApi, client: Client, tmp_path: Path
) -> None:
    api.answers["DownloadContent"] = _answer
    target = tmp_path / "face.jpg"
    target.write_bytes(b"older")
    seen: list[tuple[int, int]] = []

    client.contents.download_to(NAME, target, progress=lambda received, total: seen.append((received, total)))

    assert target.read_bytes() == b"abcdef"
    assert seen == [(3, 6), (6, 6)]


def test_a_download_that_breaks_off_leaves_the_older_file_and_no_part(
    api: ScriptedApi, client: Client, tmp_path: Path
) -> None:
    def broken(request: DownloadContentRequest) -> Iterator[DownloadContentResponse]:
        yield _answer(request)[0]
        raise NotFoundError("Deleted.", reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND)

    api.answers["DownloadContent"] = broken
    target = tmp_path / "face.jpg"
    target.write_bytes(b"older")

    with pytest.raises(NotFoundError):
        client.contents.download_to(NAME, target)

    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]
