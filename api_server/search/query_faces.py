"""Query pictures: their faces, looked up or compared."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np

from api_server.database.engine import Database
from api_server.database.schema import CollectionKind, EmbeddingSpace, Person
from api_server.feed import FeedPosition
from api_server.people.consent import IS_CURRENT
from api_server.people.conversion import to_person
from api_server.people.people import select_people
from api_server.search.peers import FaceAnalysis, Index
from api_server.search.thresholds import registered_space, threshold_for
from api_server.uploads.signatures import image_media_type
from whodex.errors import FailedPreconditionError, UnavailableError
from whodex.runtime.embedding import from_proto
from whodex.v1 import error_reason_pb2, index_service_pb2
from whodex.v1.embedding_pb2 import FalseMatchRate, Threshold
from whodex.v1.face_analysis_service_pb2 import AnalyzedFace
from whodex.v1.person_pb2 import Person as PersonMessage
from whodex.v1.search_service_pb2 import (
    IdentifiedFace,
    IdentifyFacesRequest,
    IdentifyFacesResponse,
    PersonCandidate,
    VerifyFacesRequest,
    VerifyFacesResponse,
)

DEFAULT_CANDIDATES = 5
# Everybody is a candidate: the threshold decides who matches, not who is shown.
_LEAST_SIMILARITY = -1.0


@dataclass(frozen=True)
class QueryFaces:
    """Looks faces of pictures up among the people of a library, and compares them with each other."""

    database: Database
    index: Index
    analysis: FaceAnalysis

    async def identify(
        self, library_id: UUID, request: IdentifyFacesRequest, at_least: FeedPosition | None, timeout_seconds: float
    ) -> IdentifyFacesResponse:
        """Says of each face in a picture who it may be."""
        image_media_type(request.image)
        space, threshold = await self._space(request.false_match_rate)
        faces = await self._faces(request.image, space, timeout_seconds, every_face=True)
        if not faces:
            return IdentifyFacesResponse(threshold=threshold)
        found = await self.index.search(
            (library_id, CollectionKind.PEOPLE, space.space),
            [from_proto(face.embedding) for face in faces],
            min_similarity=_LEAST_SIMILARITY,
            max_neighbors=request.max_candidates or DEFAULT_CANDIDATES,
            at_least=at_least,
            timeout_seconds=timeout_seconds,
        )
        people = await self._people(library_id, found.results)
        identified = [
            _identified(face, neighbors, people, threshold)
            for face, neighbors in zip(faces, found.results, strict=True)
        ]
        return IdentifyFacesResponse(faces=identified, threshold=threshold)

    async def verify(self, request: VerifyFacesRequest, timeout_seconds: float) -> VerifyFacesResponse:
        """Says whether two pictures with one face each show the same person."""
        images = {"first_image": request.first_image, "second_image": request.second_image}
        for image in images.values():
            image_media_type(image)
        space, threshold = await self._space(request.false_match_rate)
        first, second = await asyncio.gather(
            *(self._only_face(field, image, space, timeout_seconds) for field, image in images.items())
        )
        similarity = float(np.dot(from_proto(first.embedding), from_proto(second.embedding)))
        same = similarity >= threshold.similarity
        return VerifyFacesResponse(
            verdict=VerifyFacesResponse.VERDICT_SAME_PERSON if same else VerifyFacesResponse.VERDICT_DIFFERENT_PEOPLE,
            similarity=similarity,
            threshold=threshold,
            first_box=first.box,
            second_box=second.box,
        )

    async def _space(self, rate: FalseMatchRate.ValueType) -> tuple[EmbeddingSpace, Threshold]:
        async with self.database.reads() as session:
            space = await registered_space(session)
        return space, threshold_for(space, rate)

    async def _faces(
        self, image: bytes, space: EmbeddingSpace, timeout_seconds: float, *, every_face: bool
    ) -> list[AnalyzedFace]:
        faces = await self.analysis.analyze(image, timeout_seconds, every_face=every_face)
        if any(face.embedding.space != space.space for face in faces):
            raise UnavailableError(
                "Face analysis runs another model than the workers do. Deploy the same version of both.",
                reason=error_reason_pb2.ERROR_REASON_INFERENCE_UNAVAILABLE,
            )
        return faces

    async def _only_face(self, field: str, image: bytes, space: EmbeddingSpace, timeout_seconds: float) -> AnalyzedFace:
        faces = await self._faces(image, space, timeout_seconds, every_face=False)
        if not faces:
            raise FailedPreconditionError(
                f"{field} shows no face. Use a picture that shows one from the front.",
                reason=error_reason_pb2.ERROR_REASON_NO_FACE,
            )
        if len(faces) > 1:
            raise FailedPreconditionError(
                f"{field} shows {len(faces)} faces. Crop it to the one that is meant.",
                reason=error_reason_pb2.ERROR_REASON_SEVERAL_FACES,
            )
        return faces[0]

    async def _people(
        self, library_id: UUID, results: Sequence[index_service_pb2.Neighbors]
    ) -> dict[str, PersonMessage]:
        ids = {UUID(id_) for neighbors in results for id_ in neighbors.ids}
        if not ids:
            return {}
        async with self.database.reads() as session:
            rows = await session.execute(select_people(Person.library_id == library_id, Person.id.in_(ids), IS_CURRENT))
            return {str(row.id): to_person(row) for row in rows}


def _identified(
    face: AnalyzedFace,
    neighbors: index_service_pb2.Neighbors,
    people: dict[str, PersonMessage],
    threshold: Threshold,
) -> IdentifiedFace:
    # Who was deleted after the index last heard of it is left out, and whose consent has expired.
    candidates = [
        PersonCandidate(person=people[id_], similarity=similarity, matches=similarity >= threshold.similarity)
        for id_, similarity in zip(neighbors.ids, neighbors.similarities, strict=True)
        if id_ in people
    ]
    known = bool(candidates) and candidates[0].matches
    return IdentifiedFace(
        box=face.box,
        quality=face.quality,
        verdict=IdentifiedFace.VERDICT_KNOWN if known else IdentifiedFace.VERDICT_UNKNOWN,
        candidates=candidates,
    )
