"""Who did what."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Index,
)
from sqlalchemy.orm import Mapped, mapped_column

from api_server.database.schema.base import Base


class AuditChain(Base):
    """Where a library's audit log ends. Its lock, taken just before a commit, makes the entries follow each other."""

    __tablename__ = "audit_chains"
    __table_args__ = (CheckConstraint("retention_days = 0 OR retention_days >= 30", name="retention"),)

    # No foreign key, here and below: the log outlives the library.
    library_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes]
    # Of the retention policy; 0: kept.
    retention_days: Mapped[int] = mapped_column(server_default="0")


class AuditRecord(Base):
    """An entry of a library's audit log: a whodex.v1.AuditEntry. The services may add and read, never change it."""

    __tablename__ = "audit_entries"
    # Retention goes by time.
    __table_args__ = (Index(None, "library_id", "time"),)

    library_id: Mapped[UUID] = mapped_column(primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    time: Mapped[datetime]
    actor: Mapped[str]
    action: Mapped[str]
    resource: Mapped[str]
    outcome: Mapped[str]
    result_count: Mapped[int]
    request_digest: Mapped[bytes]
    correlation_id: Mapped[str]
    previous_hash: Mapped[bytes]
    hash: Mapped[bytes]
