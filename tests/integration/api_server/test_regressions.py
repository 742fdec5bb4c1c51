"""One test for each way in which an earlier system of this kind failed: always between its parts, never in its logic.

They run the real parts: the whole stack, or the real Postgres and gRPC where a part has to be broken on purpose.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest
from PIL import Image, ImageFilter
from pydantic import SecretStr
from sqlalchemy import select

from api_server.database.schema import Base, EmbeddingVector, Person
from api_server.people import people
from api_server.results.aggregation import aggregate
from api_server.work.servicer import WorkServicer
from inference.worker.context import WorkerContext
from inference.worker.execution import run_claims
from inference.worker.registry import Task
from inference.worker.settings import WorkerSettings
from whodex import Client
from whodex.demo.samples import pull_samples, sample
from whodex.errors import WhodexError
from whodex.runtime.credentials import internal_credential
from whodex.runtime.server import Listener, Service, running
from whodex.runtime.tasks import declared_tasks
from whodex.v1.person_pb2 import Person as PersonMessage
from whodex.v1.person_pb2 import ReferencePhoto
from whodex.v1.work_service_pb2_grpc import add_WorkServiceServicer_to_server

WAIT_SECONDS = 60.0
PACKAGES = ("api_server", "indexer", "inference", "whodex")
NOWHERE = "127.0.0.1:9"
TOKEN = "token-of-the-internal-services"  # noqa: S105


@pytest.fixture(scope="module")
def client(stack) -> Iterator[Client]:
    """Opens a library of this module's own."""
    pull_samples()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("regressions").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


def enrol(client: Client, person: PersonMessage, picture: Path | bytes) -> ReferencePhoto:
    """Uploads a photo and waits for it."""
    photo = client.people.upload_photo(person.name, picture)
    return client.people.wait_for_photo(photo.name, timeout_seconds=WAIT_SECONDS)


# 1. The client expected a bare list, the server answered {persons: [...]}.


def test_a_list_arrives_in_the_shape_that_the_client_reads(client):
    made = [client.people.create(name) for name in ("Listed First", "Listed Second")]

    listed = [person for person in client.people.list(page_size=1) if person.display_name.startswith("Listed")]

    assert [person.name for person in listed] == [person.name for person in made]


# 2. The client sent a query parameter, the server wanted a body.


def test_parameters_arrive_where_the_server_looks_for_them(client):
    person = client.people.create("Parameter", description="before")
    person.display_name, person.description = "not in the mask", "after"

    updated = client.people.update(person, ["description"])

    assert (updated.display_name, updated.description) == ("Parameter", "after")
    assert [one.name for one in client.people.list(display_name="Parameter")] == [person.name]


# 3. A worker's task held an import that resolved in the source tree and not where it ran: the worker started healthy,
#    every upload failed, and the photos stayed UPLOADED for ever.


def test_a_task_that_cannot_be_imported_keeps_the_worker_from_starting(stack, tmp_path):
    spec = importlib.util.find_spec("inference")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent, tmp_path / "inference")
    broken = tmp_path / "inference" / "tasks" / "broken.py"
    broken.write_text("from services.worker.src.faces import detect\n", encoding="utf-8")

    worker = subprocess.run(
        [sys.executable, "-P", "-m", "inference.worker", "--queues", "photos"],
        env={**os.environ, **worker_settings(stack), "PYTHONPATH": str(tmp_path)},
        cwd="/",
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )

    assert worker.returncode != 0
    line = worker.stderr.strip().splitlines()[-1]
    assert "worker does not start" in line
    assert "inference.tasks.broken cannot be imported: ModuleNotFoundError: No module named 'services'" in line


def worker_settings(stack) -> dict[str, str]:
    return {
        "WHODEX_BROKER_URL": f"redis://:{stack.secrets.valkey_password}@{stack.part_address('valkey')}/0",
        "WHODEX_INTERNAL_ADDRESS": stack.part_address("internal"),
        "WHODEX_INTERNAL_TOKEN": stack.secrets.internal_token,
        "WHODEX_TRITON_ADDRESS": stack.part_address("triton"),
        "WHODEX_STORE_URL": stack.state.folder("objects").as_uri(),
    }


async def test_an_import_that_fails_inside_a_task_is_a_failure_on_the_photo(rows, database, tmp_path):
    library = await rows.library()
    await rows.photo(library, await rows.person(library))
    declaration = declared_tasks()["whodex.analyze_reference_photo"]

    def broken(context: Any, items: Any) -> Any:
        from services.worker.src.faces import detect  # noqa: PLC0415

        return [detect(context, item) for item in items]

    def answer_doorbell(address: str) -> None:
        settings = {
            "broker_url": f"redis://{NOWHERE}/0",
            "internal_address": address,
            "internal_token": TOKEN,
            "triton_address": NOWHERE,
            "store_url": tmp_path.as_uri(),
        }
        context = WorkerContext(WorkerSettings.model_validate(settings))
        run_claims(Task(declaration, broken, describe=lambda payload: payload.photo), context)
        context.close()

    service = Service("whodex.v1.WorkService", add_WorkServiceServicer_to_server, WorkServicer(database))
    async with running(Listener("127.0.0.1:0", [service], internal_credential(SecretStr(TOKEN)))) as port:
        for _ in range(declaration.max_attempts):
            await rows.do("UPDATE work_items SET next_run_time = now()")
            await asyncio.to_thread(answer_doorbell, f"127.0.0.1:{port}")

    photo = await rows.one("SELECT * FROM reference_photos")
    assert (photo.state, photo.failure_attempts, photo.failure_retryable) == ("failed", 5, True)
    assert "failed with ModuleNotFoundError" in photo.failure_message


def test_no_function_imports_what_its_module_does_not():
    """Imports stand at the top of a module, where a start finds them; of ours, everywhere that a worker runs."""
    hidden = [
        f"{path}:{inner.lineno}"
        for path in sources("inference")
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    ]

    assert hidden == []


def test_every_task_does_its_work_in_processes_that_start_elsewhere(stack):
    smoke = stack.whodex("smoke", "--output", "json")

    outcomes = {one["task"]: one for one in map(json.loads, smoke.stdout.splitlines())}
    assert smoke.returncode == 0, smoke.stdout
    assert outcomes.keys() == declared_tasks().keys()


# 4. An embedding was read back as a string.


async def test_an_embedding_comes_back_as_the_array_that_went_in(rows, database, worker, samples):
    await rows.space()
    library = await rows.library()
    await rows.photo(library, await rows.person(library))
    (item,) = await worker.claim(worker.photos)
    await worker.complete((item, samples.photo_result(0.1, -0.2, 0.3)))

    async with database.reads() as session:
        vector = await session.scalar(select(Person.query_embedding))

    assert isinstance(vector, np.ndarray)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, samples.vector(0.1, -0.2, 0.3), atol=1e-6)


# 5. There were two copies of one storage adapter, with different signatures.


def test_there_is_one_storage_adapter():
    adapters = {
        str(path.relative_to(path.parents[2]))
        for package in PACKAGES
        for path in sources(package)
        if any(name.partition(".")[0] in {"obstore", "boto3", "s3fs"} for name in imported_names(path))
    }

    # Objects that are being written are half of the same adapter.
    assert adapters == {"whodex/runtime/partial.py", "whodex/runtime/store.py"}


def test_what_a_worker_stores_the_api_server_reads(client):
    photo = enrol(client, client.people.create("Stored"), sample("obama.jpg"))

    thumbnail = client.contents.download(photo.thumbnail.name)

    with Image.open(BytesIO(thumbnail)) as picture:
        assert picture.format == "JPEG"
    assert len(thumbnail) == photo.thumbnail.size_bytes


def sources(package: str) -> Iterator[Path]:
    """The modules of a package as it is installed, without the generated ones."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    generated = {root / "v1", root / "buf"}
    return (path for path in root.rglob("*.py") if generated.isdisjoint(path.parents))


def imported_names(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


# 6. A row mapper broke with each migration.


async def test_columns_that_a_later_migration_adds_break_no_reader(rows, database, worker, samples):
    """Expand, then contract: the next release's migration runs while this release still serves."""
    for table in Base.metadata.tables:
        await rows.do(f"ALTER TABLE {table} ADD COLUMN of_the_next_release text DEFAULT 'new'")
    await rows.space()
    library = await rows.library()
    person = await rows.person(library)
    await rows.photo(library, person)
    await rows.video(library)

    (photo,) = await worker.claim(worker.photos)
    await worker.complete((photo, samples.photo_result()))
    (video,) = await worker.claim(worker.videos)
    await worker.stage(video, samples.video_part(0, (1,)))
    await worker.complete((video, samples.video_result(1)))

    async with database.reads() as session:
        assert (await people.get(session, library, person)).ready_count == 1
    assert (await rows.one("SELECT appearance_count FROM videos")).appearance_count == 1


# 7. A delete left the photo's file behind.


@pytest.mark.parametrize("deleted", ["the photo", "the person"])
def test_a_delete_leaves_no_file_behind(client, stack, deleted):
    objects = stack.state.folder("objects")
    before = files(objects)
    person = client.people.create("Deleted")
    photo = enrol(client, person, sample("obama.jpg"))
    made = files(objects) - before
    assert len(made) >= 2

    if deleted == "the photo":
        client.people.delete_photo(photo.name)
    else:
        client.people.delete(person.name)

    deadline = time.monotonic() + WAIT_SECONDS
    while left := {path for path in made if path.exists()}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


# 8. A quality score was a constant.


def test_quality_is_measured(client):
    person = client.people.create("Measured")
    with Image.open(sample("obama.jpg")) as original:
        smaller = original.resize((original.width // 2, original.height // 2))
        pictures = [original, original.filter(ImageFilter.GaussianBlur(8)), smaller]
        sharp, blurred, small = (enrol(client, person, jpeg(picture)) for picture in pictures)

    assert {photo.state for photo in (sharp, blurred, small)} == {ReferencePhoto.STATE_READY}
    assert blurred.quality.sharpness < sharp.quality.sharpness / 2
    assert small.quality.face_size_px == pytest.approx(sharp.quality.face_size_px / 2, rel=0.1)
    assert len({photo.quality.detection_score for photo in (sharp, blurred, small)}) == 3


def jpeg(picture: Image.Image) -> bytes:
    data = BytesIO()
    picture.convert("RGB").save(data, "JPEG", quality=95)
    return data.getvalue()


# 9. A READY photo was turned FAILED by an error of the aggregation.


async def test_photos_that_cannot_be_aggregated_stay_ready(rows, worker, samples):
    await rows.space()
    library = await rows.library()
    person = await rows.person(library)
    for _ in range(2):
        await rows.photo(library, person)
    first, second = await worker.claim(worker.photos, 2)

    # Opposite embeddings of equal weight: their mean is zero and cannot be normalised.
    await worker.complete((first, samples.photo_result(1)), (second, samples.photo_result(-1)))

    states = await rows.all("SELECT state FROM reference_photos")
    assert [row.state for row in states] == ["ready", "ready"]


# 10. Aggregations that ran at the same time overwrote each other.


def test_photos_that_become_ready_at_the_same_time_all_count(client, stack):
    person = client.people.create("At Once")
    # Three that differ: copies of one would count once.
    pictures = [sample(name) for name in ("obama.jpg", "obama2.jpg", "obama3.jpg")]
    with ThreadPoolExecutor(len(pictures)) as threads:
        list(threads.map(lambda one: client.people.upload_photo(person.name, one), pictures))

    state = client.people.wait_for_person(person.name, timeout_seconds=WAIT_SECONDS)

    assert state.person.ready_photo_count == len(pictures)
    embedding, photos = stored_embeddings(stack, person)
    vectors = np.stack([decoded(photo) for photo, _ in photos])
    weights = np.array([weight for _, weight in photos], dtype=np.float32)
    np.testing.assert_allclose(decoded(embedding), aggregate(vectors, weights), atol=1e-6)


def stored_embeddings(stack, person: PersonMessage) -> tuple[bytes, list[tuple[bytes, float]]]:
    """The query embedding of a person, and the embeddings of their READY photos with their weights."""
    host, port = stack.part_address("postgres").split(":")
    parameters = {"host": host, "port": int(port), "user": "whodex", "dbname": "whodex"}
    person_id = person.name.rpartition("/")[2]
    with psycopg.connect(**parameters, password=stack.secrets.postgres_password) as connection:
        embedding = connection.execute("SELECT query_embedding FROM people WHERE id = %s", (person_id,)).fetchone()
        query = "SELECT embedding, weight FROM reference_photos WHERE person_id = %s AND state = 'ready'"
        photos = connection.execute(query, (person_id,)).fetchall()
    assert embedding is not None
    return embedding[0], photos


def decoded(stored: bytes) -> np.ndarray[Any, Any]:
    vector = EmbeddingVector().process_result_value(stored, None)
    assert vector is not None
    return vector


# 11. An error of the search for people silently gave results without the person.


def test_an_index_that_does_not_answer_is_an_error_of_the_search(client, stack):
    person = client.people.create("Searched")
    enrol(client, person, sample("obama.jpg"))
    picture = sample("obama.jpg").read_bytes()
    indexer = next(part.pid for part in stack.record().parts if part.name == "indexer")
    with Client(
        stack.address, library=client.library, api_key=client.configuration.api_key, timeout_seconds=3
    ) as hurried:
        os.kill(indexer, signal.SIGSTOP)
        try:
            for search in (
                lambda: list(hurried.search.scenes([person.name])),
                lambda: hurried.search.identify(picture),
            ):
                with pytest.raises(WhodexError) as caught:
                    search()
                assert caught.value.transient
        finally:
            os.kill(indexer, signal.SIGCONT)


# 12. People of the same name hid each other.


def test_people_may_share_a_name_and_none_hides_the_other(client, stack, monkeypatch):
    people = [client.people.create("Same Name", description=which).name for which in ("first", "second")]

    assert [person.name for person in client.people.list(display_name="Same Name")] == people
    monkeypatch.setenv("WHODEX_LIBRARY", client.library)
    monkeypatch.setenv("WHODEX_API_KEY", client.configuration.api_key or "")
    ambiguous = stack.whodex("person", "show", "Same Name")
    assert ambiguous.returncode != 0
    assert all(person.rpartition("/")[2] in ambiguous.stderr for person in people)
