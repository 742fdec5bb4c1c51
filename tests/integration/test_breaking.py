"""Parts that are killed while they work, and code that does not run where it was deployed."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from PIL import Image

from whodex import Client
from whodex.demo.samples import pull_samples, sample
from whodex.errors import UnavailableError
from whodex.stack.state import PartRecord, StateDirectory
from whodex.v1.person_pb2 import Person, ReferencePhoto

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

PHOTO_TASK = "whodex.analyze_reference_photo"
PHOTOS = 12
# A lease of 30 s has to lapse before a dead worker's photos are tried again.
RECOVERY_SECONDS = 90


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """Opens a library of this module's own."""
    pull_samples()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("breaking").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


@pytest.fixture(autouse=True)
def mended(stack: Stack) -> Iterator[None]:
    """Waits until every part answers again, for the tests that come after."""
    yield
    until(lambda: stack.whodex("status").returncode == 0)


@pytest.fixture
def picture() -> bytes:
    """Large enough that a worker is busy with a few of them for a while."""
    with Image.open(sample("obama.jpg")) as portrait:
        data = io.BytesIO()
        portrait.resize((3000, 3000 * portrait.height // portrait.width)).save(data, "JPEG", quality=80)
    return data.getvalue()


# Workers.


def test_photos_of_killed_workers_become_ready_once(stack: Stack, client: Client, picture: bytes) -> None:
    child_killed, all_killed = (client.people.create("Interrupted") for _ in range(2))
    photos = [client.people.upload_photo(child_killed.name, picture).name for _ in range(PHOTOS)]
    freeze_at_work(stack, client, child_killed).kill()
    photos += [client.people.upload_photo(all_killed.name, picture).name for _ in range(PHOTOS)]
    freeze_at_work(stack, client, all_killed)
    kill(stack, "photo_worker")

    for person in (child_killed, all_killed):
        state = client.people.wait_for_person(person.name, timeout_seconds=RECOVERY_SECONDS)

        assert {photo.state for photo in state.photos} == {ReferencePhoto.STATE_READY}
        assert (len(state.photos), state.person.ready_photo_count) == (PHOTOS, PHOTOS)
        attempts = events(stack, "work started", {photo.name for photo in state.photos}, field="attempt")
        assert max(attempts) > 1
    assert Counter(events(stack, "work completed", set(photos))) == dict.fromkeys(photos, 1)


def freeze_at_work(stack: Stack, client: Client, person: Person) -> psutil.Process:
    """Stops the process that runs tasks in the middle of some of the person's photos, and returns it."""
    frozen: list[psutil.Process] = []

    def freeze() -> bool:
        for child in task_processes(stack):
            child.suspend()
            # Asked several times, since a result that it had sent by then may still be on its way.
            if all(processing(client, person) for _ in range(10)):
                frozen.append(child)
            else:
                child.resume()
        return bool(frozen)

    until(freeze, pause_seconds=0.02)
    return frozen[0]


def task_processes(stack: Stack) -> list[psutil.Process]:
    """The children of the Celery that the worker's own process has started; none while a new one is made."""
    (celery,) = psutil.Process(part(stack, "photo_worker").pid).children()
    return celery.children()


def processing(client: Client, person: Person) -> bool:
    return any(photo.state == ReferencePhoto.STATE_PROCESSING for photo in client.people.list_photos(person.name))


# Triton and the indexer.


def test_photos_wait_for_triton_without_an_attempt_counted(stack: Stack, client: Client) -> None:
    person = client.people.create("Waits for the models")
    picture = sample("obama.jpg").read_bytes()

    with gone(stack, "triton"):
        photos = {client.people.upload_photo(person.name, picture).name for _ in range(PHOTOS)}
        until(lambda: set(events(stack, "work released", photos)) == photos)
        with pytest.raises(UnavailableError) as caught:
            client.search.identify(picture)
    state = client.people.wait_for_person(person.name, timeout_seconds=RECOVERY_SECONDS)

    assert caught.value.reason_name == "INFERENCE_UNAVAILABLE"
    assert {photo.state for photo in state.photos} == {ReferencePhoto.STATE_READY}
    assert set(events(stack, "work started", photos, field="attempt")) == {1}


def test_searches_fail_without_the_indexer_and_recover_with_it(stack: Stack, client: Client) -> None:
    person = client.people.create("Searched")
    picture = sample("obama2.jpg").read_bytes()
    client.people.upload_photo(person.name, picture)
    ready = client.people.wait_for_person(person.name, timeout_seconds=RECOVERY_SECONDS).person
    assert ready.state == Person.STATE_READY

    with gone(stack, "indexer"):
        for search in (lambda: list(client.search.scenes([person.name])), lambda: client.search.identify(picture)):
            with pytest.raises(UnavailableError) as caught:
                search()
            assert caught.value.reason_name == "INDEX_UNAVAILABLE"

    until(lambda: answers(client, picture))
    (face,) = client.search.identify(picture, consistency_token=ready.consistency_token, max_candidates=100).faces
    assert person.name in [candidate.person.name for candidate in face.candidates]
    assert list(client.search.scenes([person.name], consistency_token=ready.consistency_token)) == []


def answers(client: Client, picture: bytes) -> bool:
    try:
        client.search.identify(picture)
    except UnavailableError:
        return False
    return True


@contextmanager
def gone(stack: Stack, name: str) -> Iterator[None]:
    """Kills a part, and keeps the supervisor from starting it again within the block."""
    supervisor = psutil.Process(stack.record().pid)
    supervisor.suspend()
    try:
        kill(stack, name)
        yield
    finally:
        supervisor.resume()


# A bad deploy.


@pytest.fixture
def deploy(tmp_path: Path) -> Iterator[Callable[[Path], StateDirectory]]:
    """Starts a stack of its own whose code comes from another folder first; stops it afterwards."""
    state = StateDirectory(tmp_path / "state")

    def start(code: Path) -> StateDirectory:
        up = command("up", "--detach", state=state, PYTHONPATH=str(code))
        assert up.returncode == 0, up.stderr
        return state

    yield start
    assert command("down", state=state).returncode == 0


def test_the_smoke_test_names_a_task_that_imports_what_is_not_there(
    deploy: Callable[[Path], StateDirectory], tmp_path: Path
) -> None:
    spec = importlib.util.find_spec("inference")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, tmp_path / "code" / "inference")
    module = tmp_path / "code" / "inference" / "tasks" / "analyze_reference_photo.py"
    first_line = "    analyzer = FaceAnalyzer("
    broken = "    from services.worker.src.faces import detect\n" + first_line
    source = module.read_text(encoding="utf-8")
    assert source.count(first_line) == 1
    module.write_text(source.replace(first_line, broken), encoding="utf-8")

    state = deploy(tmp_path / "code")
    # All five attempts, with the pauses between them, end within a minute; on a busy machine perhaps not.
    smoke = command("smoke", "--task-timeout", "120", "--output", "json", state=state)

    outcomes = {outcome["task"]: outcome for outcome in map(json.loads, smoke.stdout.splitlines())}
    assert smoke.returncode == 1
    assert not outcomes[PHOTO_TASK].get("passed")
    assert "ModuleNotFoundError" in outcomes[PHOTO_TASK]["message"]
    assert "No module named 'services'" in state.log("photo_worker").read_text(encoding="utf-8")
    assert outcomes["whodex.delete_blobs"]["passed"]


def command(*arguments: str, state: StateDirectory, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "whodex.cli", "--state-dir", state.root, *arguments],
        env=os.environ | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=180,
        check=False,
    )


# What the tests look at.


def part(stack: Stack, name: str) -> PartRecord:
    return next(one for one in stack.record().parts if one.name == name)


def kill(stack: Stack, name: str) -> None:
    """Kills a part and all that it has started: it leads a process group of its own."""
    pid = part(stack, name).pid
    assert pid is not None
    assert os.getpgid(pid) == pid
    os.killpg(pid, signal.SIGKILL)


def events(stack: Stack, event: str, resources: set[str], *, field: str = "resource") -> list[Any]:
    """A field of each line that the api_server has logged about an event of the resources."""
    lines = (json.loads(line) for line in stack.log("api_server").splitlines() if line.startswith("{"))
    return [line[field] for line in lines if line["event"] == event and line.get("resource") in resources]


def until(condition: Callable[[], bool], *, pause_seconds: float = 0.2) -> None:
    deadline = time.monotonic() + RECOVERY_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(pause_seconds)
