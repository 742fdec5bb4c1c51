"""Uploads that go on where they stopped, and what is left of those that cannot."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from api_server.scheduler.garbage import collect_garbage
from api_server.server import Resources, public_listener, resources
from api_server.settings import ServerSettings
from api_server.uploads import leases
from whodex.errors import ResourceExhaustedError
from whodex.runtime.partial import BATCH_BYTES, LocalPartial
from whodex.runtime.pictures import SIGNATURE_BYTES
from whodex.runtime.server import running
from whodex.v1 import error_reason_pb2, library_service_pb2, people_service_pb2, upload_service_pb2
from whodex.v1.upload_pb2 import Upload

MIB = 1 << 20
INVALID = "INVALID_ARGUMENT"
FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * (5 * MIB // 256)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


@pytest.fixture
def nothing_left(api: Any, rows: Any) -> Any:
    """Checks that an upload left no row and no blob."""

    async def check() -> None:
        counts = await rows.one(
            "SELECT (SELECT count(*) FROM uploads) + (SELECT count(*) FROM reference_photos)"
            " + (SELECT count(*) FROM videos) + (SELECT count(*) FROM contents)"
        )
        assert (counts[0], api.blobs()) == (0, [])

    return check


async def test_a_video_comes_in_over_several_streams(api: Any, rows: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM), sha256=_sha256(FILM), display_name="Film")
    assert (upload.state, upload.committed_bytes, upload.size_bytes) == (Upload.STATE_OPEN, 0, len(FILM))
    for start, end in ((0, 100), (100, 2 * MIB), (2 * MIB, len(FILM))):
        written = await api.caller.write(upload.name, start, FILM[start:end], chunk_bytes=MIB // 3)
        assert written.committed_bytes == end
        assert await api.caller.upload(upload.name) == written
    assert await rows.one("SELECT count(*) FROM videos") == (0,)
    video = await api.caller.finish(upload.name, _sha256(FILM))
    assert (video.display_name, video.file_name, video.size_bytes) == ("Film", "film.mp4", len(FILM))
    (blob,) = api.blobs()
    assert blob.read_bytes() == FILM
    assert await rows.one("SELECT count(*), max(task) FROM work_items") == (1, "whodex.process_video")
    assert await rows.one("SELECT content_sha256 FROM videos") == (_sha256(FILM),)


async def test_a_photo_comes_in_the_same_way(api: Any, rows: Any) -> None:
    person = await api.caller.person(api.library)
    box = {"left": 1, "top": 2, "right": 3, "bottom": 4}
    upload = await api.caller.start_photo(person.name, len(api.jpeg), face_box=box)
    await api.caller.write(upload.name, 0, api.jpeg[:5])
    await api.caller.write(upload.name, 5, api.jpeg[5:])
    photo = await api.caller.finish(upload.name)
    assert photo.name.startswith(f"{person.name}/photos/")
    assert (photo.original.media_type, photo.original.size_bytes) == ("image/jpeg", len(api.jpeg))
    assert await rows.one("SELECT requested_box FROM reference_photos") == ([1, 2, 3, 4],)
    assert [blob.read_bytes() for blob in api.blobs()] == [api.jpeg]
    assert (await api.caller.upload(upload.name)).resource == photo.name


async def test_finishing_again_returns_the_same_video(api: Any, rows: Any) -> None:
    upload = await _written(api)
    videos = await asyncio.gather(*[_retried(api, upload.name) for _ in range(3)])
    assert len({video.name for video in videos}) == 1
    finished = await api.caller.upload(upload.name)
    assert (finished.state, finished.resource) == (Upload.STATE_FINISHED, videos[0].name)
    assert await rows.one("SELECT count(*), (SELECT count(*) FROM contents) FROM work_items") == (1, 1)


async def _written(api: Any, data: bytes = FILM, **metadata: Any) -> Any:
    upload = await api.caller.start_video(api.library, len(data), **metadata)
    return await api.caller.write(upload.name, 0, data)


async def _retried(api: Any, upload: str) -> Any:
    """Finishes as a client does that is told that another call does."""
    while True:
        call = asyncio.ensure_future(api.caller.finish(upload))
        await asyncio.wait([call])
        if call.exception() is None:
            return call.result()
        assert await api.refused(call) == ("ABORTED", "UPLOAD_BUSY")


async def test_a_stream_that_breaks_off_keeps_what_came(api: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    await _break_off(api, upload.name, FILM[: 3 * MIB])
    standing = await api.caller.upload(upload.name)
    assert standing.committed_bytes == 3 * MIB
    await api.caller.write(upload.name, 3 * MIB, FILM[3 * MIB :])
    await api.caller.finish(upload.name, _sha256(FILM))
    assert api.blobs()[0].read_bytes() == FILM


async def _break_off(api: Any, upload: str, data: bytes) -> None:
    call, sent = _open_stream(api, upload, 0, data)
    await sent.wait()
    call.cancel()
    while (await api.caller.upload(upload)).committed_bytes < len(data):
        await asyncio.sleep(0.02)


def _open_stream(api: Any, upload: str, offset: int, data: bytes) -> tuple[Any, asyncio.Event]:
    """A stream whose client goes silent once the bytes are sent."""
    message, sent = upload_service_pb2.WriteUploadRequest, asyncio.Event()

    async def requests() -> AsyncIterator[Any]:
        yield message(start=upload_service_pb2.WriteStart(name=upload, offset=offset))
        for start in range(0, len(data), MIB):
            yield message(chunk=data[start : start + MIB])
        # Time for the server to read them.
        await asyncio.sleep(0.3)
        sent.set()
        await asyncio.Event().wait()

    return api.caller.uploads.WriteUpload(requests()), sent


async def test_a_second_writer_is_told_that_the_first_one_writes(api: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    call, sent = _open_stream(api, upload.name, 0, FILM[:MIB])
    await sent.wait()
    assert await api.refused(api.caller.write(upload.name, 0, FILM[:100])) == ("ABORTED", "UPLOAD_BUSY")
    assert await api.refused(api.caller.finish(upload.name)) == ("ABORTED", "UPLOAD_BUSY")
    call.cancel()
    while (await api.caller.upload(upload.name)).committed_bytes < MIB:
        await asyncio.sleep(0.02)
    await api.caller.write(upload.name, MIB, FILM[MIB:])
    await api.caller.finish(upload.name, _sha256(FILM))


async def test_of_writers_at_the_same_time_one_wins_and_the_file_is_whole(api: Any) -> None:
    # Small: of a stream that is refused while it is sent, grpc.aio's client says no more than that sending failed.
    upload = await api.caller.start_video(api.library, len(api.mp4))
    calls = [asyncio.ensure_future(api.caller.write(upload.name, 0, api.mp4)) for _ in range(8)]
    await asyncio.wait(calls)
    refused = [await api.refused(call) for call in calls if call.exception()]
    assert len(refused) == 7
    assert set(refused) <= {("ABORTED", "UPLOAD_BUSY"), ("ABORTED", "UPLOAD_OFFSET_MISMATCH")}
    await api.caller.finish(upload.name, _sha256(api.mp4))


async def test_a_writer_whose_lease_went_to_another_commits_nothing_more(api: Any, rows: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    call, sent = _open_stream(api, upload.name, 0, FILM[:MIB])
    await sent.wait()
    # As if this process had been frozen for longer than its lease.
    await rows.do("UPDATE uploads SET lease_expire_time = now() - interval '1 second'")
    assert (await api.caller.write(upload.name, 0, FILM[:100])).committed_bytes == 100
    call.cancel()
    await asyncio.sleep(0.3)
    assert (await api.caller.upload(upload.name)).committed_bytes == 100


async def test_a_stream_whose_upload_is_gone_is_ended(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=0.15))
    upload = await api.caller.start_video(api.library, len(FILM))
    call, sent = _open_stream(api, upload.name, 0, FILM[:MIB])
    await sent.wait()
    await api.caller.cancel(upload.name)
    assert await api.refused(call) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    assert api.blobs() == []


async def test_a_lease_lasts_as_long_as_its_stream(api: Any, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE", timedelta(seconds=0.15))
    upload = await api.caller.start_video(api.library, len(FILM))
    call, sent = _open_stream(api, upload.name, 0, FILM[:MIB])
    await sent.wait()
    first = await rows.one("SELECT lease_expire_time FROM uploads")
    await asyncio.sleep(0.2)
    assert await rows.one("SELECT lease_expire_time FROM uploads") > first
    call.cancel()


@pytest.mark.parametrize("offset", [1, 99, 101, len(FILM), 1 << 40])
async def test_a_wrong_offset_is_answered_with_the_right_one(api: Any, offset: int) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    await api.caller.write(upload.name, 0, FILM[:100])
    with pytest.raises(Exception, match="must be 100, where the upload goes on"):
        await api.caller.write(upload.name, offset, FILM[:100])
    refused = api.caller.write(upload.name, offset, FILM[:100])
    assert await api.refused(refused) == ("ABORTED", "UPLOAD_OFFSET_MISMATCH")
    assert (await api.caller.write(upload.name, 100, FILM[100:])).committed_bytes == len(FILM)


async def test_more_bytes_than_announced_are_refused_and_what_fits_is_kept(api: Any) -> None:
    upload = await api.caller.start_video(api.library, 2000)
    write = api.caller.write(upload.name, 0, FILM[:3000], chunk_bytes=1000)
    assert await api.refused(write) == (INVALID, "UPLOAD_INCOMPLETE")
    assert (await api.caller.upload(upload.name)).committed_bytes == 2000


@pytest.mark.parametrize("announced_at_start", [True, False])
async def test_another_digest_is_refused_and_leaves_nothing(
    api: Any, nothing_left: Any, *, announced_at_start: bool
) -> None:
    wrong = _sha256(b"another file")
    upload = await _start_and_write(api, wrong if announced_at_start else b"")
    finish = api.caller.finish(upload.name, b"" if announced_at_start else wrong)
    assert await api.refused(finish) == (INVALID, "UPLOAD_DIGEST_MISMATCH")
    assert await api.refused(api.caller.upload(upload.name)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await nothing_left()


async def _start_and_write(api: Any, sha256: bytes) -> Any:
    upload = await api.caller.start_video(api.library, len(FILM), sha256=sha256)
    return await api.caller.write(upload.name, 0, FILM)


async def test_an_upload_with_bytes_missing_cannot_be_finished_and_stays(api: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    assert await api.refused(api.caller.finish(upload.name)) == ("FAILED_PRECONDITION", "UPLOAD_INCOMPLETE")
    await api.caller.write(upload.name, 0, FILM)
    await api.caller.finish(upload.name)


async def test_a_finished_upload_takes_no_more_bytes(api: Any) -> None:
    upload = await _written(api)
    await api.caller.finish(upload.name)
    write = api.caller.write(upload.name, len(FILM), FILM[:100])
    assert await api.refused(write) == ("FAILED_PRECONDITION", "UPLOAD_FINISHED")


@pytest.mark.parametrize(
    ("size_bytes", "reason"), [(0, "UPLOAD_EMPTY"), ((50 << 30) + 1, "UPLOAD_TOO_LARGE"), (-1, "INVALID_FIELD")]
)
async def test_what_cannot_be_uploaded_is_refused_at_the_start(
    api: Any, nothing_left: Any, size_bytes: int, reason: str
) -> None:
    assert await api.refused(api.caller.start_video(api.library, size_bytes)) == (INVALID, reason)
    await nothing_left()


async def test_a_photo_has_the_limit_of_photos(api: Any) -> None:
    person = await api.caller.person(api.library)
    start = api.caller.start_photo(person.name, (32 << 20) + 1)
    assert await api.refused(start) == (INVALID, "UPLOAD_TOO_LARGE")


async def test_a_file_that_does_not_fit_on_the_disk_is_refused_at_the_start(
    api: Any, server_parts: Resources, nothing_left: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_parts.store, "free_bytes", lambda: 1000)
    full = ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
    assert await api.refused(api.caller.start_video(api.library, 1001)) == full
    assert await api.refused(api.caller.video(api.library, size_bytes=1001)) == full
    await nothing_left()


async def test_a_disk_that_fills_up_is_named_and_freed(
    api: Any, nothing_left: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    await api.caller.write(upload.name, 0, FILM[:MIB])

    async def full(*_: Any) -> None:
        raise ResourceExhaustedError("full", reason=error_reason_pb2.ERROR_REASON_STORAGE_FULL)

    monkeypatch.setattr(LocalPartial, "append", full)
    write = api.caller.write(upload.name, MIB, FILM[MIB:])
    assert await api.refused(write) == ("RESOURCE_EXHAUSTED", "STORAGE_FULL")
    await nothing_left()


@pytest.mark.parametrize("first", [b"#EXTM3U\n" + b"/etc/passwd\n" * 10, b"#EXTM3U"])
async def test_what_is_no_video_is_refused_and_leaves_nothing(api: Any, nothing_left: Any, first: bytes) -> None:
    upload = await api.caller.start_video(api.library, len(first))
    refused = api.caller.write(upload.name, 0, first)
    if len(first) < SIGNATURE_BYTES:
        # Too little to tell yet.
        await refused
        refused = api.caller.finish(upload.name)
    assert await api.refused(refused) == (INVALID, "UNSUPPORTED_FORMAT")
    await nothing_left()


async def test_the_same_request_id_returns_the_upload_as_it_stands(api: Any) -> None:
    request_id = str(uuid4())
    upload = await api.caller.start_video(api.library, len(FILM), request_id=request_id)
    written = await api.caller.write(upload.name, 0, FILM[:MIB])
    assert await api.caller.start_video(api.library, len(FILM), request_id=request_id) == written
    other = api.caller.start_video(api.library, len(FILM) + 1, request_id=request_id)
    assert await api.refused(other) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")


async def test_starts_with_one_request_id_at_the_same_time_make_one_upload(api: Any) -> None:
    request_id = str(uuid4())
    starts = [api.caller.start_video(api.library, len(FILM), request_id=request_id) for _ in range(8)]
    assert len({upload.name for upload in await asyncio.gather(*starts)}) == 1


async def test_a_request_id_that_has_made_a_video_at_once_stands_for_it(api: Any, rows: Any) -> None:
    request_id = str(uuid4())
    video = await api.caller.video(api.library, FILM, request_id=request_id)
    upload = await _written(api, request_id=request_id)
    assert (await api.caller.finish(upload.name)).name == video.name
    assert await rows.one("SELECT count(*), (SELECT count(*) FROM contents) FROM work_items") == (1, 1)
    assert len(api.blobs()) == 1


async def test_a_request_id_that_has_made_another_video_is_refused(api: Any) -> None:
    request_id = str(uuid4())
    await api.caller.video(api.library, api.mp4, request_id=request_id)
    upload = await _written(api, request_id=request_id)
    assert await api.refused(api.caller.finish(upload.name)) == ("ALREADY_EXISTS", "REQUEST_ID_REUSED")
    assert len(api.blobs()) == 1


async def test_a_cancelled_upload_leaves_nothing(api: Any, nothing_left: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    call, sent = _open_stream(api, upload.name, 0, FILM[:MIB])
    await sent.wait()
    await api.caller.cancel(upload.name)
    call.cancel()
    await asyncio.sleep(0.3)
    await nothing_left()
    assert await api.refused(api.caller.cancel(upload.name)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def test_cancelling_a_finished_upload_keeps_the_video(api: Any) -> None:
    upload = await _written(api)
    await api.caller.finish(upload.name)
    await api.caller.cancel(upload.name)
    assert [blob.read_bytes() for blob in api.blobs()] == [FILM]


async def test_an_upload_goes_with_its_person(api: Any, rows: Any, worker: Any) -> None:
    person = await api.caller.person(api.library)
    upload = await api.caller.start_photo(person.name, len(api.jpeg))
    await api.caller.write(upload.name, 0, api.jpeg)
    await api.caller.people.DeletePerson(people_service_pb2.DeletePersonRequest(name=person.name))
    assert await api.refused(api.caller.finish(upload.name)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await _expect_deletion_ordered(rows, worker, upload.name)


async def test_an_upload_goes_with_its_library(api: Any, rows: Any, worker: Any) -> None:
    upload = await _written(api)
    request = library_service_pb2.DeleteLibraryRequest(name=api.library, force=True)
    await api.admin.libraries.DeleteLibrary(request)
    await _expect_deletion_ordered(rows, worker, upload.name)


async def _expect_deletion_ordered(rows: Any, worker: Any, upload: str) -> None:
    assert await rows.one("SELECT count(*) FROM uploads") == (0,)
    (item,) = await worker.claim(worker.blobs)
    _, library, _, upload_id = upload.split("/")
    assert f"partial/{library}/{upload_id}".encode() in item.payload


async def test_a_library_that_is_deleted_under_a_stream_leaves_nothing(api: Any, nothing_left: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    call, sent = _open_stream(api, upload.name, 0, FILM[:MIB])
    await sent.wait()
    request = library_service_pb2.DeleteLibraryRequest(name=api.library, force=True)
    await api.admin.libraries.DeleteLibrary(request)
    call.cancel()
    await asyncio.sleep(0.3)
    await nothing_left()


async def test_an_upload_of_nobody_cannot_be_started(api: Any, nothing_left: Any) -> None:
    nobody = api.caller.start_photo(f"{api.library}/people/{api.unknown_id}", 100)
    assert await api.refused(nobody) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await nothing_left()


async def test_an_upload_is_of_one_library(api: Any, connect: Callable[[str, str], Any]) -> None:
    upload = await _written(api)
    _, key = await api.new_library()
    stranger = connect(api.address, key)
    for call in (
        stranger.upload(upload.name),
        stranger.write(upload.name, 0, FILM[:100]),
        stranger.finish(upload.name),
        stranger.cancel(upload.name),
        stranger.start_video(api.library, 100),
    ):
        assert await api.refused(call) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await api.caller.finish(upload.name)


async def test_an_abandoned_upload_expires_with_its_bytes(
    api: Any, rows: Any, server_parts: Resources, nothing_left: Any
) -> None:
    upload = await _written(api)
    await collect_garbage(server_parts.database.system, server_parts.store, timedelta(0))
    assert (await api.caller.upload(upload.name)).committed_bytes == len(FILM)
    await rows.do("UPDATE uploads SET expire_time = now()")
    assert await api.refused(api.caller.upload(upload.name)) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await collect_garbage(server_parts.database.system, server_parts.store, timedelta(0))
    await nothing_left()


async def test_an_expired_upload_is_started_anew_under_its_request_id(api: Any, rows: Any) -> None:
    request_id = str(uuid4())
    upload = await _written(api, request_id=request_id)
    await rows.do("UPDATE uploads SET expire_time = now()")
    again = await api.caller.start_video(api.library, len(FILM), request_id=request_id)
    assert (again.name != upload.name, again.committed_bytes) == (True, 0)


async def test_bytes_that_come_put_the_end_off(api: Any, rows: Any) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    await rows.do("UPDATE uploads SET expire_time = now() + interval '1 minute'")
    written = await api.caller.write(upload.name, 0, FILM[:100])
    left = written.expire_time.ToDatetime() - written.create_time.ToDatetime()
    assert timedelta(hours=23) < left < timedelta(hours=25)


async def test_what_a_finished_upload_has_become_outlives_it(api: Any, rows: Any, server_parts: Resources) -> None:
    upload = await _written(api)
    await api.caller.finish(upload.name)
    await rows.do("UPDATE uploads SET expire_time = now()")
    await collect_garbage(server_parts.database.system, server_parts.store, timedelta(0))
    assert [blob.read_bytes() for blob in api.blobs()] == [FILM]


@pytest.mark.parametrize("written", [MIB, len(FILM)])
async def test_bytes_that_are_gone_from_the_store_end_the_upload(api: Any, nothing_left: Any, written: int) -> None:
    upload = await api.caller.start_video(api.library, len(FILM))
    await api.caller.write(upload.name, 0, FILM[:written])
    (blob,) = api.blobs()
    blob.unlink()
    whole = written == len(FILM)
    call = api.caller.finish(upload.name) if whole else api.caller.write(upload.name, MIB, FILM[MIB : MIB + 100])
    assert await api.refused(call) == ("NOT_FOUND", "RESOURCE_NOT_FOUND")
    await nothing_left()


async def test_another_server_goes_on_with_an_upload_and_finishes_it(
    api: Any, server_settings: ServerSettings, connect: Callable[[str, str], Any]
) -> None:
    library, key = await api.new_library()
    here = connect(api.address, key)
    upload = await here.start_video(library, len(FILM))
    await here.write(upload.name, 0, FILM[:MIB])
    async with resources(server_settings) as parts, running(public_listener(server_settings, parts)) as port:
        there = connect(f"127.0.0.1:{port}", key)
        await there.write(upload.name, MIB, FILM[MIB : 2 * MIB])
        await here.write(upload.name, 2 * MIB, FILM[2 * MIB :])
        video = await there.finish(upload.name, _sha256(FILM))
    assert (await here.finish(upload.name)).name == video.name


async def test_what_was_taken_while_the_disk_was_slow_is_kept_when_the_stream_breaks_off(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, append = asyncio.Event(), LocalPartial.append

    async def slow(self: LocalPartial, batch: Any) -> None:
        await gate.wait()
        await append(self, batch)

    monkeypatch.setattr(LocalPartial, "append", slow)
    upload = await api.caller.start_video(api.library, 96 * MIB)
    call, _ = _open_stream(api, upload.name, 0, FILM[:MIB] + bytes(11 * MIB))
    # One batch is being written, and another one is complete: the server takes no more.
    await asyncio.sleep(1.0)
    call.cancel()
    await asyncio.sleep(0.2)
    gate.set()
    await asyncio.sleep(0.5)
    assert (await api.caller.upload(upload.name)).committed_bytes == 2 * BATCH_BYTES


async def test_a_slow_disk_stops_the_client(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, appended, append = asyncio.Event(), 0, LocalPartial.append

    async def slow(self: LocalPartial, batch: Any) -> None:
        nonlocal appended
        await gate.wait()
        await append(self, batch)
        appended += sum(map(len, batch))

    monkeypatch.setattr(LocalPartial, "append", slow)
    size_bytes, sent = 96 * MIB, 0
    upload = await api.caller.start_video(api.library, size_bytes)

    async def requests() -> AsyncIterator[Any]:
        nonlocal sent
        message = upload_service_pb2.WriteUploadRequest
        yield message(start=upload_service_pb2.WriteStart(name=upload.name))
        for start in range(0, size_bytes, MIB):
            yield message(chunk=FILM[:MIB] if start == 0 else bytes(MIB))
            sent += MIB

    call = asyncio.ensure_future(_unary(api.caller.uploads.WriteUpload(requests())))
    await asyncio.sleep(1.0)
    stopped_at = sent
    await asyncio.sleep(0.5)
    # Two batches in the server, and what gRPC's flow control lets through.
    assert sent == stopped_at < 4 * BATCH_BYTES + 8 * MIB
    assert appended == 0
    gate.set()
    assert (await call).upload.committed_bytes == size_bytes == appended


async def _unary(call: Any) -> Any:
    return await call
