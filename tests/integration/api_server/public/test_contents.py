"""The bytes behind the references, whole and in ranges."""

from __future__ import annotations

from typing import Any

import pytest

from whodex.v1.content_service_pb2 import DownloadContentRequest
from whodex.v1.people_service_pb2 import DeleteReferencePhotoRequest

DATA = b"\xff\xd8\xff" + bytes(range(256)) * 10_000


@pytest.fixture
async def photo(api: Any) -> Any:
    """A photo of three chunks."""
    return await api.caller.photo((await api.caller.person(api.library)).name, DATA)


async def _download(api: Any, name: str, offset: int = 0, limit: int = 0) -> list[Any]:
    request = DownloadContentRequest(name=name, offset=offset, limit=limit)
    return [response async for response in api.caller.contents.DownloadContent(request)]


@pytest.mark.parametrize(
    ("offset", "limit"),
    [(0, 0), (0, 1), (5, 0), (1_048_570, 20), (0, 1 << 20), (len(DATA) - 3, 100), (len(DATA), 0)],
)
async def test_a_range_is_what_was_uploaded(api: Any, photo: Any, offset: int, limit: int) -> None:
    first, *rest = await _download(api, photo.original.name, offset, limit)
    assert first.content == photo.original
    assert all(0 < len(response.chunk) <= 1 << 20 for response in rest)
    end = offset + limit if limit else len(DATA)
    assert b"".join(response.chunk for response in rest) == DATA[offset:end]


async def test_a_range_behind_the_end_is_an_error(api: Any, photo: Any) -> None:
    call = _download(api, photo.original.name, offset=len(DATA) + 1)
    assert await api.refused(call) == ("OUT_OF_RANGE", "RANGE_INVALID")


async def test_the_content_of_a_deleted_photo_is_not_found(api: Any, photo: Any) -> None:
    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=photo.name))
    assert await api.refused(_download(api, photo.original.name)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
