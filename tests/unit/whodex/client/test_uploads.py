"""Uploads that are cut off, against a server that keeps what comes and fails when it is told to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from whodex.client import Client, uploads
from whodex.errors import AbortedError, InvalidArgumentError, ResourceExhaustedError, UnavailableError, WhodexError
from whodex.v1 import error_reason_pb2
from whodex.v1.upload_pb2 import Upload
from whodex.v1.upload_service_pb2 import FinishUploadResponse, StartUploadResponse, WriteUploadResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

MIB = 1 << 20
CONTENT = bytes(range(256)) * (3 * MIB // 256) + b"the rest"
NAME = f"libraries/{uuid4()}/uploads/{uuid4()}"
PERSON = f"libraries/{uuid4()}/people/{uuid4()}"


class Server:
    """What UploadService does, without durability; `failures` are raised by the next calls that write or finish.

    Attributes:
        stored: what has come.
        keeps: how much of each failing stream is kept, in bytes.
    """

    def __init__(self, api: ScriptedApi) -> None:
        self.api = api
        self.stored = b""
        self.failures: list[WhodexError] = []
        self.keeps = MIB
        self.finished = False
        api.answers["StartUpload"] = lambda _: StartUploadResponse(upload=self._upload())
        api.answers["WriteUpload"] = self._write
        api.answers["FinishUpload"] = self._finish

    def _upload(self) -> Upload:
        state = Upload.STATE_FINISHED if self.finished else Upload.STATE_OPEN
        return Upload(name=NAME, state=state, size_bytes=len(CONTENT), committed_bytes=len(self.stored))

    def _write(self, messages: Any) -> WriteUploadResponse:
        assert messages[0].start.offset == len(self.stored)
        data = b"".join(message.chunk for message in messages[1:])
        self.stored += data[: self.keeps] if self.failures else data
        self._fail()
        return WriteUploadResponse(upload=self._upload())

    def _finish(self, request: Any) -> FinishUploadResponse:
        self._fail()
        if request.sha256 not in (b"", hashlib.sha256(self.stored).digest()):
            reason = error_reason_pb2.ERROR_REASON_UPLOAD_DIGEST_MISMATCH
            raise InvalidArgumentError("Not the same.", reason=reason)
        self.finished = True
        return FinishUploadResponse(video={"name": "the video"})

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def server(api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(uploads, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr("whodex.client.videos.RESUMABLE_BYTES", MIB)
    monkeypatch.setattr("whodex.client.people.RESUMABLE_BYTES", MIB)
    return Server(api)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(CONTENT)
    return path


def _away() -> WhodexError:
    return UnavailableError("Away.", reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE)


def _busy() -> WhodexError:
    return AbortedError("Busy.", reason=error_reason_pb2.ERROR_REASON_UPLOAD_BUSY)


def test_a_large_file_goes_the_way_that_can_be_resumed(server: Server, client: Client, film: Path) -> None:
    sent: list[tuple[int, int]] = []
    video = client.videos.upload(film, display_name="Film", progress=lambda *counts: sent.append(counts))
    assert video.name == "the video"
    assert server.stored == CONTENT
    assert server.api.requests("UploadVideo") == []
    (start,) = server.api.requests("StartUpload")
    assert (start.video.display_name, start.video.file_name) == ("Film", "film.mp4")
    assert start.video.request_id
    assert sent[-1] == (len(CONTENT), len(CONTENT))


def test_a_small_file_goes_in_one_stream(server: Server, client: Client) -> None:
    client.videos.upload(b"small")
    assert server.api.requests("StartUpload") == []


def test_a_large_photo_goes_the_same_way(server: Server, client: Client, film: Path) -> None:
    client.people.upload_photo(PERSON, film)
    (start,) = server.api.requests("StartUpload")
    assert start.reference_photo.parent == PERSON


@pytest.mark.parametrize("keeps", [0, 1, MIB, 2 * MIB + 5])
def test_what_is_cut_off_goes_on_where_it_stopped(server: Server, client: Client, film: Path, keeps: int) -> None:
    server.failures, server.keeps = [_away(), _busy(), _away()], keeps
    resumed: list[int] = []
    client.videos.upload(film, on_resume=lambda upload: resumed.append(upload.committed_bytes))
    assert server.stored == CONTENT
    assert resumed == [kept for n in (1, 2, 3) if (kept := min(n * keeps, len(CONTENT)))]
    assert len({start.video.request_id for start in server.api.requests("StartUpload")}) == 1


def test_another_process_goes_on_and_its_digest_is_that_of_the_whole(
    server: Server, client: Client, film: Path
) -> None:
    server.stored = CONTENT[: MIB + 7]
    client.videos.upload(film, request_id=str(uuid4()))
    (finish,) = server.api.requests("FinishUpload")
    assert finish.sha256 == hashlib.sha256(CONTENT).digest()


def test_large_files_are_committed_segment_by_segment(
    server: Server, client: Client, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SEGMENT_BYTES", MIB + 1)
    client.videos.upload(film)
    offsets = [messages[0].start.offset for messages in server.api.requests("WriteUpload")]
    assert offsets == [0, MIB + 1, 2 * MIB + 2, 3 * MIB + 3]
    assert server.finished


def test_a_lost_answer_of_finish_is_asked_for_again(server: Server, client: Client, film: Path) -> None:
    server.stored, server.finished = CONTENT, True
    assert client.videos.upload(film).name == "the video"
    assert server.api.requests("WriteUpload") == []


def test_a_file_that_was_changed_meanwhile_is_refused(server: Server, client: Client, film: Path) -> None:
    server.stored = b"another beginning"
    with pytest.raises(InvalidArgumentError):
        client.videos.upload(film)


@pytest.mark.usefixtures("server")
def test_a_file_that_became_shorter_is_no_endless_loop(
    client: Client, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "SEGMENT_BYTES", MIB)
    progress = lambda sent, _: film.write_bytes(CONTENT[: MIB + 3]) if sent == MIB else None  # noqa: E731
    with pytest.raises(OSError, match="shorter"):
        client.videos.upload(film, progress=progress)


def test_a_server_that_stays_away_is_given_up(
    server: Server, client: Client, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PATIENCE_SECONDS", 0.2)
    server.keeps = 0
    server.failures = [_away() for _ in range(10_000)]
    with pytest.raises(UnavailableError):
        client.videos.upload(film)


def test_a_server_that_was_never_there_is_not_waited_for(server: Server, client: Client, film: Path) -> None:
    def refuse(_: Any) -> Any:
        raise _away()

    server.api.answers["StartUpload"] = refuse
    with pytest.raises(UnavailableError):
        client.videos.upload(film)
    assert len(server.api.requests("StartUpload")) == 1


def test_a_limit_that_waiting_does_not_lift_ends_it(server: Server, client: Client, film: Path) -> None:
    server.failures = [ResourceExhaustedError("Full.", reason=error_reason_pb2.ERROR_REASON_STORAGE_FULL)]
    with pytest.raises(ResourceExhaustedError):
        client.videos.upload(film)
    assert len(server.api.requests("WriteUpload")) == 1
