"""A few hostile files from the client through every real part; all of them are in inference/test_hostile_media.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.hostile import hostile_files
from tests.hostile.canary import Canary, canary
from tests.hostile.pictures import many_scans
from whodex import Client
from whodex.demo.samples import pull_samples, sample
from whodex.errors import InvalidArgumentError
from whodex.v1.failure_pb2 import FailureReason
from whodex.v1.person_pb2 import ReferencePhoto
from whodex.v1.video_pb2 import Video

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

WAIT_SECONDS = 120
FILES = {file.name: file for file in hostile_files()}
PARTS = ("photo_worker", "video_worker", "analysis")


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """Opens a library of this module's own."""
    pull_samples()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("hostile").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Canary]:
    with canary(tmp_path) as watched:
        yield watched


@pytest.fixture(autouse=True)
def _every_process_lives_on(stack: Stack) -> Iterator[None]:
    before = processes(stack)
    yield
    assert processes(stack) == before


def processes(stack: Stack) -> dict[str, set[int]]:
    """The processes of the parts that meet media, the zygotes included, the children that decode left out."""
    pids = {part.name: part.pid for part in stack.record().parts if part.name in PARTS}
    return {name: {pid, *(child.pid for child in psutil.Process(pid).children())} for name, pid in pids.items()}


def test_photos(client: Client, watched: Canary) -> None:
    person = client.people.create("Mallory").name
    names = (
        "png of 50000x50000",
        "png with a zTXt of a GiB",
        "tiff whose directory is 4 GiB away",
        "heic without a size",
    )
    bombs = {name: client.people.upload_photo(person, FILES[name].make(watched.bait)).name for name in names}
    slow = client.people.upload_photo(person, many_scans()).name
    good = client.people.upload_photo(person, sample("obama.jpg")).name

    for name, photo in bombs.items():
        done = client.people.wait_for_photo(photo, timeout_seconds=WAIT_SECONDS)
        assert done.state == ReferencePhoto.STATE_FAILED
        assert FailureReason.Name(done.failure.reason).removeprefix("FAILURE_REASON_") in FILES[name].outcomes
        assert (done.failure.retryable, done.failure.attempts) == (False, 1)
    done = client.people.wait_for_photo(slow, timeout_seconds=WAIT_SECONDS)
    assert FailureReason.Name(done.failure.reason) == "FAILURE_REASON_DECODING_LIMIT_EXCEEDED"
    assert (done.failure.retryable, done.failure.attempts) == (False, 1)
    assert client.people.wait_for_photo(good, timeout_seconds=WAIT_SECONDS).state == ReferencePhoto.STATE_READY
    assert watched.heard() == []


@pytest.mark.parametrize(
    "name",
    [
        "mp4 whose frames are at a path",
        "mp4 whose frames are at an address",
        "HLS playlist behind the header of an mp4",
        "mp4 with 5000 tracks",
        "mp4 that says that it lasts two hours",
        "mp4 of a million tiny packets",
    ],
)
def test_a_video(client: Client, watched: Canary, tmp_path: Path, name: str) -> None:
    (tmp_path / "video.mp4").write_bytes(FILES[name].make(watched.bait))

    video = client.videos.upload(tmp_path / "video.mp4")
    done = client.videos.wait_for_video(video.name, timeout_seconds=WAIT_SECONDS)

    if done.state == Video.STATE_READY:
        assert "READY" in FILES[name].outcomes
        assert done.duration.ToTimedelta().total_seconds() == pytest.approx(FILES[name].duration_s or 1, abs=0.2)
    else:
        assert FailureReason.Name(done.failure.reason).removeprefix("FAILURE_REASON_") in FILES[name].outcomes
        assert (done.failure.retryable, done.failure.attempts) == (False, 1)
    assert watched.heard() == []


def test_a_query_picture_that_takes_too_long(client: Client) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        client.search.identify(many_scans())
    assert refused.value.reason_name == "DECODING_LIMIT_EXCEEDED"
