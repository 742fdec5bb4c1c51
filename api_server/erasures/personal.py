"""Which tables hold what is erased with a resource of each kind.

A deleted row stays in the pages of its table until they are written anew (docs/decisions/0042-erasure.md). Tables that
hold ids, times and counts alone are not here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from api_server.database.schema import (
    ApiKey,
    Appearance,
    Base,
    EmbeddingChange,
    ErasureKind,
    Library,
    Person,
    ReferencePhoto,
    StagedPart,
    Upload,
    Video,
    WorkItem,
)

# The small ones first: what is rewritten cannot be used meanwhile.
_OF_PEOPLE: tuple[type[Base], ...] = (WorkItem, Upload, Person, ReferencePhoto)
_OF_VIDEOS: tuple[type[Base], ...] = (WorkItem, StagedPart, Upload, Video, Appearance)
_PERSONAL: Mapping[ErasureKind, tuple[type[Base], ...]] = {
    ErasureKind.PHOTO: (*_OF_PEOPLE, EmbeddingChange),
    ErasureKind.PERSON: (*_OF_PEOPLE, EmbeddingChange),
    ErasureKind.VIDEO: (*_OF_VIDEOS, EmbeddingChange),
    ErasureKind.LIBRARY: (Library, ApiKey, *_OF_PEOPLE, *_OF_VIDEOS, EmbeddingChange),
}


def personal_tables(kinds: Collection[ErasureKind]) -> list[str]:
    """The names of the tables to write anew for erasures of these kinds, each once."""
    return list(
        dict.fromkeys(table.__tablename__ for kind in ErasureKind if kind in kinds for table in _PERSONAL[kind])
    )
