"""The blob of an upload: durable before the row that names it, and gone again if there will be no such row."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from whodex.errors import UnavailableError
from whodex.runtime.store import ObjectStore


@dataclass(frozen=True)
class StoredFile:
    """A file whose bytes are durable.

    Attributes:
        content_id: of the content that it becomes.
        key: where they are.
        media_type: by its signature.
        sha256: of its bytes.
    """

    content_id: UUID
    key: str
    media_type: str
    size_bytes: int
    sha256: bytes


@contextlib.asynccontextmanager
async def discarded_on_refusal(store: ObjectStore, key: str) -> AsyncIterator[None]:
    """Deletes the blob when the block, which stores it and makes its row, is refused or cancelled.

    When the database does not answer, the row may be there all the same: then the blob stays, and the garbage
    collection decides.
    """
    try:
        yield
    except UnavailableError:
        raise
    except BaseException:
        await store.delete([key])
        raise
