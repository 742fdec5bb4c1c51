"""Searches against a real indexer that follows the real feed.

Face analysis is scripted, because what matters here is what is made of its answers: a picture is a JPEG signature and
the embeddings of its faces. The real one is tested with the models, and with the whole stack.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np
import pytest
from sqlalchemy import insert

from api_server.database.schema import EmbeddingSpace
from api_server.server import internal_listener
from api_server.settings import ServerSettings
from whodex.errors import InvalidArgumentError
from whodex.runtime.credentials import internal_credential
from whodex.runtime.embedding import to_proto
from whodex.runtime.server import Listener, Service, running
from whodex.v1 import embedding_pb2, error_reason_pb2, geometry_pb2, person_pb2
from whodex.v1.face_analysis_service_pb2 import AnalyzedFace, AnalyzeImageRequest, AnalyzeImageResponse
from whodex.v1.face_analysis_service_pb2_grpc import (
    FaceAnalysisServiceServicer,
    add_FaceAnalysisServiceServicer_to_server,
)
from whodex.v1.people_service_pb2 import DeletePersonRequest, DeleteReferencePhotoRequest, GetPersonRequest
from whodex.v1.search_service_pb2 import (
    IdentifiedFace,
    IdentifyFacesRequest,
    SearchScenesRequest,
    VerifyFacesRequest,
    VerifyFacesResponse,
)
from whodex.v1.video_service_pb2 import DeleteVideoRequest, GetVideoRequest

ADA, EVE, BOTH, NOBODY = [1.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0, 0.0, 1.0]
THRESHOLDS = [
    {"false_match_rate": 2, "similarity": 0.5, "extrapolated": False},
    {"false_match_rate": 4, "similarity": 0.9, "extrapolated": True},
]
SIGNATURE = b"\xff\xd8\xff" + bytes(9)
UNREADABLE = SIGNATURE + b"?"


class ScriptedAnalysis(FaceAnalysisServiceServicer):
    """Finds the faces whose embeddings a picture consists of."""

    def __init__(self, samples: Any) -> None:
        self._space = samples.space

    async def AnalyzeImage(self, request: AnalyzeImageRequest, context: Any) -> AnalyzeImageResponse:  # noqa: ARG002, N802
        """Reads the embeddings."""
        if request.image == UNREADABLE:
            raise InvalidArgumentError("Damaged.", reason=error_reason_pb2.ERROR_REASON_UNREADABLE_IMAGE)
        vectors = np.frombuffer(request.image[len(SIGNATURE) :], dtype="<f4").reshape(-1, 8).astype(np.float32)
        return AnalyzeImageResponse(
            faces=[
                AnalyzedFace(
                    box=geometry_pb2.Box(left=1, top=1, right=2, bottom=2),
                    quality=person_pb2.FaceQuality(face_size_px=80),
                    embedding=to_proto(vector, self._space),
                )
                for vector in vectors
            ]
        )


def _free_port() -> int:
    # Below the ports that the system gives to those who ask for any: none of these takes it meanwhile.
    for port in random.sample(range(20_000, 30_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@pytest.fixture
def server_settings(server_settings: ServerSettings) -> ServerSettings:
    """The same, with an indexer and face analysis to call."""
    peers = {
        "indexer_address": f"127.0.0.1:{_free_port()}",
        "analysis_address": f"127.0.0.1:{_free_port()}",
    }
    return server_settings.model_copy(update=peers)


@contextlib.contextmanager
def _indexer(settings: ServerSettings, internal_port: int, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        "PATH": os.environ["PATH"],
        "WHODEX_INDEXER_LISTEN": settings.indexer_address,
        "WHODEX_INTERNAL_ADDRESS": f"127.0.0.1:{internal_port}",
        "WHODEX_INTERNAL_TOKEN": settings.internal_token.get_secret_value(),
        "WHODEX_INDEX_DIR": str(directory),
    }
    process = subprocess.Popen([sys.executable, "-m", "indexer"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def indexer(
    server_settings: ServerSettings, server_parts: Any, tmp_path: Path
) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A real indexer that follows the feed of the test's database."""
    async with running(internal_listener(server_settings, server_parts)) as port:
        with _indexer(server_settings, port, tmp_path / "index") as process:
            async with asyncio.timeout(30):
                while process.poll() is None:
                    with contextlib.suppress(ConnectionError):
                        await server_parts.indexer.check()
                        break
                    await asyncio.sleep(0.1)
            yield process


@pytest.fixture
async def analysis(server_settings: ServerSettings, samples: Any) -> AsyncIterator[None]:
    """The scripted face analysis."""
    service = Service(
        "whodex.v1.FaceAnalysisService", add_FaceAnalysisServiceServicer_to_server, ScriptedAnalysis(samples)
    )
    listener = Listener(
        server_settings.analysis_address, [service], internal_credential(server_settings.internal_token)
    )
    async with running(listener):
        yield


class Films:
    """A library with people and videos in it."""

    def __init__(self, api: Any, worker: Any, samples: Any) -> None:
        self._api = api
        self._worker = worker
        self._samples = samples

    async def person(self, display_name: str, *vectors: list[float]) -> Any:
        """A person with a READY photo per vector."""
        person = await self._api.caller.person(self._api.library, display_name)
        for vector in vectors:
            await self.photo(person, vector)
        return (await self._api.caller.people.GetPerson(GetPersonRequest(name=person.name))).person

    async def photo(self, person: Any, vector: list[float]) -> Any:
        """A READY photo."""
        photo = await self._api.caller.photo(person.name)
        (item,) = await self._worker.claim(self._worker.photos)
        await self._worker.complete((item, self._samples.photo_result(*vector)))
        return photo

    async def video(self, *scenes: list[list[float]]) -> Any:
        """A READY video of scenes, each a list of the faces that appear in it."""
        video = await self._api.caller.video(self._api.library)
        (item,) = await self._worker.claim(self._worker.videos)
        parts = [self._samples.video_part(10 * number, *faces) for number, faces in enumerate(scenes)]
        await self._worker.stage(item, *parts)
        await self._worker.complete((item, self._samples.video_result(len(parts))))
        return video

    async def newest_token(self) -> str:
        """Stands for everything until now: an embedding that was just added and taken away."""
        person = await self.person("Nobody", NOBODY)
        deleted = await self._api.caller.people.DeletePerson(DeletePersonRequest(name=person.name))
        token: str = deleted.consistency_token
        return token

    async def search(self, *people: Any, **fields: Any) -> Any:
        """Searches scenes."""
        names = [person.name for person in people]
        request = SearchScenesRequest(parent=self._api.library, all_of=names, **fields)
        return await self._api.caller.search.SearchScenes(request)


@pytest.fixture
async def films(api: Any, database: Any, worker: Any, samples: Any) -> Films:
    """A library, and a registered model."""
    row = {"space": samples.space, "dimension": 8, "model": "test", "thresholds": THRESHOLDS}
    async with database.transaction() as session:
        await session.execute(insert(EmbeddingSpace), row)
    return Films(api, worker, samples)


def _found(response: Any) -> list[tuple[str, int]]:
    return [(match.video, match.scene.index) for match in response.matches]


def _picture(samples: Any, *faces: list[float]) -> bytes:
    return SIGNATURE + b"".join(samples.vector(*face).tobytes() for face in faces)


@pytest.mark.usefixtures("indexer")
async def test_every_scene_in_which_all_of_the_people_appear_is_found(films: Films) -> None:
    ada, eve = await films.person("Ada", ADA), await films.person("Eve", EVE)
    older = await films.video([ADA], [EVE], [ADA, EVE, NOBODY], [NOBODY], [])
    newer = await films.video([NOBODY], [ADA, ADA])
    token = await films.newest_token()
    found = await films.search(ada, consistency_token=token)
    # The newest video first, and in order of time within it.
    assert _found(found) == [(newer.name, 1), (older.name, 0), (older.name, 2)]
    assert (found.threshold.similarity, found.threshold.extrapolated) == (0.5, False)
    assert _found(await films.search(eve)) == [(older.name, 1), (older.name, 2)]
    both = await films.search(eve, ada)
    assert _found(both) == [(older.name, 2)]
    (match,) = both.matches
    assert [one.person for one in match.people] == [eve.name, ada.name]
    assert match.people[0].appearances[0].appearance.name != match.people[1].appearances[0].appearance.name
    assert match.video_display_name == "film.mp4"
    assert (match.scene.start_offset.seconds, match.scene.end_offset.seconds) == (20, 30)
    assert match.scene.thumbnail.size_bytes


@pytest.mark.usefixtures("indexer")
async def test_the_evidence_is_the_similarity_that_decided_and_the_nearest_photo(films: Films, samples: Any) -> None:
    ada = await films.person("Ada", ADA)
    nearest = await films.photo(ada, [1, 0.5])
    await films.video([[1, 0.6], ADA])
    found = await films.search(ada, consistency_token=await films.newest_token())
    first, second = found.matches[0].people[0].appearances
    query = samples.vector(*(samples.vector(1) + samples.vector(1, 0.5)))
    assert [first.similarity, second.similarity] == pytest.approx(
        sorted([float(query @ samples.vector(1, 0.6)), float(query @ samples.vector(1))], reverse=True), abs=1e-5
    )
    tilted = min(first, second, key=lambda match: abs(match.similarity - float(query @ samples.vector(1, 0.6))))
    assert tilted.nearest_photo == nearest.name
    assert tilted.nearest_photo_similarity == pytest.approx(
        float(samples.vector(1, 0.6) @ samples.vector(1, 0.5)), abs=1e-5
    )
    assert tilted.appearance.best_shots
    assert not tilted.appearance.boxes


@pytest.mark.usefixtures("indexer")
async def test_the_rate_names_the_threshold(api: Any, films: Films) -> None:
    ada = await films.person("Ada", ADA)
    video = await films.video([BOTH], [ADA])
    token = await films.newest_token()
    default = await films.search(ada, consistency_token=token)
    assert _found(default) == [(video.name, 0), (video.name, 1)]
    strict = await films.search(ada, false_match_rate=embedding_pb2.FALSE_MATCH_RATE_ONE_IN_100000)
    assert _found(strict) == [(video.name, 1)]
    assert strict.threshold.extrapolated
    unknown = films.search(ada, false_match_rate=embedding_pb2.FALSE_MATCH_RATE_ONE_IN_100)
    assert await api.refused(unknown) == ("INVALID_ARGUMENT", "INVALID_FIELD")


@pytest.mark.usefixtures("indexer")
async def test_pages_show_what_the_first_one_saw_less_what_was_deleted(api: Any, films: Films) -> None:
    ada = await films.person("Ada", ADA)
    videos = [await films.video([ADA], [ADA]) for _ in range(3)]
    token = await films.newest_token()
    found, page_token = [], ""
    for size in (2, 1, 5):
        page = await films.search(ada, page_size=size, page_token=page_token, consistency_token=token)
        found += _found(page)
        page_token = page.next_page_token
        if len(found) == 2:
            await films.video([ADA])
            await api.caller.videos.DeleteVideo(DeleteVideoRequest(name=videos[0].name))
            await films.newest_token()
    newest, middle = videos[2].name, videos[1].name
    assert found == [(newest, 0), (newest, 1), (middle, 0), (middle, 1)]
    assert not page_token


@pytest.mark.usefixtures("indexer")
async def test_a_page_token_ends_with_the_embedding_that_it_was_made_for(api: Any, films: Films) -> None:
    ada = await films.person("Ada", ADA)
    await films.video([ADA], [ADA])
    token = await films.newest_token()
    first = await films.search(ada, page_size=1, consistency_token=token)
    await films.photo(ada, [1, 0.5])
    second = films.search(ada, page_size=1, consistency_token=token, page_token=first.next_page_token)
    assert await api.refused(second) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


@pytest.mark.usefixtures("indexer")
async def test_a_search_sees_what_its_token_stands_for(api: Any, films: Films) -> None:
    ada = await films.person("Ada", ADA)
    for _ in range(5):
        video = await films.video([ADA])
        shown = await _shown(api, video)
        assert (video.name, 0) in _found(await films.search(ada, consistency_token=shown.consistency_token))
        deleted = await api.caller.videos.DeleteVideo(DeleteVideoRequest(name=video.name))
        assert _found(await films.search(ada, consistency_token=deleted.consistency_token)) == []
    assert await api.refused(films.search(ada, consistency_token="damaged")) == (  # noqa: S106 - no secret
        "INVALID_ARGUMENT",
        "CONSISTENCY_TOKEN_INVALID",
    )


async def _shown(api: Any, video: Any) -> Any:
    return (await api.caller.videos.GetVideo(GetVideoRequest(name=video.name))).video


@pytest.mark.usefixtures("indexer", "analysis")
async def test_faces_are_identified_with_an_explicit_unknown(api: Any, films: Films, samples: Any) -> None:
    ada, eve = await films.person("Ada", ADA), await films.person("Eve", EVE)
    token = await films.newest_token()
    request = IdentifyFacesRequest(
        parent=api.library, image=_picture(samples, [1, 0.2], NOBODY), consistency_token=token
    )
    response = await api.caller.search.IdentifyFaces(request)
    known, unknown = response.faces
    assert known.verdict == IdentifiedFace.VERDICT_KNOWN
    assert [(one.person.name, one.matches) for one in known.candidates] == [(ada.name, True), (eve.name, False)]
    assert known.candidates[0].person == ada
    assert known.candidates[0].similarity == pytest.approx(float(samples.vector(1, 0.2)[0]), abs=1e-5)
    assert unknown.verdict == IdentifiedFace.VERDICT_UNKNOWN
    assert len(unknown.candidates) == 2
    request.max_candidates = 1
    assert [len(face.candidates) for face in (await api.caller.search.IdentifyFaces(request)).faces] == [1, 1]
    empty = await api.caller.search.IdentifyFaces(IdentifyFacesRequest(parent=api.library, image=SIGNATURE))
    assert not empty.faces
    assert empty.threshold.similarity == 0.5


@pytest.mark.usefixtures("indexer", "analysis")
async def test_who_was_deleted_is_nobodys_candidate(api: Any, films: Films, samples: Any) -> None:
    ada = await films.person("Ada", ADA)
    photo = await films.photo(ada, ADA)
    request = IdentifyFacesRequest(
        parent=api.library, image=_picture(samples, ADA), consistency_token=await films.newest_token()
    )
    await api.caller.people.DeleteReferencePhoto(DeleteReferencePhotoRequest(name=photo.name))
    deleted = await api.caller.people.DeletePerson(DeletePersonRequest(name=ada.name))
    # Whether or not the index has heard of it yet.
    assert not (await api.caller.search.IdentifyFaces(request)).faces[0].candidates
    request.consistency_token = deleted.consistency_token
    assert not (await api.caller.search.IdentifyFaces(request)).faces[0].candidates


@pytest.mark.usefixtures("films", "analysis")
async def test_two_pictures_are_compared(api: Any, samples: Any) -> None:
    async def verify(first: bytes, second: bytes) -> Any:
        request = VerifyFacesRequest(parent=api.library, first_image=first, second_image=second)
        return await api.caller.search.VerifyFaces(request)

    one, same, other = (_picture(samples, face) for face in (ADA, [1, 0.2], EVE))
    response = await verify(one, same)
    assert response.verdict == VerifyFacesResponse.VERDICT_SAME_PERSON
    assert response.similarity == pytest.approx(float(samples.vector(1, 0.2)[0]), abs=1e-5)
    assert (await verify(one, other)).verdict == VerifyFacesResponse.VERDICT_DIFFERENT_PEOPLE
    refusals = {
        (b"", one): ("INVALID_ARGUMENT", "UPLOAD_EMPTY"),
        (one, b"text, not a picture"): ("INVALID_ARGUMENT", "UNSUPPORTED_FORMAT"),
        (UNREADABLE, one): ("INVALID_ARGUMENT", "UNREADABLE_IMAGE"),
        (one, SIGNATURE): ("FAILED_PRECONDITION", "NO_FACE"),
        (_picture(samples, ADA, EVE), one): ("FAILED_PRECONDITION", "SEVERAL_FACES"),
    }
    answers = {images: await api.refused(verify(*images)) for images in refusals}
    assert answers == refusals


async def test_who_has_no_photo_yet_cannot_be_searched_for(api: Any, films: Films) -> None:
    ada = await films.person("Ada")
    assert await api.refused(films.search(ada)) == ("FAILED_PRECONDITION", "PERSON_NOT_READY")


async def test_before_the_first_worker_nothing_can_be_searched(api: Any) -> None:
    ada = await api.caller.person(api.library)
    search = SearchScenesRequest(parent=api.library, all_of=[ada.name])
    identify = IdentifyFacesRequest(parent=api.library, image=SIGNATURE)
    for call in (api.caller.search.SearchScenes(search), api.caller.search.IdentifyFaces(identify)):
        assert await api.refused(call) == ("FAILED_PRECONDITION", "MODEL_NOT_REGISTERED")


async def test_what_does_not_answer_is_an_error_and_never_a_smaller_result(
    api: Any, films: Films, samples: Any
) -> None:
    ada = await films.person("Ada", ADA)
    await films.video([ADA])
    assert await api.refused(films.search(ada)) == ("UNAVAILABLE", "INDEX_UNAVAILABLE")
    identify = IdentifyFacesRequest(parent=api.library, image=_picture(samples, ADA))
    answer = await api.refused(api.caller.search.IdentifyFaces(identify))
    assert answer == ("UNAVAILABLE", "INFERENCE_UNAVAILABLE")


@pytest.mark.usefixtures("analysis")
async def test_without_the_index_a_face_is_not_called_unknown(api: Any, films: Films, samples: Any) -> None:
    await films.person("Ada", ADA)
    identify = IdentifyFacesRequest(parent=api.library, image=_picture(samples, ADA))
    assert await api.refused(api.caller.search.IdentifyFaces(identify)) == ("UNAVAILABLE", "INDEX_UNAVAILABLE")


async def test_a_deadline_that_passes_while_the_index_catches_up_is_said_so(
    api: Any, films: Films, indexer: subprocess.Popen[bytes]
) -> None:
    ada = await films.person("Ada", ADA)
    indexer.send_signal(signal.SIGSTOP)
    video = await films.video([ADA])
    request = SearchScenesRequest(
        parent=api.library, all_of=[ada.name], consistency_token=(await _shown(api, video)).consistency_token
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await api.caller.search.SearchScenes(request, timeout=1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    indexer.send_signal(signal.SIGCONT)
    assert len((await api.caller.search.SearchScenes(request, timeout=10)).matches) == 1
