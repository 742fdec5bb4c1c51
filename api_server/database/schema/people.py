"""People and their reference photos."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    UniqueConstraint,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import REAL
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from api_server.database.schema.base import Base, EmbeddingVector, Vector, enum_column
from api_server.database.schema.media import Failable, MediaState


class Person(Base):
    """Somebody to be found. The state is derived from the query embedding and the photos."""

    __tablename__ = "people"
    __table_args__ = (
        UniqueConstraint("library_id", "request_id"),
        Index(None, "library_id", "id"),
        # The CLI looks people up by their names.
        Index("ix_people_display_name", "library_id", "display_name", "id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"))
    display_name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    request_id: Mapped[UUID | None]
    # Of the request that carried the request_id: the person may have been renamed since.
    request_sha256: Mapped[bytes | None]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # A serialised whodex.v1.Consent, only ever read whole.
    consent: Mapped[bytes | None]
    # From then on the person is not searched any more.
    consent_expire_time: Mapped[datetime | None] = mapped_column(index=True)
    query_embedding: Mapped[Vector | None] = mapped_column(EmbeddingVector())
    query_space: Mapped[str | None]
    # The feed's sequence of the last change to the query embedding; 0: none yet.
    embedding_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")


class ReferencePhoto(Failable, Base):
    """A photo of a person; its embedding is evidence and goes into the person's query embedding."""

    __tablename__ = "reference_photos"
    __table_args__ = (
        UniqueConstraint("person_id", "request_id"),
        Index(None, "person_id", "id"),
        Index(
            "ix_reference_photos_unchecked",
            "id",
            postgresql_where=text("state = 'ready' AND NOT look_alikes_checked"),
        ),
        # Of people who may have been deleted.
        Index("ix_reference_photos_look_alikes", "look_alike_id", postgresql_where=text("look_alike_id IS NOT NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"))
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"), index=True)
    file_name: Mapped[str]
    request_id: Mapped[UUID | None]
    state: Mapped[MediaState] = mapped_column(enum_column(MediaState))
    # left, top, right, bottom in pixels, as the user named it.
    requested_box: Mapped[list[float] | None]
    # Somebody has said that the face is the person's, whatever the other photos look like.
    same_person_confirmed: Mapped[bool] = mapped_column(server_default=false())
    content_sha256: Mapped[bytes]
    content_id: Mapped[UUID] = mapped_column(ForeignKey("contents.id"), index=True)
    thumbnail_id: Mapped[UUID | None] = mapped_column(ForeignKey("contents.id"), index=True)
    width: Mapped[int] = mapped_column(server_default="0")
    height: Mapped[int] = mapped_column(server_default="0")
    # left, top, right, bottom in pixels of the upright photo.
    face_box: Mapped[list[float] | None]
    # A serialised whodex.v1.FaceQuality, only ever read whole.
    quality: Mapped[bytes | None]
    # [{"kind": int, "message": str}], whodex.v1.PhotoWarnings about the quality.
    quality_warnings: Mapped[list[dict[str, Any]]] = mapped_column(server_default="[]")
    weight: Mapped[float | None] = mapped_column(REAL)
    embedding: Mapped[Vector | None] = mapped_column(EmbeddingVector())
    space: Mapped[str | None]
    # The READY photo of the person that this one is nearly the same as; derived together with the query embedding.
    duplicate_of: Mapped[UUID | None]
    # The other person of the library who is most like this face, if it is alike at all. No foreign key: it would lock
    # one person's photos while another is deleted. The scheduler unsets it afterwards.
    look_alike_id: Mapped[UUID | None]
    look_alike_similarity: Mapped[float | None] = mapped_column(REAL)
    look_alikes_checked: Mapped[bool] = mapped_column(server_default=false())
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())
