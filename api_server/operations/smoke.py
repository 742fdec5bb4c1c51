"""The smoke test: every declared task, once, through the live system.

It acts as a client would, by the public services, in a scratch library beside real traffic: broker, worker, Triton,
store, database and index all take part. Nothing of it stays.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from google.protobuf.message import Message
from grpc.aio import ServicerContext
from sqlalchemy import select

from api_server.database.engine import Database
from api_server.database.schema import Content
from api_server.libraries.servicer import LibraryServicer
from api_server.names import CONTENT, parse
from api_server.people.servicer import PeopleServicer
from api_server.search.servicer import SearchServicer
from api_server.videos.servicer import VideoServicer
from whodex.errors import FailedPreconditionError, WhodexError
from whodex.runtime.log import get_logger
from whodex.runtime.store import ObjectStore
from whodex.runtime.tasks import declaration_of, declared_tasks
from whodex.v1 import (
    error_reason_pb2,
    library_service_pb2,
    people_service_pb2,
    search_service_pb2,
    tasks_pb2,
    video_service_pb2,
)
from whodex.v1.operations_service_pb2 import SmokeTestResponse
from whodex.v1.person_pb2 import Person, ReferencePhoto
from whodex.v1.search_service_pb2 import IdentifiedFace
from whodex.v1.video_pb2 import Video

CHUNK_BYTES = 1024 * 1024
_BLOB_POLL_SECONDS = 0.1
Context = ServicerContext[Any, Any]
_log = get_logger()


class SmokeFailedError(Exception):
    """A task did not do what it is for; the message says what was seen."""


@dataclass(frozen=True)
class SampleMedia:
    """A photo with one face, and a video in which the same person appears."""

    photo: bytes
    video: bytes

    @classmethod
    def read(cls, photo: Path | None, video: Path | None) -> SampleMedia:
        """Reads both.

        Raises:
            FailedPreconditionError: SAMPLE_MEDIA_MISSING.
        """
        try:
            if photo is not None and video is not None:
                return cls(photo.read_bytes(), video.read_bytes())
            problem = "WHODEX_SMOKE_PHOTO and WHODEX_SMOKE_VIDEO are not set"
        except OSError as error:
            problem = f"{error.filename} cannot be read"
        raise FailedPreconditionError(
            f"There is no sample media: {problem}. Set both for the api_server.",
            reason=error_reason_pb2.ERROR_REASON_SAMPLE_MEDIA_MISSING,
        )


@dataclass(frozen=True)
class PublicServices:
    """What the smoke test calls."""

    libraries: LibraryServicer
    people: PeopleServicer
    videos: VideoServicer
    search: SearchServicer


class SmokeRun:
    """One run in a scratch library of its own."""

    def __init__(
        self, services: PublicServices, database: Database, store: ObjectStore, media: SampleMedia, context: Context
    ) -> None:
        self._services = services
        self._database = database
        self._store = store
        self._media = media
        self._context = context
        # The caller's rights, for what has to be done after the caller has hung up.
        self._rights = copy_context()
        self._library = ""
        self._person = Person()
        self._photo = ReferencePhoto()

    async def run(self, task_timeout_seconds: float) -> AsyncGenerator[SmokeTestResponse]:
        """Yields the outcome of every declared task; the library is gone afterwards, also when nobody listens."""
        request = library_service_pb2.CreateLibraryRequest(display_name="smoke test")
        created = await self._services.libraries.CreateLibrary(request, self._context)
        self._library = created.library.name
        try:
            for task, case in smoke_cases().items():
                yield await _outcome(task, case(self), task_timeout_seconds)
        finally:
            # In a task of its own: whatever ends this one must not end the deletion.
            await asyncio.shield(asyncio.create_task(self._delete_library(), context=self._rights))

    async def _delete_library(self) -> None:
        request = library_service_pb2.DeleteLibraryRequest(name=self._library, force=True)
        await self._services.libraries.DeleteLibrary(request, self._context)

    async def analyze_reference_photo(self) -> None:
        """A photo becomes READY, and the person in it is identified."""
        request = people_service_pb2.CreatePersonRequest(parent=self._library, display_name="smoke test")
        person = (await self._services.people.CreatePerson(request, self._context)).person
        uploaded = await self._services.people.UploadReferencePhoto(self._photo_upload(person.name), self._context)
        self._person, self._photo = await self._final_photo(person.name, uploaded.photo.name)
        if self._photo.state != ReferencePhoto.STATE_READY:
            raise SmokeFailedError(f"the photo is FAILED: {self._photo.failure.message}")
        identify = search_service_pb2.IdentifyFacesRequest(
            parent=self._library, image=self._media.photo, consistency_token=self._person.consistency_token
        )
        faces = (await self._services.search.IdentifyFaces(identify, self._context)).faces
        if not any(_is_person(face, person.name) for face in faces):
            raise SmokeFailedError("the photo is READY, but the person in it is not found in the index")

    async def process_video(self) -> None:
        """A video becomes READY, and the person is found in it."""
        uploaded = await self._services.videos.UploadVideo(self._video_upload(), self._context)
        video = await self._final_video(uploaded.video.name)
        if video.state != Video.STATE_READY:
            raise SmokeFailedError(f"the video is FAILED: {video.failure.message}")
        search = search_service_pb2.SearchScenesRequest(
            parent=self._library, all_of=[self._person.name], consistency_token=video.consistency_token
        )
        if not (await self._services.search.SearchScenes(search, self._context)).matches:
            raise SmokeFailedError("the video is READY, but the person in it is not found in the index")

    async def delete_blobs(self) -> None:
        """The bytes of a deleted photo go."""
        key = await self._key_of(self._photo.original.name)
        request = people_service_pb2.DeletePersonRequest(name=self._person.name)
        await self._services.people.DeletePerson(request, self._context)
        while await self._is_stored(key):  # noqa: ASYNC110 - a store tells nobody when bytes go
            await asyncio.sleep(_BLOB_POLL_SECONDS)

    async def _photo_upload(self, person: str) -> AsyncIterator[people_service_pb2.UploadReferencePhotoRequest]:
        metadata = people_service_pb2.ReferencePhotoMetadata(parent=person, file_name="smoke-test")
        yield people_service_pb2.UploadReferencePhotoRequest(metadata=metadata)
        for start in range(0, len(self._media.photo), CHUNK_BYTES):
            chunk = self._media.photo[start : start + CHUNK_BYTES]
            yield people_service_pb2.UploadReferencePhotoRequest(chunk=chunk)

    async def _video_upload(self) -> AsyncIterator[video_service_pb2.UploadVideoRequest]:
        metadata = video_service_pb2.VideoMetadata(parent=self._library, file_name="smoke-test")
        yield video_service_pb2.UploadVideoRequest(metadata=metadata)
        for start in range(0, len(self._media.video), CHUNK_BYTES):
            yield video_service_pb2.UploadVideoRequest(chunk=self._media.video[start : start + CHUNK_BYTES])

    async def _final_photo(self, person: str, photo: str) -> tuple[Person, ReferencePhoto]:
        request = people_service_pb2.WatchPersonRequest(name=person)
        async for state in self._services.people.WatchPerson(request, self._context):
            for one in state.photos:
                if one.name == photo and one.state in {ReferencePhoto.STATE_READY, ReferencePhoto.STATE_FAILED}:
                    return state.person, one
        raise SmokeFailedError("the watch of the person ended early")

    async def _final_video(self, video: str) -> Video:
        request = video_service_pb2.WatchVideoRequest(name=video)
        async for state in self._services.videos.WatchVideo(request, self._context):
            if state.video.state in {Video.STATE_READY, Video.STATE_FAILED}:
                return state.video
        raise SmokeFailedError("the watch of the video ended early")

    async def _key_of(self, content: str) -> str:
        if not content:
            raise SmokeFailedError("there is no photo to delete: its upload failed")
        _, content_id = parse(content, CONTENT)
        async with self._database.reads() as session:
            return cast("str", await session.scalar(select(Content.key).where(Content.id == content_id)))

    async def _is_stored(self, key: str) -> bool:
        try:
            await self._store.get_range(key, 0, 1)
        except FileNotFoundError:
            return False
        return True


def smoke_cases() -> Mapping[str, Callable[[SmokeRun], Awaitable[None]]]:
    """How each declared task is made to work. The order matters: a video is searched for the person of the photo."""
    cases: Mapping[type[Message], Callable[[SmokeRun], Awaitable[None]]] = {
        tasks_pb2.AnalyzeReferencePhotoPayload: SmokeRun.analyze_reference_photo,
        tasks_pb2.ProcessVideoPayload: SmokeRun.process_video,
        tasks_pb2.DeleteBlobsPayload: SmokeRun.delete_blobs,
    }
    return {declaration_of(payload()).name: case for payload, case in cases.items()}


async def _outcome(task: str, case: Awaitable[None], timeout_seconds: float) -> SmokeTestResponse:
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_seconds):
            await case
        message = ""
    except TimeoutError:
        queue = declared_tasks()[task].queue
        message = f"No result within {timeout_seconds:g} s. Does a worker for the queue {queue} run? Look at its log."
    except (SmokeFailedError, WhodexError) as error:
        message = str(error)
    response = SmokeTestResponse(task=task, passed=not message, message=message)
    response.elapsed.FromMicroseconds(round((time.monotonic() - started) * 1_000_000))
    _log.info("smoke test", task=task, passed=response.passed, message=message)
    return response


def _is_person(face: IdentifiedFace, person: str) -> bool:
    return face.verdict == IdentifiedFace.VERDICT_KNOWN and face.candidates[0].person.name == person
