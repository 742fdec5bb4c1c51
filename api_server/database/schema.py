"""Every table. Postgres is the truth; nobody but the api_server opens a connection to it.

Ids are UUIDs of version 7, so that they sort by their time of creation. Times inside a video are microseconds.
Names of resources are not stored: they follow from the ids.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    Enum,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator
from uuid_utils.compat import uuid7

Vector = NDArray[np.float32]


class EmbeddingVector(TypeDecorator[Vector]):
    """A float32 vector as its little-endian bytes: it can only come back as the array that went in."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Vector | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Turns float32 (d,) into 4 * d bytes; any other dtype or rank is a defect of the caller."""
        if value is None:
            return None
        if value.dtype != np.float32 or value.ndim != 1:
            raise TypeError(f"an embedding is a float32 vector, not {value.dtype} of rank {value.ndim}")
        return value.astype("<f4", copy=False).tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Vector | None:  # noqa: ARG002
        """Turns 4 * d bytes into float32 (d,)."""
        return None if value is None else np.frombuffer(value, dtype="<f4").astype(np.float32, copy=False)


class MediaState(enum.StrEnum):
    """The states of a reference photo and of a video."""

    UPLOADED = "uploaded"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class ErasureKind(enum.StrEnum):
    """What was deleted."""

    PHOTO = "photo"
    PERSON = "person"
    VIDEO = "video"
    LIBRARY = "library"


class WorkState(enum.StrEnum):
    """The states of a work item. A completed item's row is deleted in the transaction of its result."""

    WAITING = "waiting"
    RUNNING = "running"
    FAILED = "failed"


class KeyRole(enum.StrEnum):
    """What a key may do; see `whodex.v1.ApiKey.Role`."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


class UploadState(enum.StrEnum):
    """The states of a resumable upload."""

    OPEN = "open"
    FINISHED = "finished"


class CollectionKind(enum.StrEnum):
    """What an embedding in the feed stands for."""

    PEOPLE = "people"
    APPEARANCES = "appearances"


def _enum(kind: type[enum.Enum]) -> Enum:
    # Text with a check, not a Postgres type: a value can be added without a lock on every table that uses it.
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        name=kind.__name__.lower(),
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """Tables with predictable names for their constraints, which migrations need."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        str: Text(),
        bytes: LargeBinary(),
        datetime: DateTime(timezone=True),
        Vector: EmbeddingVector(),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        list[float]: ARRAY(REAL()),
        list[UUID]: ARRAY(Uuid()),
        list[int]: ARRAY(Integer()),
    }


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
    role: Mapped[KeyRole] = mapped_column(_enum(KeyRole))
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
    revoke_time: Mapped[datetime | None]
    # The key opens nothing from this moment on.
    expire_time: Mapped[datetime | None]
    # To the minute: written once a minute at most.
    last_use_time: Mapped[datetime | None]
    # What replaces it.
    successor_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_keys.id"))


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


class _Failable:
    """The columns of a resource whose processing can fail; all set if and only if the state is FAILED."""

    failure_reason: Mapped[int | None]
    failure_message: Mapped[str | None]
    failure_retryable: Mapped[bool | None]
    failure_attempts: Mapped[int | None]
    failure_time: Mapped[datetime | None]


class ReferencePhoto(_Failable, Base):
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
    state: Mapped[MediaState] = mapped_column(_enum(MediaState))
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


class Video(_Failable, Base):
    """A video and the state of its processing."""

    __tablename__ = "videos"
    __table_args__ = (UniqueConstraint("library_id", "request_id"), Index(None, "library_id", "id"))

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    library_id: Mapped[UUID] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"))
    display_name: Mapped[str]
    file_name: Mapped[str]
    request_id: Mapped[UUID | None]
    state: Mapped[MediaState] = mapped_column(_enum(MediaState))
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
    kind: Mapped[ErasureKind] = mapped_column(_enum(ErasureKind))
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
    state: Mapped[UploadState] = mapped_column(_enum(UploadState), server_default="open")
    # The video or the photo that it has become.
    resource_id: Mapped[UUID | None]
    # Of the stream that writes, or the call that finishes: grows with each, and every later write must carry it.
    fencing_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    lease_expire_time: Mapped[datetime | None]
    expire_time: Mapped[datetime] = mapped_column(index=True)
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())


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
    state: Mapped[WorkState] = mapped_column(_enum(WorkState), server_default="waiting")
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


class EmbeddingChange(Base):
    """The last change of each embedding; the feed sends them by sequence. A null vector is a tombstone."""

    __tablename__ = "embedding_changes"
    # What the scheduler forgets after a while.
    __table_args__ = (Index("ix_embedding_changes_tombstones", "change_time", postgresql_where=text("vector IS NULL")),)

    kind: Mapped[CollectionKind] = mapped_column(_enum(CollectionKind), primary_key=True)
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


class DecoderHost(Base):
    """A machine with workers, and the layers of the decoders' sandbox that it lacks."""

    __tablename__ = "decoder_hosts"

    host: Mapped[str] = mapped_column(primary_key=True)
    # Numbers of `SandboxLayer`.
    missing_layers: Mapped[list[int]]
    report_time: Mapped[datetime] = mapped_column(server_default=func.now())


class EmbeddingSpace(Base):
    """A model's space as its workers registered it, with the thresholds of its calibration."""

    __tablename__ = "embedding_spaces"

    space: Mapped[str] = mapped_column(primary_key=True)
    dimension: Mapped[int]
    model: Mapped[str]
    # [{"false_match_rate": int, "similarity": float, "extrapolated": bool}], the enum's numbers as keys.
    thresholds: Mapped[list[dict[str, Any]]]
    create_time: Mapped[datetime] = mapped_column(server_default=func.now())
