"""What workers do, and where they do it."""

from __future__ import annotations

import enum
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from api_server.database.schema.base import Base, enum_column


class WorkState(enum.StrEnum):
    """The states of a work item. A completed item's row is deleted in the transaction of its result."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"


class WorkItem(Base):
    """A piece of work for a worker. The fencing token grows with each claim; every later write must carry it."""

    __tablename__ = "work_items"
    __table_args__ = (
        # What a claim looks for, library by library, and what the sweep looks for.
        Index(
            "ix_work_items_claimable",
            "task",
            "library_id",
            "next_run_time",
            postgresql_where=text("state = 'waiting'"),
        ),
        Index("ix_work_items_leased", "lease_expire_time", postgresql_where=text("state = 'running'")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    # No foreign key: the deletion of a library's blobs outlives the library.
    library_id: Mapped[UUID] = mapped_column(index=True)
    task: Mapped[str]
    # The serialised payload message of the task.
    payload: Mapped[bytes]
    # The photo or video that the work is for; null for work that has no resource.
    resource_id: Mapped[UUID | None] = mapped_column(index=True)
    state: Mapped[WorkState] = mapped_column(enum_column(WorkState), server_default="waiting")
    attempts: Mapped[int] = mapped_column(server_default="0")
    fencing_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    next_run_time: Mapped[datetime] = mapped_column(server_default=func.now())
    lease_expire_time: Mapped[datetime | None]
    worker: Mapped[str | None]
    last_error: Mapped[str | None]
    correlation_id: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class StagedPart(Base):
    """A part of a large result, invisible until the item is completed under the same fencing token."""

    __tablename__ = "staged_parts"

    work_item_id: Mapped[UUID] = mapped_column(ForeignKey("work_items.id", ondelete="CASCADE"), primary_key=True)
    fencing_token: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    # A serialised google.protobuf.Any.
    part: Mapped[bytes]


class Doorbell(Base):
    """The outbox: a Celery message that is due once the transaction that wrote it has committed."""

    __tablename__ = "outbox"

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    task: Mapped[str]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


class DecoderHost(Base):
    """A machine with workers, and the layers of the decoders' sandbox that it lacks."""

    __tablename__ = "decoder_hosts"

    host: Mapped[str] = mapped_column(primary_key=True)
    # Numbers of `SandboxLayer`.
    missing_layers: Mapped[list[int]]
    report_time: Mapped[datetime] = mapped_column(server_default=func.now())
