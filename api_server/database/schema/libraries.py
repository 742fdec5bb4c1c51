"""Tenants and their keys."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column
from uuid_utils.compat import uuid7

from api_server.database.schema.base import Base, enum_column


class KeyRole(enum.StrEnum):
    """What a key may do; see `whodex.v1.ApiKey.Role`."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class Library(Base):
    """The tenant."""

    __tablename__ = "libraries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    display_name: Mapped[str]
    request_id: Mapped[UUID | None] = mapped_column(unique=True)
    # Of the request that carried the request_id: the same id with another request is an error.
    request_sha256: Mapped[bytes | None]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    # Triggers count: the bytes of its contents, those announced for its open uploads, and its people.
    stored_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    reserved_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    people_count: Mapped[int] = mapped_column(server_default="0")
    # By the names of the fields of whodex.v1.LibraryLimits: those that are not the deployment's default.
    limit_overrides: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    # The retention policy; 0: kept. That of the audit log is in audit_chains, which outlives the library.
    video_days: Mapped[int] = mapped_column(server_default="0")
    photo_days: Mapped[int] = mapped_column(server_default="0")
    delete_people_without_consent: Mapped[bool] = mapped_column(server_default="false")


class ApiKey(Base):
    """A credential of a library; the secret itself is never stored."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"), index=True)
    display_name: Mapped[str]
    prefix: Mapped[str]
    # SHA-256: the secret has 256 random bits, so a slow hash would add nothing.
    secret_sha256: Mapped[bytes] = mapped_column(unique=True)
    role: Mapped[KeyRole] = mapped_column(enum_column(KeyRole))
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    revoke_time: Mapped[datetime | None]
    # The key opens nothing from this moment on.
    expire_time: Mapped[datetime | None]
    # To the minute: written once a minute at most.
    last_use_time: Mapped[datetime | None]
    # What replaces it.
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))
