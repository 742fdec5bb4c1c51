"""Embeddings in the order of their changes, and the spaces that they are in."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Index,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from api_server.database.schema.base import Base, EmbeddingVector, Vector, enum_column


class CollectionKind(enum.StrEnum):
    """What an embedding in the feed stands for."""

    PEOPLE = "people"
    APPEARANCES = "appearances"


class EmbeddingChange(Base):
    """The last change of each embedding; the feed sends them by sequence. A null vector is a tombstone."""

    __tablename__ = "embedding_changes"
    # What the scheduler forgets after a while.
    __table_args__ = (Index("ix_embedding_changes_tombstones", "change_time", postgresql_where=text("vector IS NULL")),)

    kind: Mapped[CollectionKind] = mapped_column(enum_column(CollectionKind), primary_key=True)
    # The person or the appearance.
    id: Mapped[UUID] = mapped_column(primary_key=True)
    library_id: Mapped[UUID]
    space: Mapped[str]
    sequence: Mapped[int] = mapped_column(BigInteger, unique=True)
    vector: Mapped[Vector | None] = mapped_column(EmbeddingVector())
    change_time: Mapped[datetime] = mapped_column(server_default=func.now())


class FeedState(Base):
    """One row. Its lock, taken just before a commit, makes the sequence follow the order of commits."""

    __tablename__ = "feed_state"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=1)
    epoch: Mapped[UUID]
    newest_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")
    # Tombstones up to this sequence may be gone: a follower that is older must rebuild.
    horizon_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")


class EmbeddingSpace(Base):
    """A model's space as its workers registered it, with the thresholds of its calibration."""

    __tablename__ = "embedding_spaces"

    space: Mapped[str] = mapped_column(primary_key=True)
    dimension: Mapped[int]
    model: Mapped[str]
    # [{"false_match_rate": int, "similarity": float, "extrapolated": bool}], the enum's numbers as keys.
    thresholds: Mapped[list[dict[str, Any]]]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
