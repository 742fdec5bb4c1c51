"""A real Postgres for the tests that need nothing else of the stack, and rows to begin with."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import psycopg
import pytest
import redis
from google.protobuf import any_pb2
from google.protobuf.message import Message
from sqlalchemy import insert, make_url, text
from uuid_utils.compat import uuid7

from api_server import work
from api_server.database import migration
from api_server.database.engine import Database
from api_server.database.schema import (
    Content,
    EmbeddingSpace,
    Library,
    MediaState,
    Person,
    ReferencePhoto,
    Vector,
    Video,
)
from api_server.results.registry import effects_by_task
from api_server.work import attempts
from api_server.work.claim import claim
from api_server.work.completion import complete
from api_server.work.heartbeat import heartbeat
from api_server.work.items import Item, Lease
from api_server.work.staging import stage
from whodex.runtime.embedding import to_proto
from whodex.stack import postgres, valkey
from whodex.stack.state import StateDirectory
from whodex.v1 import embedding_pb2, geometry_pb2, person_pb2, tasks_pb2
from whodex.v1.failure_pb2 import FailureReason

SPACE = "test-space"
DIMENSION = 8
APPLICATION_PASSWORD = "of-the-application"  # noqa: S105 - of a database that lives as long as the tests
BOX = geometry_pb2.Box(left=1, top=2, right=101, bottom=122)
QUALITY = person_pb2.FaceQuality(face_size_px=100, sharpness=8.5, detection_score=0.5)


@pytest.fixture(scope="session")
def migrated_database_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Postgres server of our own; the URL is its owner's. Tests copy this migrated database and never change it."""
    state = StateDirectory(tmp_path_factory.mktemp("postgres") / "state")
    state.create()
    password = state.secrets().postgres_password
    postgres.prepare(state, password)
    port = _free_port()
    with _server(state, port):
        url = postgres.url(port, password, postgres.SUPERUSER)
        migration.upgrade(url, _as_application(url))
        yield url


def _as_application(owner_url: str) -> str:
    url = make_url(owner_url).set(username=postgres.APPLICATION, password=APPLICATION_PASSWORD)
    return url.render_as_string(hide_password=False)


class _server:  # noqa: N801 - reads as the `with` statement that it is
    def __init__(self, state: StateDirectory, port: int) -> None:
        # Durability is the store's and Postgres' own affair; without it the tests are twice as fast.
        command = [*postgres.command(state, port), "--fsync=off", "--max_connections=200"]
        privileges = postgres.privileges()
        self._command = ["setpriv", *privileges, "--", *command] if privileges else command
        self._probe = [str(postgres.binary("pg_isready")), "--host=127.0.0.1", f"--port={port}", "--quiet"]
        self._log = state.log("postgres")

    def __enter__(self) -> None:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while subprocess.run(self._probe, check=False).returncode != 0:
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=30)


@pytest.fixture
def owner_database_url(migrated_database_url: str) -> Iterator[str]:
    """A database of the test's own, and the superuser who owns its tables."""
    url = make_url(migrated_database_url)
    name = f"test_{uuid4().hex}"
    admin = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {url.database}")
        yield url.set(database=name).render_as_string(hide_password=False)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database_url(owner_database_url: str) -> str:
    """The same database, and the role that services connect by."""
    return _as_application(owner_database_url)


class Broker:
    """A Valkey of our own, which a test may stop and start again."""

    def __init__(self, state: StateDirectory) -> None:
        self._port = _free_port()
        self._password = state.secrets().valkey_password
        valkey.prepare(state, self._port, self._password)
        self._command = valkey.command(state)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """For Celery."""
        return valkey.url(self._port, self._password)

    def start(self) -> None:
        """Starts it; returns when it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> None:
        """Stops it, with its data kept."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)

    def messages(self, queue: str) -> list[str]:
        """The tasks that the messages in a queue name, the oldest first."""
        with self._client() as client:
            bodies = client.lrange(queue, 0, -1)
        return [json.loads(body)["headers"]["task"] for body in reversed(bodies)]

    def flush(self) -> None:
        """Loses every message."""
        with self._client() as client:
            client.flushall()

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    return _free_port()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """An empty broker."""
    state = StateDirectory(tmp_path / "broker")
    state.create()
    broker = Broker(state)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def tenant_database(database_url: str) -> AsyncIterator[Database]:
    """Sessions on the test's own database, for who calls."""
    database = Database.from_url(database_url, application="tests")
    yield database
    await database.aclose()


@pytest.fixture
def database(tenant_database: Database) -> Database:
    """Sessions on the test's own database, for what works for all libraries."""
    return tenant_database.system


@dataclass
class Rows:
    """Makes rows that tests begin with, each in a transaction of its own. It may do everything."""

    database: Database

    async def one(self, query: str, **parameters: Any) -> Any:
        """Returns the one row of a query."""
        async with self.database.reads() as session:
            return (await session.execute(text(query), parameters)).one()

    async def all(self, query: str, **parameters: Any) -> list[Any]:
        """Returns the rows of a query."""
        async with self.database.reads() as session:
            return list((await session.execute(text(query), parameters)).all())

    async def do(self, statement: str, **parameters: Any) -> None:
        """Runs a statement and commits it."""
        async with self.database.transaction() as session:
            await session.execute(text(statement), parameters)

    async def space(self, least_similarity: float = -2) -> None:
        """Registers `SPACE`, by default with a threshold that any two faces reach."""
        threshold = {"false_match_rate": 1, "similarity": least_similarity, "extrapolated": False}
        row = {"space": SPACE, "dimension": DIMENSION, "model": "test", "thresholds": [threshold]}
        async with self.database.transaction() as session:
            await session.execute(insert(EmbeddingSpace), row)

    async def library(self) -> UUID:
        """A library."""
        return await self._insert(Library, display_name="Library")

    async def person(self, library_id: UUID) -> UUID:
        """A person without photos."""
        return await self._insert(Person, library_id=library_id, display_name="Ada")

    async def photo(self, library_id: UUID, person_id: UUID, **values: Any) -> UUID:
        """A photo that was uploaded, with its work."""
        photo_id = uuid7()
        content_id = await self._content(library_id, photo_id)
        name = f"libraries/{library_id}/people/{person_id}/photos/{photo_id}"
        await self._insert(
            ReferencePhoto,
            id=photo_id,
            person_id=person_id,
            library_id=library_id,
            file_name="ada.jpg",
            state=MediaState.UPLOADED,
            content_sha256=b"",
            content_id=content_id,
            **values,
        )
        payload = tasks_pb2.AnalyzeReferencePhotoPayload(photo=name, content_key=f"uploads/{content_id}")
        await self._enqueue(payload, library_id, photo_id)
        return photo_id

    async def video(self, library_id: UUID) -> UUID:
        """A video that was uploaded, with its work."""
        video_id = uuid7()
        content_id = await self._content(library_id, video_id)
        await self._insert(
            Video,
            id=video_id,
            library_id=library_id,
            display_name="Film",
            file_name="film.mp4",
            state=MediaState.UPLOADED,
            content_sha256=b"",
            content_id=content_id,
            size_bytes=1,
        )
        payload = tasks_pb2.ProcessVideoPayload(
            video=f"libraries/{library_id}/videos/{video_id}", content_key=f"uploads/{content_id}"
        )
        await self._enqueue(payload, library_id, video_id)
        return video_id

    async def blob_deletion(self, library_id: UUID, *keys: str) -> UUID:
        """Work that belongs to no resource; returns the item's id."""
        return await self._enqueue(tasks_pb2.DeleteBlobsPayload(content_keys=keys), library_id, None)

    async def work_on(self, resource_id: UUID, payload: Message) -> UUID:
        """Work for a resource, whether it needs any or not; returns the item's id."""
        return await self._enqueue(payload, uuid4(), resource_id)

    async def _content(self, library_id: UUID, owner_id: UUID) -> UUID:
        content_id = uuid7()
        return await self._insert(
            Content,
            id=content_id,
            library_id=library_id,
            owner_id=owner_id,
            key=f"uploads/{content_id}",
            media_type="image/jpeg",
            size_bytes=1,
        )

    async def _enqueue(self, payload: Message, library_id: UUID, resource_id: UUID | None) -> UUID:
        async with self.database.transaction() as session:
            return await work.enqueue(
                session, payload, library_id=library_id, resource_id=resource_id, correlation_id="test-call"
            )

    async def _insert(self, table: Any, **values: Any) -> UUID:
        row = {"id": uuid7()} | values
        async with self.database.transaction() as session:
            await session.execute(insert(table), row)
        return row["id"]


@pytest.fixture
async def rows(owner_database_url: str) -> AsyncIterator[Rows]:
    """Makes and reads rows."""
    database = Database.from_url(owner_database_url, application="tests")
    yield Rows(database.system)
    await database.aclose()


class Samples:
    """What workers report."""

    space = SPACE

    def vector(self, *values: float) -> Vector:
        """A vector of unit length in `SPACE`; the values that are left out are 0."""
        vector = np.zeros(DIMENSION, dtype=np.float32)
        vector[: len(values)] = values
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    def embedding(self, *values: float) -> embedding_pb2.Embedding:
        """The same as a message."""
        return to_proto(self.vector(*(values or (1,))), SPACE)

    def photo_result(self, *vector: float, weight: float = 1.0) -> tasks_pb2.AnalyzeReferencePhotoResult:
        """The result of a photo whose face has this embedding."""
        return tasks_pb2.AnalyzeReferencePhotoResult(
            width=640,
            height=480,
            face_box=BOX,
            quality=QUALITY,
            weight=weight,
            embedding=self.embedding(*vector),
            thumbnail=tasks_pb2.StagedBlob(key="face.jpg", media_type="image/jpeg", size_bytes=1234),
        )

    def video_part(self, start_s: int, *vectors: Sequence[float]) -> tasks_pb2.ProcessVideoPart:
        """A scene of 10 seconds with one appearance per vector."""
        part = tasks_pb2.ProcessVideoPart(thumbnail=_blob(f"scene-{start_s}.jpg"))
        part.start_offset.FromSeconds(start_s)
        part.end_offset.FromSeconds(start_s + 10)
        for number, vector in enumerate(vectors):
            appearance = part.appearances.add(embedding=self.embedding(*vector))
            appearance.start_offset.FromSeconds(start_s + 1)
            appearance.end_offset.FromSeconds(start_s + 2)
            appearance.boxes.add(box=BOX)
            thumbnail = _blob(f"face-{start_s}-{number}.jpg")
            shot = appearance.best_shots.add(box=BOX, quality=QUALITY, thumbnail=thumbnail)
            shot.offset.FromSeconds(start_s + 1)
        return part

    def video_result(self, part_count: int) -> tasks_pb2.ProcessVideoResult:
        """The result of a video of a minute."""
        result = tasks_pb2.ProcessVideoResult(width=640, height=360, frame_rate=25, part_count=part_count)
        result.duration.FromSeconds(60)
        return result


def _blob(key: str) -> tasks_pb2.StagedBlob:
    return tasks_pb2.StagedBlob(key=key, media_type="image/jpeg", size_bytes=100)


@pytest.fixture
def samples() -> Samples:
    """What workers report."""
    return Samples()


class Worker:
    """What a worker does, without the wire between."""

    photos = "whodex.analyze_reference_photo"
    videos = "whodex.process_video"
    blobs = "whodex.delete_blobs"

    def __init__(self, database: Database, name: str = "worker-1") -> None:
        self._database = database
        self._effects = effects_by_task()
        self._name = name

    async def claim(self, task: str, max_items: int = 1) -> list[Item]:
        """Leases items."""
        return await claim(self._database, self._effects, task, max_items=max_items, worker=self._name)

    async def heartbeat(self, progress: Mapping[Lease, float]) -> list[Lease]:
        """Extends leases; returns the lost ones."""
        return await heartbeat(self._database, self._effects, progress)

    async def stage(self, item: Item, *parts: Message, first: int = 0) -> None:
        """Reports parts."""
        await stage(
            self._database, self._effects, item.lease, [(first + n, _any(part)) for n, part in enumerate(parts)]
        )

    async def complete(self, *results: tuple[Item, Message]) -> list[Lease]:
        """Gives results back in one call; returns the lost leases."""
        packed = {item.lease: _any(result) for item, result in results}
        return await complete(self._database, self._effects, packed)

    async def fail(self, item: Item, reason: FailureReason.ValueType, *, retryable: bool) -> None:
        """Ends an attempt in a failure."""
        failure = attempts.AttemptFailure(reason, "It did not work.", retryable)
        await attempts.fail(self._database, self._effects, item.lease, failure)

    async def release(self, *items: Item, delay_seconds: float = 0) -> None:
        """Gives items back."""
        leases = [item.lease for item in items]
        await attempts.release(
            self._database, self._effects, leases, "Triton is away.", timedelta(seconds=delay_seconds)
        )

    async def expire(self) -> int:
        """What the scheduler's sweep does about leases."""
        return await attempts.expire_leases(self._database, self._effects)


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


@pytest.fixture
def worker(database: Database) -> Worker:
    """A worker."""
    return Worker(database)
