from __future__ import annotations

import hashlib
import itertools
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.limits.usage import UNLIMITED, Room
from api_server.uploads.body import UploadBody
from api_server.uploads.signatures import image_media_type
from whodex.errors import InvalidArgumentError, ResourceExhaustedError
from whodex.v1 import error_reason_pb2, people_service_pb2
from whodex.v1.error_reason_pb2 import ErrorReason

JPEG = b"\xff\xd8\xff" + bytes(range(97))
MAX_BYTES = 120


def _body(chunks: Sequence[bytes], announced: int = 0, room: Room = UNLIMITED) -> UploadBody:
    async def requests() -> AsyncIterator[people_service_pb2.UploadReferencePhotoRequest]:
        for chunk in chunks:
            yield people_service_pb2.UploadReferencePhotoRequest(chunk=chunk)

    return UploadBody(
        requests(), announced_bytes=announced, max_bytes=MAX_BYTES, room=room, media_type_of=image_media_type
    )


async def _read(body: UploadBody) -> bytes:
    return b"".join([chunk async for chunk in body])


@given(st.lists(st.integers(1, len(JPEG) - 1), max_size=20))
async def test_the_bytes_pass_unchanged_however_they_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(JPEG)]
    body = _body([JPEG[start:end] for start, end in itertools.pairwise(edges) if start < end])
    assert await _read(body) == JPEG
    assert (body.size_bytes, body.media_type) == (len(JPEG), "image/jpeg")


@pytest.mark.parametrize(
    ("chunks", "announced", "reason"),
    [
        ([], 0, error_reason_pb2.ERROR_REASON_UPLOAD_EMPTY),
        ([], 5, error_reason_pb2.ERROR_REASON_UPLOAD_INCOMPLETE),
        ([JPEG], len(JPEG) + 1, error_reason_pb2.ERROR_REASON_UPLOAD_INCOMPLETE),
        ([JPEG], len(JPEG) - 1, error_reason_pb2.ERROR_REASON_UPLOAD_INCOMPLETE),
        ([JPEG, JPEG], 0, error_reason_pb2.ERROR_REASON_UPLOAD_TOO_LARGE),
        ([b"text"], 0, error_reason_pb2.ERROR_REASON_UNSUPPORTED_FORMAT),
    ],
)
async def test_what_is_not_right_is_refused(chunks: list[bytes], announced: int, reason: ErrorReason.ValueType) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await _body(chunks, announced).drain()
    assert caught.value.reason == reason


async def test_what_is_not_kept_is_hashed_all_the_same() -> None:
    assert await _body([JPEG[:5], JPEG[5:]]).drain() == hashlib.sha256(JPEG).digest()


async def test_nothing_passes_before_the_signature_is_known_to_be_right() -> None:
    passed: list[bytes] = []
    body = _body([b"t", b"e", b"x", b"t" * 50])

    async def read() -> None:
        async for chunk in body:
            passed.append(chunk)  # noqa: PERF401 - what passed before the error counts

    with pytest.raises(InvalidArgumentError):
        await read()
    assert not passed


async def test_an_upload_of_the_largest_size_is_accepted() -> None:
    data = JPEG + bytes(MAX_BYTES - len(JPEG))
    assert await _read(_body([data], MAX_BYTES)) == data


async def test_more_bytes_than_the_library_has_room_for_are_refused() -> None:
    room = Room("libraries/x", limit_bytes=500, left_bytes=len(JPEG))
    assert await _read(_body([JPEG], room=room)) == JPEG
    with pytest.raises(ResourceExhaustedError) as caught:
        await _read(_body([JPEG, b"x"], room=room))
    assert caught.value.reason_name == "STORAGE_LIMIT_REACHED"
