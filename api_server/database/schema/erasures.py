"""Deletions until nothing is left, and who signs for it."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Index,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from api_server.database.schema.base import Base, enum_column


class ErasureKind(enum.StrEnum):
    """What was deleted."""

    PHOTO = "photo"
    PERSON = "person"
    VIDEO = "video"
    LIBRARY = "library"


class Erasure(Base):
    """What a deletion has begun: everything of the resource is to go. The row holds no personal data and stays."""

    __tablename__ = "erasures"
    __table_args__ = (
        Index(None, "library_id", "id"),
        Index("ix_erasures_running", "settle_time", postgresql_where=text("complete_time IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    # No foreign key: it outlives the library.
    library_id: Mapped[UUID]
    kind: Mapped[ErasureKind] = mapped_column(enum_column(ErasureKind))
    # The resource's name.
    target: Mapped[str]
    # The photos and videos that went with it; empty for a library, whose own id finds all of them.
    media_ids: Mapped[list[UUID]]
    # A whodex.v1.RemovedCounts.
    removed: Mapped[dict[str, Any]]
    # Of the uploaded files, see whodex.v1.ErasureStatement; null without files.
    content_digest: Mapped[bytes | None]
    # Until then, an attempt that has lost its lease may still write blobs.
    settle_time: Mapped[datetime]
    waits_for: Mapped[str] = mapped_column(server_default="")
    # Set together, when nothing is left.
    complete_time: Mapped[datetime | None]
    receipt: Mapped[str | None]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class ReceiptKey(Base):
    """The public half of a key that signs receipts. Old ones stay: their receipts are still to be verified."""

    __tablename__ = "receipt_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    public_key_pem: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
