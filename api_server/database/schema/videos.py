"""Videos and what is in them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import REAL
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from api_server.database.schema.base import Base, EmbeddingVector, Vector, enum_column
from api_server.database.schema.media import Failable, MediaState


class Video(Failable, Base):
    """A video and the state of its processing."""

    __tablename__ = "videos"
    __table_args__ = (UniqueConstraint("library_id", "request_id"), Index(None, "library_id", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"))
    display_name: Mapped[str]
    file_name: Mapped[str]
    request_id: Mapped[UUID | None]
    state: Mapped[MediaState] = mapped_column(enum_column(MediaState))
    progress: Mapped[float] = mapped_column(REAL, server_default="0")
    content_sha256: Mapped[bytes]
    content_id: Mapped[UUID] = mapped_column(ForeignKey("contents.id"), index=True)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    duration_us: Mapped[int | None] = mapped_column(BigInteger)
    width: Mapped[int] = mapped_column(server_default="0")
    height: Mapped[int] = mapped_column(server_default="0")
    frame_rate: Mapped[float] = mapped_column(server_default="0")
    scene_count: Mapped[int] = mapped_column(server_default="0")
    appearance_count: Mapped[int] = mapped_column(server_default="0")
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    update_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # The feed's sequence of the last change to its appearances; 0: none yet.
    embedding_sequence: Mapped[int] = mapped_column(BigInteger, server_default="0")


class Scene(Base):
    """One shot of a video."""

    __tablename__ = "scenes"
    __table_args__ = (UniqueConstraint("video_id", "index"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    video_id: Mapped[UUID] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"), index=True)
    index: Mapped[int]
    start_us: Mapped[int] = mapped_column(BigInteger)
    end_us: Mapped[int] = mapped_column(BigInteger)
    thumbnail_id: Mapped[UUID] = mapped_column(ForeignKey("contents.id"), index=True)


class Appearance(Base):
    """One face track inside one scene."""

    __tablename__ = "appearances"
    __table_args__ = (Index(None, "video_id", "start_us", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    scene_id: Mapped[UUID] = mapped_column(ForeignKey("scenes.id", ondelete="CASCADE"), index=True)
    video_id: Mapped[UUID] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"))
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"), index=True)
    start_us: Mapped[int] = mapped_column(BigInteger)
    end_us: Mapped[int] = mapped_column(BigInteger)
    # A serialised whodex.v1.Appearance without its names: best shots and boxes over time, only ever read whole.
    record: Mapped[bytes]
    embedding: Mapped[Vector] = mapped_column(EmbeddingVector())
    space: Mapped[str]
    # The feed's sequence of its embedding: a page token's watermark leaves later ones out.
    embedding_sequence: Mapped[int] = mapped_column(BigInteger)
