"""SearchScenes: every scene in which all of the people appear."""

from __future__ import annotations

import hashlib
import struct
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from sqlalchemy import ARRAY, REAL, Integer, Uuid, and_, cast, column, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from api_server import names
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.database.schema import (
    Appearance,
    CollectionKind,
    Content,
    MediaState,
    Person,
    ReferencePhoto,
    Scene,
    Vector,
    Video,
)
from api_server.feed import FeedPosition, read_position
from api_server.names import not_found
from api_server.paging import cut, invalid_token, page_size, read_place
from api_server.people.consent import HAS_EXPIRED, expired
from api_server.search.peers import Index
from api_server.search.thresholds import registered_space, threshold_for
from api_server.videos.conversion import to_appearance, to_scene
from whodex.errors import FailedPreconditionError
from whodex.v1 import error_reason_pb2, index_service_pb2
from whodex.v1.search_service_pb2 import (
    AppearanceMatch,
    PersonInScene,
    SceneMatch,
    SearchScenesRequest,
    SearchScenesResponse,
)

# Video and index of the last scene, the feed's epoch and sequence that the first page saw, and what the people's
# query embeddings were then.
_PLACE = struct.Struct(">16sI16sQ8s")


@dataclass(frozen=True)
class _Place:
    """Where a page goes on, and the state that all pages show."""

    video_id: UUID
    scene_index: int
    watermark: FeedPosition
    people: bytes

    def pack(self) -> bytes:
        epoch, sequence = self.watermark.epoch.bytes, self.watermark.sequence
        return _PLACE.pack(self.video_id.bytes, self.scene_index, epoch, sequence, self.people)

    @classmethod
    def unpack(cls, place: bytes) -> _Place:
        video, index, epoch, sequence, people = _PLACE.unpack(place)
        return cls(UUID(bytes=video), index, FeedPosition(UUID(bytes=epoch), sequence), people)


@dataclass(frozen=True)
class _Hits:
    """What the index found: one entry per person and appearance."""

    person_indices: list[int]
    appearance_ids: list[UUID]
    similarities: list[float]

    @classmethod
    def of(cls, results: Sequence[index_service_pb2.Neighbors]) -> _Hits:
        return cls(
            [index for index, neighbors in enumerate(results) for _ in neighbors.ids],
            [UUID(id_) for neighbors in results for id_ in neighbors.ids],
            [similarity for neighbors in results for similarity in neighbors.similarities],
        )


@dataclass(frozen=True)
class SceneSearch:
    """Searches scenes: the index says which appearances match, Postgres says where they are."""

    database: Database
    index: Index

    async def search(
        self,
        library_id: UUID,
        person_ids: Sequence[UUID],
        request: SearchScenesRequest,
        *,
        at_least: FeedPosition | None,
        timeout_seconds: float,
    ) -> SearchScenesResponse:
        """Returns one page.

        Args:
            library_id: the library.
            person_ids: who must all appear; different ones.
            request: rate, page size and page token are taken from it.
            at_least: what the index must have applied; it is waited for.
            timeout_seconds: of the caller's deadline.

        Raises:
            NotFoundError: RESOURCE_NOT_FOUND, one of the people is gone.
            FailedPreconditionError: PERSON_NOT_READY, one of them has no query embedding; CONSENT_EXPIRED.
            InvalidArgumentError: PAGE_TOKEN_INVALID.
            UnavailableError: INDEX_UNAVAILABLE.
        """
        place = read_place(request, _Place.unpack)
        async with self.database.reads() as session:
            space = await registered_space(session)
            people = await _people(session, library_id, person_ids, space.space)
            current = None if place is None else await read_position(session)
        threshold = threshold_for(space, request.false_match_rate)
        identity = _identity(people)
        if place is not None and current is not None:
            _require_same_state(place, identity, current)
        found = await self.index.search(
            (library_id, CollectionKind.APPEARANCES, space.space),
            [person.query_embedding for person in people],
            min_similarity=threshold.similarity,
            max_neighbors=0,
            at_least=at_least if place is None else place.watermark,
            timeout_seconds=timeout_seconds,
        )
        seen = FeedPosition(UUID(found.watermark.epoch), found.watermark.sequence)
        watermark = seen if place is None else place.watermark
        hits = _Hits.of(found.results)
        async with self.database.snapshot() as session:
            rows = await _scenes(session, library_id, hits, len(people), watermark.sequence, place, page_size(request))
            page, next_token = cut(
                rows, request, lambda row: _Place(row.video_id, row.scene_index, watermark, identity).pack()
            )
            matches = await _matches(session, page, hits, people, watermark.sequence)
        return SearchScenesResponse(matches=matches, next_page_token=next_token, threshold=threshold)


def _require_same_state(place: _Place, people: bytes, current: FeedPosition) -> None:
    if place.watermark.epoch != current.epoch:
        raise invalid_token("the database was restored since the first page")
    if place.people != people:
        raise invalid_token("the photos of one of the people have changed since the first page")


async def _people(session: AsyncSession, library_id: UUID, person_ids: Sequence[UUID], space: str) -> list[AnyRow]:
    """Returns id, display name, query embedding and its sequence of each person, in the order asked for."""
    query = select(
        Person.id,
        Person.library_id,
        Person.display_name,
        Person.query_embedding,
        Person.query_space,
        Person.embedding_sequence,
        HAS_EXPIRED,
    ).where(Person.library_id == library_id, Person.id.in_(person_ids))
    by_id = {row.id: row for row in await session.execute(query)}
    for person_id in person_ids:
        if person_id not in by_id:
            raise not_found(names.name(names.PERSON, library_id, person_id))
    people = [by_id[person_id] for person_id in person_ids]
    for person in people:
        if person.consent_expired:
            raise expired(person.display_name)
        if person.query_space != space:
            raise _not_ready(person)
    return people


def _not_ready(person: AnyRow) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"{person.display_name!r} cannot be searched for yet: add a reference photo, or wait until one is READY.",
        reason=error_reason_pb2.ERROR_REASON_PERSON_NOT_READY,
    )


def _identity(people: Sequence[AnyRow]) -> bytes:
    sequences = ",".join(str(person.embedding_sequence) for person in people)
    return hashlib.sha256(sequences.encode()).digest()[:8]


async def _scenes(  # noqa: PLR0913, PLR0917 - what a page is made of
    session: AsyncSession,
    library_id: UUID,
    hits: _Hits,
    people_count: int,
    newest_sequence: int,
    after: _Place | None,
    size: int,
) -> list[AnyRow]:
    """Returns the scenes of a page and one more, newest video first and in order of time within it."""
    table = (
        func.unnest(
            cast(hits.person_indices, ARRAY(Integer)),
            cast(hits.appearance_ids, ARRAY(Uuid)),
        )
        .table_valued(column("person_index", Integer), column("appearance_id", Uuid))
        .render_derived()
    )
    in_all = (
        select(Appearance.scene_id)
        .join(table, table.c.appearance_id == Appearance.id)
        # What was indexed after the first page was made must not shift the pages after it.
        .where(Appearance.library_id == library_id, Appearance.embedding_sequence <= newest_sequence)
        .group_by(Appearance.scene_id)
        .having(func.count(table.c.person_index.distinct()) == people_count)
    )
    query = (
        select(
            Scene.id,
            Scene.library_id,
            Scene.video_id,
            # A row is a tuple, and a tuple has an index of its own.
            Scene.index.label("scene_index"),
            Scene.start_us,
            Scene.end_us,
            Scene.thumbnail_id,
            Content.media_type.label("thumbnail_media_type"),
            Content.size_bytes.label("thumbnail_size_bytes"),
            Video.display_name.label("video_display_name"),
        )
        .join(Video, Video.id == Scene.video_id)
        .join(Content, Content.id == Scene.thumbnail_id)
        .where(Scene.id.in_(in_all))
        # Ids are UUIDs of version 7: a newer video has a greater one.
        .order_by(Scene.video_id.desc(), Scene.index)
        .limit(size + 1)
    )
    if after is not None:
        later_scene = and_(Scene.video_id == after.video_id, Scene.index > after.scene_index)
        query = query.where(or_(Scene.video_id < after.video_id, later_scene))
    return list((await session.execute(query)).all())


async def _matches(
    session: AsyncSession, scenes: Sequence[AnyRow], hits: _Hits, people: Sequence[AnyRow], newest_sequence: int
) -> list[SceneMatch]:
    evidence = await _evidence(session, scenes, hits, people, newest_sequence)
    return [
        SceneMatch(
            scene=to_scene(scene),
            video=names.name(names.VIDEO, scene.library_id, scene.video_id),
            video_display_name=scene.video_display_name,
            people=[
                PersonInScene(
                    person=names.name(names.PERSON, person.library_id, person.id),
                    appearances=evidence[scene.id, index],
                )
                for index, person in enumerate(people)
            ],
        )
        for scene in scenes
    ]


async def _evidence(
    session: AsyncSession, scenes: Sequence[AnyRow], hits: _Hits, people: Sequence[AnyRow], newest_sequence: int
) -> Mapping[tuple[UUID, int], list[AppearanceMatch]]:
    """Returns the matching appearances of each scene and person, the most similar first."""
    table = (
        func.unnest(
            cast(hits.person_indices, ARRAY(Integer)),
            cast(hits.appearance_ids, ARRAY(Uuid)),
            cast(hits.similarities, ARRAY(REAL)),
        )
        .table_valued(column("person_index", Integer), column("appearance_id", Uuid), column("similarity", REAL))
        .render_derived()
    )
    query = (
        select(
            Appearance.id,
            Appearance.library_id,
            Appearance.video_id,
            Appearance.scene_id,
            Appearance.start_us,
            Appearance.end_us,
            Appearance.record,
            Appearance.embedding,
            table.c.person_index,
            table.c.similarity,
        )
        .join(table, table.c.appearance_id == Appearance.id)
        .where(
            Appearance.scene_id.in_([scene.id for scene in scenes]), Appearance.embedding_sequence <= newest_sequence
        )
        .order_by(table.c.similarity.desc(), Appearance.id)
    )
    photos = await _photos(session, people)
    evidence: dict[tuple[UUID, int], list[AppearanceMatch]] = defaultdict(list)
    for row in await session.execute(query):
        match = _appearance_match(row, people[row.person_index], photos[people[row.person_index].id])
        evidence[row.scene_id, row.person_index].append(match)
    return evidence


async def _photos(session: AsyncSession, people: Sequence[AnyRow]) -> Mapping[UUID, list[tuple[UUID, Vector]]]:
    """Returns id and embedding of the READY photos of each person."""
    query = select(ReferencePhoto.id, ReferencePhoto.person_id, ReferencePhoto.embedding).where(
        ReferencePhoto.person_id.in_([person.id for person in people]),
        ReferencePhoto.state == MediaState.READY,
        ReferencePhoto.space == people[0].query_space,
    )
    photos: dict[UUID, list[tuple[UUID, Vector]]] = defaultdict(list)
    for row in await session.execute(query):
        photos[row.person_id].append((row.id, row.embedding))
    return photos


def _appearance_match(row: AnyRow, person: AnyRow, photos: Sequence[tuple[UUID, Vector]]) -> AppearanceMatch:
    appearance = to_appearance(row)
    appearance.ClearField("boxes")
    match = AppearanceMatch(appearance=appearance, similarity=row.similarity)
    # There is none only while the person's last photo is being deleted.
    if photos:
        similarities = np.stack([embedding for _, embedding in photos]) @ row.embedding
        nearest = int(np.argmax(similarities))
        match.nearest_photo = names.name(names.PHOTO, person.library_id, person.id, photos[nearest][0])
        match.nearest_photo_similarity = float(similarities[nearest])
    return match
