"""What photos and videos have in common."""

from __future__ import annotations

import enum
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from api_server.database.schema.base import Base


class MediaState(enum.StrEnum):
    """The states of a reference photo and of a video."""

    UPLOADED = "uploaded"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class Failable:
    """The columns of a resource whose processing can fail; all set if and only if the state is FAILED."""

    failure_reason: Mapped[int | None]
    failure_message: Mapped[str | None]
    failure_retryable: Mapped[bool | None]
    failure_attempts: Mapped[int | None]
    failure_time: Mapped[datetime | None]


class Content(Base):
    """Bytes in the object store that belong to a photo or a video. What no row names is garbage."""

    __tablename__ = "contents"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    library_id: Mapped[UUID] = mapped_column(index=True)
    # The photo or the video; deleting it makes the deletion of its contents a work item.
    owner_id: Mapped[UUID] = mapped_column(index=True)
    key: Mapped[str] = mapped_column(unique=True)
    media_type: Mapped[str]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
