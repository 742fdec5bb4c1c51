"""A backup of a stack that works meanwhile, and a stack made of nothing else."""

from __future__ import annotations

import hashlib
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.conftest import run_whodex
from whodex.client import Client
from whodex.demo.samples import pull_samples, sample
from whodex.errors import InvalidArgumentError
from whodex.stack.backup import BackupDirectory
from whodex.stack.smoke_media import clip_path
from whodex.stack.state import StateDirectory
from whodex.v1 import error_reason_pb2
from whodex.v1.person_pb2 import ReferencePhoto

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


@dataclass(frozen=True)
class Seen:
    """What a client sees of a library that must survive."""

    person: str
    token: str
    scenes: list[tuple[str, float]]
    digests: dict[str, str]


@contextmanager
def _running(state: StateDirectory) -> Iterator[Client]:
    started = run_whodex("up", "--detach", state_dir=state.root)
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        with Client(state_dir=state.root) as client:
            yield client
    finally:
        run_whodex("down", state_dir=state.root)


def _enrolled(client: Client) -> Seen:
    person = client.people.create("Barack Obama")
    for picture in ("obama.jpg", "obama3.jpg"):
        client.people.upload_photo(person.name, sample(picture))
    ready = client.people.wait_for_person(person.name)
    video = client.videos.wait_for_video(client.videos.upload(clip_path()).name)
    scenes = _scenes(client, person.name, video.consistency_token)
    assert scenes
    return Seen(person.name, ready.person.consistency_token, scenes, _digests(client, person.name))


def _scenes(client: Client, person: str, token: str | None = None) -> list[tuple[str, float]]:
    found = client.search.scenes(all_of=[person], consistency_token=token or "")
    return [(match.scene.name, match.people[0].appearances[0].similarity) for match in found]


def _digests(client: Client, person: str) -> dict[str, str]:
    """Of every photo and face of the person, and of the picture of every scene."""
    contents = [content for photo in client.people.list_photos(person) for content in (photo.original, photo.thumbnail)]
    contents += [scene.thumbnail for video in client.videos.list() for scene in client.videos.list_scenes(video.name)]
    return {one.name: hashlib.sha256(client.contents.download(one.name)).hexdigest() for one in contents}


def _come_and_go(client: Client, stop: threading.Event) -> None:
    """People with photos that are made and deleted until told otherwise."""
    while not stop.is_set():
        person = client.people.create("Here today")
        photo = client.people.upload_photo(person.name, sample("biden.jpg"))
        client.people.wait_for_photo(photo.name)
        client.people.delete(person.name)


def test_an_object_that_is_lost_is_told_and_prevents_no_backup(stack: Stack, tmp_path: Path) -> None:
    with Client(state_dir=stack.state.root) as client:
        person = client.people.create("Lost")
        objects = stack.state.folder("objects")
        before = set(objects.rglob("*"))
        client.people.upload_photo(person.name, sample("biden.jpg"))
        made_since = [path for path in objects.rglob("*") if path not in before and path.is_file()]
        lost = next(path for path in made_since if path.read_bytes() == sample("biden.jpg").read_bytes())
        client.people.wait_for_person(person.name)
        lost.unlink()

        made = stack.whodex("backup", tmp_path / "backup")

        client.people.delete(person.name)
    assert made.returncode == 0, made.stderr
    key = str(lost.relative_to(objects))
    assert key in made.stderr.replace("\n", "")
    assert BackupDirectory(tmp_path / "backup").read().missing_objects == (key,)


@pytest.mark.integration
def test_a_stack_that_was_destroyed_is_restored_from_the_backup_of_a_busy_one(tmp_path: Path) -> None:
    pull_samples()
    state, backup = StateDirectory(tmp_path / "state"), tmp_path / "backup"
    with _running(state) as client:
        before = _enrolled(client)
        stop = threading.Event()
        busy = threading.Thread(target=_come_and_go, args=(client, stop))
        busy.start()
        made = run_whodex("backup", backup, state_dir=state.root)
        stop.set()
        busy.join()
        client.people.create("Made after the backup")
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(backup.stat().st_mode) == 0o700
    shutil.rmtree(state.root)

    restored = run_whodex("restore", backup, state_dir=state.root)

    assert restored.returncode == 0, restored.stdout + restored.stderr
    assert not list(tmp_path.glob("*.restoring"))
    with _running(state) as client:
        # What is made now is seen by the index: it has been built anew.
        other = client.people.create("Joe Biden")
        token = client.people.wait_for_photo(client.people.upload_photo(other.name, sample("biden.jpg")).name)
        assert token.state == ReferencePhoto.STATE_READY
        assert _scenes(client, before.person, client.people.get(other.name).consistency_token) == before.scenes
        assert _digests(client, before.person) == before.digests
        _every_photo_is_whole(client)
        assert "Made after the backup" not in {person.display_name for person in client.people.list()}
        with pytest.raises(InvalidArgumentError) as refused:
            _scenes(client, before.person, before.token)
        assert refused.value.reason == error_reason_pb2.ERROR_REASON_CONSISTENCY_TOKEN_INVALID


def _every_photo_is_whole(client: Client) -> None:
    """Of those that came and went, too: what the backup's rows name is there."""
    for person in client.people.list():
        client.people.wait_for_person(person.name)
        for photo in client.people.list_photos(person.name):
            assert photo.state == ReferencePhoto.STATE_READY, photo
            assert client.contents.download(photo.original.name)
