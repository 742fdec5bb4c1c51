"""What an upload may be, and what is left of one that is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from whodex.v1 import people_service_pb2 as pb
from whodex.v1 import video_service_pb2

INVALID = "INVALID_ARGUMENT"


@pytest.fixture
def nothing_left(api: Any, rows: Any) -> Any:
    """Checks that an upload left no row and no blob."""

    async def check() -> None:
        counts = await rows.one(
            "SELECT (SELECT count(*) FROM reference_photos) + (SELECT count(*) FROM videos)"
            " + (SELECT count(*) FROM contents) + (SELECT count(*) FROM work_items) + (SELECT count(*) FROM outbox)"
        )
        assert (counts[0], api.blobs()) == (0, [])

    return check


@pytest.mark.parametrize(
    ("data", "metadata", "reason"),
    [
        (b"", {}, "UPLOAD_EMPTY"),
        (b"only text, whatever its name says", {}, "UNSUPPORTED_FORMAT"),
        (b"\xff\xd8", {}, "UNSUPPORTED_FORMAT"),
        (b"RIFF\0\0\0\0WAVEfmt ", {}, "UNSUPPORTED_FORMAT"),
        (b"\xff\xd8\xff" + bytes(97), {"size_bytes": 101}, "UPLOAD_INCOMPLETE"),
        (b"\xff\xd8\xff" + bytes(97), {"size_bytes": (32 << 20) + 1}, "UPLOAD_TOO_LARGE"),
    ],
)
async def test_what_is_no_photo_is_refused_and_leaves_nothing(
    api: Any, nothing_left: Any, data: bytes, metadata: dict[str, Any], reason: str
) -> None:
    person = await api.caller.person(api.library)
    assert await api.refused(api.caller.photo(person.name, data, **metadata)) == (INVALID, reason)
    await nothing_left()


async def test_a_photo_over_the_limit_is_refused_as_soon_as_it_is(api: Any, nothing_left: Any) -> None:
    person = await api.caller.person(api.library)
    too_large = b"\xff\xd8\xff" + bytes(32 << 20)
    assert await api.refused(api.caller.photo(person.name, too_large)) == (INVALID, "UPLOAD_TOO_LARGE")
    await nothing_left()


@pytest.mark.parametrize(
    ("data", "metadata", "reason"),
    [
        (b"", {}, "UPLOAD_EMPTY"),
        (b"#EXTM3U\n/etc/passwd\n", {}, "UNSUPPORTED_FORMAT"),
        (b"\0\0\0\x18ftypmp42" + bytes(3 << 20), {"size_bytes": 5 << 20}, "UPLOAD_INCOMPLETE"),
        (b"\0\0\0\x18ftypmp42", {"size_bytes": (50 << 30) + 1}, "UPLOAD_TOO_LARGE"),
    ],
)
async def test_what_is_no_video_is_refused_and_leaves_nothing(
    api: Any, nothing_left: Any, data: bytes, metadata: dict[str, Any], reason: str
) -> None:
    assert await api.refused(api.caller.video(api.library, data, **metadata)) == (INVALID, reason)
    await nothing_left()


@pytest.mark.parametrize("announced", [0, len(b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8)])
async def test_chunks_may_be_of_any_size(api: Any, announced: int) -> None:
    person = await api.caller.person(api.library)
    photo = await api.caller.photo(person.name, chunk_bytes=5, size_bytes=announced)
    (blob,) = api.blobs()
    assert (photo.original.media_type, photo.original.size_bytes) == ("image/jpeg", len(api.jpeg))
    assert blob.read_bytes() == api.jpeg


async def test_the_first_message_must_be_the_metadata_and_no_other(api: Any, nothing_left: Any) -> None:
    person = await api.caller.person(api.library)
    chunk = pb.UploadReferencePhotoRequest(chunk=api.jpeg)
    metadata = pb.UploadReferencePhotoRequest(metadata=pb.ReferencePhotoMetadata(parent=person.name))
    upload = api.caller.people.UploadReferencePhoto
    for messages in ([], [chunk], [metadata, chunk, metadata]):
        assert await api.refused(upload(iter(messages))) == (INVALID, "UPLOAD_INCOMPLETE")
    await nothing_left()


async def test_a_photo_whose_stream_breaks_off_leaves_nothing(api: Any, nothing_left: Any) -> None:
    person = await api.caller.person(api.library)
    first = pb.UploadReferencePhotoRequest(metadata=pb.ReferencePhotoMetadata(parent=person.name))
    await _break_off(api.caller.people.UploadReferencePhoto, first, pb.UploadReferencePhotoRequest(chunk=api.jpeg))
    await nothing_left()


async def test_a_video_whose_stream_breaks_off_leaves_nothing(api: Any, nothing_left: Any) -> None:
    message = video_service_pb2.UploadVideoRequest
    first = message(metadata=video_service_pb2.VideoMetadata(parent=api.library, file_name="film.mp4"))
    # More than the store buffers, so that some of it is on disk by then.
    chunks = [message(chunk=api.mp4)] + [message(chunk=bytes(1 << 20))] * 12
    await _break_off(api.caller.videos.UploadVideo, first, *chunks)
    await nothing_left()


async def _break_off(method: Any, *messages: Any) -> None:
    sent = asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        for message in messages:
            yield message
        # Time for the server to read them.
        await asyncio.sleep(0.3)
        sent.set()
        await asyncio.Event().wait()

    call = method(requests())
    await sent.wait()
    call.cancel()
    await asyncio.sleep(0.3)


async def test_the_same_request_id_returns_the_photo_made_first(api: Any, rows: Any) -> None:
    person = await api.caller.person(api.library)
    request_id = str(uuid4())
    first = await api.caller.photo(person.name, request_id=request_id)
    assert await api.caller.photo(person.name, request_id=request_id) == first
    assert await rows.one("SELECT count(*) FROM work_items") == (1,)
    assert len(api.blobs()) == 1


async def test_one_request_id_at_the_same_time_makes_one_photo(api: Any, rows: Any) -> None:
    person = await api.caller.person(api.library)
    request_id = str(uuid4())
    photos = await asyncio.gather(*[api.caller.photo(person.name, request_id=request_id) for _ in range(8)])
    assert len({photo.name for photo in photos}) == 1
    assert await rows.one("SELECT count(*), (SELECT count(*) FROM contents) FROM work_items") == (1, 1)
    assert len(api.blobs()) == 1


async def test_a_request_id_stands_for_one_photo_only(api: Any) -> None:
    person = await api.caller.person(api.library)
    request_id = str(uuid4())
    await api.caller.photo(person.name, request_id=request_id)
    other_bytes = api.caller.photo(person.name, api.jpeg + b"!", request_id=request_id)
    other_box = api.caller.photo(
        person.name, request_id=request_id, face_box={"left": 1, "top": 1, "right": 2, "bottom": 2}
    )
    for call in (other_bytes, other_box):
        assert await api.refused(call) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert len(api.blobs()) == 1


async def test_without_a_request_id_every_upload_is_a_photo_of_its_own(api: Any) -> None:
    person = await api.caller.person(api.library)
    names = {(await api.caller.photo(person.name)).name for _ in range(2)}
    assert len(names) == 2
    assert len(api.blobs()) == 2


async def test_the_same_request_id_returns_the_video_made_first(api: Any, rows: Any) -> None:
    request_id = str(uuid4())
    videos = await asyncio.gather(*[api.caller.video(api.library, request_id=request_id) for _ in range(4)])
    again = await api.caller.video(api.library, request_id=request_id)
    assert {video.name for video in videos} == {again.name}
    assert await rows.one("SELECT count(*), (SELECT count(*) FROM contents) FROM work_items") == (1, 1)
    assert len(api.blobs()) == 1
    other = api.caller.video(api.library, api.mp4 + b"!", request_id=request_id)
    assert await api.refused(other) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_without_a_request_id_every_upload_is_a_video_of_its_own(api: Any) -> None:
    assert len({(await api.caller.video(api.library)).name for _ in range(2)}) == 2


async def test_a_photo_of_nobody_is_not_stored(api: Any, nothing_left: Any) -> None:
    nobody = f"{api.library}/people/{api.unknown_id}"
    assert await api.refused(api.caller.photo(nobody)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await nothing_left()
