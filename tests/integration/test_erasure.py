"""Deletions, followed to the last byte: every file of the state directory is searched for what was planted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest

from tests.markers import Markers, with_comment
from whodex import Client, receipts
from whodex.demo.samples import pull_samples, sample
from whodex.runtime.channel import internal_channel_sync
from whodex.stack import smoke_media
from whodex.stack.postgres import DATABASE, SUPERUSER
from whodex.v1.erasure_pb2 import Erasure
from whodex.v1.index_service_pb2 import SnapshotRequest
from whodex.v1.index_service_pb2_grpc import IndexServiceStub
from whodex.v1.person_pb2 import Person, ReferencePhoto
from whodex.v1.video_pb2 import Video

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

WITHIN_SECONDS = 60


@dataclass
class Planted:
    """A library of the test's own whose every trace is known.

    Attributes:
        admin: calls with the admin key.
        client: calls with a key of the library.
        markers: of everything in it.
    """

    stack: Stack
    admin: Client
    client: Client
    library: str
    markers: Markers

    def photo(self, person: Person, picture: str) -> ReferencePhoto:
        """A READY photo, with markers of its bytes, name, thumbnail and embedding."""
        comment = self.markers.bytes(f"bytes of {picture}", os.urandom(48))
        data = with_comment(sample(picture).read_bytes(), comment)
        file_name = self.markers.text(f"file name of {picture}")
        photo = self.client.people.upload_photo(person.name, data, file_name=file_name)
        photo = self.client.people.wait_for_photo(photo.name, timeout_seconds=120)
        assert photo.state == ReferencePhoto.STATE_READY, photo.failure
        self._picture(f"thumbnail of {picture}", photo.thumbnail.name)
        self._vectors(f"embedding of {picture}", "SELECT embedding FROM reference_photos WHERE id = %s", photo.name)
        self._vectors("query embedding", "SELECT query_embedding FROM people WHERE id = %s", person.name)
        return photo

    def person(self) -> Person:
        """A person whose names are markers."""
        return self.client.people.create(
            self.markers.text("name of the person"), description=self.markers.text("description")
        )

    def video(self) -> Video:
        """A video that was uploaded, with markers of its bytes and names."""
        data = self.markers.bytes("bytes of the video", os.urandom(48))
        # A box that players skip (ISO/IEC 14496-12 8.1.2).
        padding = (8 + len(data)).to_bytes(4, "big") + b"free" + data
        return self.client.videos.upload(
            smoke_media.clip_path().read_bytes() + padding,
            file_name=self.markers.text("file name of the video"),
            display_name=self.markers.text("name of the video"),
        )

    def ready_video(self) -> Video:
        """The same, READY, with markers of all that was found in it."""
        video = self.client.videos.wait_for_video(self.video().name, timeout_seconds=300)
        assert video.state == Video.STATE_READY, video.failure
        for scene in self.client.videos.list_scenes(video.name):
            self._picture(f"thumbnail of scene {scene.index}", scene.thumbnail.name)
        for number, appearance in enumerate(self.client.videos.list_appearances(video.name)):
            self._picture(f"best shot {number}", appearance.best_shots[0].thumbnail.name)
            self._vectors(
                f"embedding of appearance {number}", "SELECT embedding FROM appearances WHERE id = %s", appearance.name
            )
        return video

    def snapshot(self) -> None:
        """Brings the embeddings into the snapshots of the index, the one before the newest included."""
        token, address = self.stack.secrets.internal_token, self.stack.part_address("indexer")
        with internal_channel_sync(address, token) as channel:
            for _ in range(2):
                IndexServiceStub(channel).Snapshot(SnapshotRequest())

    def erase(self, erasure: str, markers: Markers | None = None) -> Erasure:
        """Waits for an erasure, and finds nothing of it afterwards."""
        complete = self.admin.erasures.wait(erasure, timeout_seconds=WITHIN_SECONDS)
        assert (markers or self.markers).left(self.stack.state) == {}
        return complete

    def _picture(self, what: str, content: str) -> None:
        jpeg = self.client.contents.download(content)
        self.markers.bytes(what, jpeg[len(jpeg) // 2 :][:48])

    def _vectors(self, what: str, query: str, name: str) -> None:
        with database(self.stack) as connection:
            row = connection.execute(query, (UUID(name.rpartition("/")[2]),)).fetchone()
        assert row is not None
        self.markers.vector(what, row[0])


def database(stack: Stack) -> psycopg.Connection[tuple[bytes]]:
    """A connection that sees everything."""
    return psycopg.connect(
        host="127.0.0.1",
        port=stack.ports["postgres"],
        dbname=DATABASE,
        user=SUPERUSER,
        password=stack.secrets.postgres_password,
        autocommit=True,
    )


@pytest.fixture
def planted(stack: Stack) -> Iterator[Planted]:
    """An empty library, whose name and key's name are markers already."""
    pull_samples()
    markers = Markers()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create(markers.text("name of the library")).name
        key = admin.libraries.create_key(library, markers.text("name of the key")).secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield Planted(stack, admin, client, library, markers)
        if any(library == one.name for one in admin.libraries.list()):
            admin.libraries.delete(library, force=True)


def _all_planted(planted: Planted) -> Mapping[str, list[str]]:
    """Where each marker is; so the search can find them, and an empty answer after it means something."""
    left = planted.markers.left(planted.stack.state)
    missing = planted.markers.found.keys() - left.keys()
    assert {what for what in missing if " in " not in what} == set()
    return left


def test_nothing_is_left_of_a_photo_and_the_person_stays(planted: Planted) -> None:
    person = planted.person()
    kept = planted.markers
    planted.markers = Markers()
    photo = planted.photo(person, "obama.jpg")
    planted.snapshot()
    left = _all_planted(planted)
    assert any(file.startswith("index/") for file in left["embedding of obama.jpg in the index"])

    erasure = planted.erase(planted.client.people.delete_photo(photo.name).erasure)

    assert (erasure.removed.photos, erasure.removed.embeddings, erasure.removed.blobs) == (1, 1, 2)
    assert planted.client.people.get(person.name).state == Person.STATE_NEEDS_PHOTOS
    planted.markers = kept
    assert _all_planted(planted) != {}


def test_nothing_is_left_of_a_person(planted: Planted) -> None:
    library = planted.markers
    planted.markers = Markers()
    person = planted.person()
    for picture in ("obama.jpg", "obama2.jpg"):
        planted.photo(person, picture)
    planted.snapshot()
    _all_planted(planted)

    deleted = planted.client.people.delete(person.name)
    erasure = planted.erase(deleted.erasure)

    assert (erasure.removed.people, erasure.removed.photos, erasure.removed.embeddings) == (1, 2, 3)
    assert erasure.target == person.name
    keys = [key.public_key_pem for key in planted.client.erasures.receipt_keys()]
    statement = receipts.verify(erasure.receipt, keys)
    assert (statement.target, statement.removed) == (person.name, erasure.removed)
    identified = planted.client.search.identify(
        sample("obama.jpg").read_bytes(),
        consistency_token=deleted.consistency_token,
    )
    assert [list(face.candidates) for face in identified.faces] == [[]]
    planted.markers = library
    assert _all_planted(planted) != {}


def test_nothing_is_left_of_a_video(planted: Planted) -> None:
    library = planted.markers
    planted.markers = Markers()
    video = planted.ready_video()
    planted.snapshot()
    _all_planted(planted)

    erasure = planted.erase(planted.client.videos.delete(video.name).erasure)

    assert (erasure.removed.videos, erasure.removed.scenes) == (1, video.scene_count)
    assert erasure.removed.appearances == erasure.removed.embeddings == video.appearance_count
    planted.markers = library
    assert _all_planted(planted) != {}


def test_nothing_is_left_of_a_video_that_a_worker_is_busy_with(planted: Planted) -> None:
    """The worker is frozen meanwhile, and goes on writing once the erasure is complete: it clears up behind itself."""
    library = planted.markers
    planted.markers = Markers()
    video = planted.video()
    with _frozen_video_worker(planted, video) as blobs:
        planted.markers.bytes("staged thumbnail", next(blobs.rglob("scene-*.jpg")).read_bytes()[-64:])
        _all_planted(planted)
        deleted = planted.client.videos.delete(video.name)
        erasure = planted.erase(deleted.erasure)
        assert (erasure.removed.videos, erasure.removed.work_items) == (1, 1)
        assert not blobs.exists()

    until(lambda: _cleared_up(planted.stack, video))
    assert planted.markers.left(planted.stack.state) == {}
    assert [path for path in blobs.rglob("*") if path.is_file()] == []
    planted.markers = library
    assert _all_planted(planted) != {}


@contextmanager
def _frozen_video_worker(planted: Planted, video: Video) -> Iterator[Path]:
    """Stops the worker in the middle of a video, for the time of the block; yields where its blobs are."""
    library, id_ = (name.rpartition("/")[2] for name in (planted.library, video.name))
    blobs = planted.stack.state.root / "objects" / "work" / library / id_
    group = part_pid(planted.stack, "video_worker")

    def freeze() -> bool:
        if not any(blobs.rglob("scene-*.jpg")):
            return False
        os.killpg(group, signal.SIGSTOP)
        # Asked several times, since a result that it had sent by then may still be on its way.
        if all(planted.client.videos.get(video.name).state == Video.STATE_PROCESSING for _ in range(10)):
            return True
        os.killpg(group, signal.SIGCONT)
        raise AssertionError("the worker was faster than the test")

    until(freeze, pause_seconds=0.005)
    try:
        yield blobs
    finally:
        os.killpg(group, signal.SIGCONT)


def _cleared_up(stack: Stack, video: Video) -> bool:
    # Because its lease is lost, or because the folder is gone that it was about to write to.
    lines = stack.log("video_worker").splitlines()
    return any("work ended" in line and video.name in line for line in lines)


def part_pid(stack: Stack, name: str) -> int:
    """The process of a part."""
    (pid,) = (one.pid for one in stack.record().parts if one.name == name)
    assert pid is not None
    return pid


def until(condition: Callable[[], bool], *, pause_seconds: float = 0.2) -> None:
    """Waits for a condition."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause_seconds)


def test_nothing_is_left_of_a_library(planted: Planted) -> None:
    planted.photo(planted.person(), "obama.jpg")
    planted.ready_video()
    planted.snapshot()
    _all_planted(planted)

    erasure = planted.erase(planted.admin.libraries.delete(planted.library, force=True).erasure)

    assert (erasure.removed.people, erasure.removed.videos, erasure.removed.api_keys) == (1, 1, 1)
    assert erasure.target == planted.library


@pytest.mark.parametrize("part", ["scheduler", "indexer", "api_server", "photo_worker", "postgres"])
def test_a_part_that_is_killed_meanwhile_only_delays_it(planted: Planted, part: str) -> None:
    library = planted.markers
    planted.markers = Markers()
    person = planted.person()
    planted.photo(person, "obama.jpg")
    planted.snapshot()
    _all_planted(planted)

    erasure = planted.client.people.delete(person.name).erasure
    os.killpg(part_pid(planted.stack, part), signal.SIGKILL)
    until(lambda: planted.stack.whodex("status").returncode == 0)
    # Connections to a Postgres that is gone are found out by using them; a read is repeated.
    list(planted.client.people.list())

    planted.erase(erasure)
    planted.markers = library
    assert _all_planted(planted) != {}
