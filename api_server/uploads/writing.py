"""Appending to a resumable upload: one stream at a time, kept as far as it comes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from api_server.cancellation import to_the_end
from api_server.contents.keys import partial_key
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.uploads import uploads
from api_server.uploads.body import upload_incomplete
from api_server.uploads.digests import Digests
from api_server.uploads.kinds import Kind
from api_server.uploads.leases import leased
from api_server.uploads.uploads import Lease
from whodex.runtime.partial import Appender, PartialObject
from whodex.runtime.pictures import SIGNATURE_BYTES
from whodex.runtime.store import ObjectStore
from whodex.v1.upload_service_pb2 import StartUploadRequest

# What is written between two commits, each of which waits for the disk: as much as is lost when the server dies.
COMMIT_BYTES = 64 << 20
# On a slow line no more than this is lost.
COMMIT_SECONDS = 5.0


@dataclass(frozen=True)
class UploadWriter:
    """Takes bytes in.

    Attributes:
        database: where uploads stand.
        store: where their bytes go.
        kinds: what they can become.
        digests: what this process knows of their digests.
        expire: how long an upload waits for more bytes.
    """

    database: Database
    store: ObjectStore
    kinds: Mapping[str, Kind]
    digests: Digests
    expire: timedelta

    async def write(self, library_id: UUID, upload_id: UUID, offset: int, chunks: AsyncIterator[bytes]) -> AnyRow:
        """Appends chunks, and returns the row with all of them committed.

        When this ends in an error, what came before it is committed all the same; or the upload is deleted, if it
        cannot go on.

        Args:
            library_id: of the upload.
            upload_id: which one.
            offset: where the chunks belong.
            chunks: bytes.

        Raises:
            AbortedError: UPLOAD_OFFSET_MISMATCH; UPLOAD_BUSY, somebody else writes, or does so by now.
            FailedPreconditionError: UPLOAD_FINISHED.
            InvalidArgumentError: UNSUPPORTED_FORMAT, and it is deleted; UPLOAD_INCOMPLETE, more bytes than announced.
            ResourceExhaustedError: STORAGE_FULL, and it is deleted.
            NotFoundError: there is no such upload, or not any more.
        """
        async with leased(self.database, self.store, library_id, upload_id) as row:
            if offset != row.committed_bytes:
                raise uploads.offset_mismatch(offset, row.committed_bytes)
            return await self._append(row, chunks)

    async def _append(self, row: AnyRow, chunks: AsyncIterator[bytes]) -> AnyRow:
        kind = self.kinds[uploads.kind_of(StartUploadRequest.FromString(row.request))]
        digest = self.digests.take(row.id, row.committed_bytes)
        partial = self.store.open_partial(
            partial_key(row.library_id, row.id), offset=row.committed_bytes, writer=row.fencing_token, digest=digest
        )
        growing = _Growing(self.database, self.expire, partial, row)
        try:
            async for chunk in chunks:
                if growing.position == 0 and len(chunk) >= SIGNATURE_BYTES:
                    # Early, to spare the client the rest; the whole is looked at when it is finished.
                    kind.media_type_of(chunk)
                await growing.add(chunk)
        finally:
            await to_the_end(growing.end())
        self.digests.keep(row.id, growing.row.committed_bytes, digest)
        return growing.row


class _Growing:
    """An upload that grows. Bytes come in while those before them are being committed: the disk is not waited for.

    Attributes:
        row: as of the last commit.
        position: how many bytes have come.
    """

    def __init__(self, database: Database, expire: timedelta, partial: PartialObject, row: AnyRow) -> None:
        self._database = database
        self._lease = Lease.of(row)
        self._expire = expire
        self._partial = partial
        self._appender = Appender(partial)
        self._commit: asyncio.Task[AnyRow] | None = None
        self._commit_position: int = row.committed_bytes
        self._commit_time = time.monotonic()
        self.row = row
        self.position: int = row.committed_bytes

    async def add(self, chunk: bytes) -> None:
        """Takes a chunk; begins a commit from time to time."""
        if self.position + len(chunk) > self.row.size_bytes:
            raise upload_incomplete(f"more bytes came than the {self.row.size_bytes} that were announced")
        # Before the wait: a call that is cut off during it has taken the chunk all the same.
        self.position += len(chunk)
        await self._appender.add(chunk)
        late = time.monotonic() - self._commit_time > COMMIT_SECONDS
        if late or self.position - self._commit_position >= COMMIT_BYTES:
            await self._begin_commit()

    async def end(self) -> None:
        """Commits the rest."""
        try:
            if self.position > self._commit_position:
                await self._begin_commit()
            await self._committed()
        finally:
            await self._partial.aclose()

    async def _begin_commit(self) -> None:
        await self._committed()
        await self._appender.flush()
        self._commit_position, self._commit_time = self.position, time.monotonic()
        self._commit = asyncio.create_task(self._make_durable(self.position))

    async def _make_durable(self, position: int) -> AnyRow:
        await self._partial.sync()
        async with self._database.transaction() as session:
            return await uploads.commit(session, self._lease, position, expire=self._expire)

    async def _committed(self) -> None:
        if self._commit is not None:
            # Shielded: a client that hangs up must not leave it open what is committed.
            self.row = await asyncio.shield(self._commit)
