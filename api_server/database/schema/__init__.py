"""Every table. Postgres is the truth; nobody but the api_server opens a connection to it.

Ids are UUIDs of version 7, so that they sort by their time of creation. Times inside a video are microseconds.
Names of resources are not stored: they follow from the ids.
"""

from __future__ import annotations

from api_server.database.schema.audit import AuditChain, AuditRecord
from api_server.database.schema.base import Base, EmbeddingVector, Vector
from api_server.database.schema.erasures import Erasure, ErasureKind, ReceiptKey
from api_server.database.schema.feed import CollectionKind, EmbeddingChange, EmbeddingSpace, FeedState
from api_server.database.schema.libraries import ApiKey, KeyRole, Library
from api_server.database.schema.media import Content, MediaState
from api_server.database.schema.people import Person, ReferencePhoto
from api_server.database.schema.uploads import Upload, UploadState
from api_server.database.schema.videos import Appearance, Scene, Video
from api_server.database.schema.work import DecoderHost, Doorbell, StagedPart, WorkItem, WorkState

__all__ = [
    "ApiKey",
    "Appearance",
    "AuditChain",
    "AuditRecord",
    "Base",
    "CollectionKind",
    "Content",
    "DecoderHost",
    "Doorbell",
    "EmbeddingChange",
    "EmbeddingSpace",
    "EmbeddingVector",
    "Erasure",
    "ErasureKind",
    "FeedState",
    "KeyRole",
    "Library",
    "MediaState",
    "Person",
    "ReceiptKey",
    "ReferencePhoto",
    "Scene",
    "StagedPart",
    "Upload",
    "UploadState",
    "Vector",
    "Video",
    "WorkItem",
    "WorkState",
]
