"""Uploads that can be resumed."""

from __future__ import annotations

import enum
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from api_server.database.schema.base import Base, enum_column


class UploadState(enum.StrEnum):
    """The states of a resumable upload."""

    OPEN = "open"
    FINISHED = "finished"


class Upload(Base):
    """A file that comes in over several calls. Its id is also that of the content that it becomes."""

    __tablename__ = "uploads"
    __table_args__ = (UniqueConstraint("library_id", "request_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"))
    # Of a reference photo.
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("people.id", ondelete="CASCADE"), index=True)
    request_id: Mapped[UUID | None]
    # The serialised StartUploadRequest: what is to be made, and what the same request_id must ask for again.
    request: Mapped[bytes]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    # What is durable in the object store; bytes behind it do not count.
    committed_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    state: Mapped[UploadState] = mapped_column(enum_column(UploadState), server_default="open")
    # The video or the photo that it has become.
    resource_id: Mapped[UUID | None]
    # Of the stream that writes, or the call that finishes: grows with each, and every later write must carry it.
    fencing_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease_expire_time: Mapped[datetime | None]
    expire_time: Mapped[datetime] = mapped_column(index=True)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
