"""The end of a resumable upload: its digest checked, and the resource made in the transaction that finishes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from api_server.cancellation import to_the_end
from api_server.contents.keys import partial_key, upload_key
from api_server.database.engine import Database
from api_server.database.rows import AnyRow
from api_server.uploads import uploads
from api_server.uploads.blobs import StoredFile
from api_server.uploads.digests import Digests
from api_server.uploads.kinds import Kind, parent_of
from api_server.uploads.leases import leased
from api_server.uploads.uploads import Lease
from whodex.errors import AlreadyExistsError, FailedPreconditionError, InvalidArgumentError
from whodex.runtime.pictures import SIGNATURE_BYTES
from whodex.runtime.store import ObjectStore
from whodex.v1 import error_reason_pb2
from whodex.v1.upload_service_pb2 import StartUploadRequest

# After each step a call that was cut off ends.
_STEP_BYTES = 64 << 20


@dataclass(frozen=True)
class UploadFinisher:
    """Makes videos and reference photos of uploads.

    Attributes:
        database: where uploads stand.
        store: where their bytes are.
        kinds: what they can become.
        digests: what this process knows of their digests.
        expire: how long a finished upload can be asked for what it has become.
    """

    database: Database
    store: ObjectStore
    kinds: Mapping[str, Kind]
    digests: Digests
    expire: timedelta

    async def finish(self, library_id: UUID, upload_id: UUID, sha256: bytes) -> tuple[str, AnyRow]:
        """Makes the resource, or returns the one that was made before.

        Args:
            library_id: of the upload.
            upload_id: which one.
            sha256: of the whole, as the client says; empty: not known.

        Returns:
            The kind, and the row of the resource.

        Raises:
            FailedPreconditionError: UPLOAD_INCOMPLETE, bytes are missing.
            InvalidArgumentError: UPLOAD_DIGEST_MISMATCH or UNSUPPORTED_FORMAT; the upload is deleted.
            AlreadyExistsError: REQUEST_ID_REUSED; the upload is deleted.
            AbortedError: UPLOAD_BUSY, somebody else writes or finishes.
            NotFoundError: there is no such upload or resource, or not any more.
        """
        try:
            async with leased(self.database, self.store, library_id, upload_id) as row:
                if row.committed_bytes < row.size_bytes:
                    raise _bytes_missing(row)
                finished = await self._finish(row, sha256)
        except FailedPreconditionError as error:
            if error.reason != error_reason_pb2.ERROR_REASON_UPLOAD_FINISHED:
                raise
            return await self._finished(library_id, upload_id)
        # Without the lease, which went with the last write.
        await self.store.delete([partial_key(library_id, upload_id)])
        return finished

    async def _finished(self, library_id: UUID, upload_id: UUID) -> tuple[str, AnyRow]:
        async with self.database.reads() as session:
            row = await uploads.get(session, library_id, upload_id)
            kind = uploads.kind_of(StartUploadRequest.FromString(row.request))
            return kind, await self.kinds[kind].get(session, parent_of(row), row.resource_id)

    async def _finish(self, row: AnyRow, sha256: bytes) -> tuple[str, AnyRow]:
        request, lease, parent = StartUploadRequest.FromString(row.request), Lease.of(row), parent_of(row)
        kind, metadata = self.kinds[uploads.kind_of(request)], uploads.metadata_of(request)
        partial, key = partial_key(row.library_id, row.id), upload_key(row.library_id, row.id)
        await self.store.publish(partial, key, row.size_bytes)
        file = await self._checked(row, kind, {sha256, request.sha256})
        try:
            async with self.database.transaction() as session:
                resource = await kind.insert(session, parent, metadata, file)
                await uploads.finish(session, lease, resource.id, expire=self.expire)
        except AlreadyExistsError:
            # The request_id has made a resource in another way: of the same file it is as good as this one.
            resource = await kind.repeated(parent, metadata, file.sha256)
            async with self.database.transaction() as session:
                await uploads.finish(session, lease, resource.id, expire=self.expire)
            await self.store.delete([key])
        return uploads.kind_of(request), resource

    async def _checked(self, row: AnyRow, kind: Kind, announced: set[bytes]) -> StoredFile:
        key = upload_key(row.library_id, row.id)
        media_type = kind.media_type_of(await self.store.get_range(key, 0, min(SIGNATURE_BYTES, row.size_bytes)))
        found = await self._digest(row)
        if not announced <= {found, b""}:
            raise InvalidArgumentError(
                f"The bytes that came have the SHA-256 {found.hex()}, and another one was announced: the file was "
                "changed or damaged on the way. Start a new upload.",
                reason=error_reason_pb2.ERROR_REASON_UPLOAD_DIGEST_MISMATCH,
            )
        return StoredFile(row.id, key, media_type, row.size_bytes, found)

    async def _digest(self, row: AnyRow) -> bytes:
        """Reads what this process has not seen; a call that is cut off leaves the next one less to read."""
        offset, digest = self.digests.take_longest(row.id)
        try:
            while offset < row.size_bytes:
                end = min(offset + _STEP_BYTES, row.size_bytes)
                await to_the_end(self.store.feed(digest, upload_key(row.library_id, row.id), offset, end))
                offset = end
        finally:
            self.digests.keep(row.id, offset, digest)
        result: bytes = digest.digest()
        return result


def _bytes_missing(row: AnyRow) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"The upload is not complete: {row.committed_bytes} of {row.size_bytes} bytes are there. Write the rest first.",
        reason=error_reason_pb2.ERROR_REASON_UPLOAD_INCOMPLETE,
    )
