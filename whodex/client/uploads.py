from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from uuid import uuid4

from whodex.client.connection import Connection
from whodex.client.sources import OpenSource, Progress
from whodex.errors import (
    AbortedError,
    CancelledCallError,
    ResourceExhaustedError,
    TransientError,
    WhodexError,
)
from whodex.v1.upload_pb2 import Upload
from whodex.v1.upload_service_pb2 import (
    CancelUploadRequest,
    FinishUploadRequest,
    FinishUploadResponse,
    GetUploadRequest,
    StartUploadRequest,
    WriteStart,
    WriteUploadRequest,
)
from whodex.v1.upload_service_pb2_grpc import UploadServiceStub

# Below this size sending a file again costs less than the calls that would save it.
RESUMABLE_BYTES = 16 << 20
# One stream carries so much at most: after each the server has said what it has for good.
SEGMENT_BYTES = 256 << 20
# A server that has taken nothing for so long is not restarting, it is gone.
PATIENCE_SECONDS = 120.0
PAUSE_SECONDS = 1.0
# The slowest store that the deadline of a finish has patience for: 20 MB/s, read and written once more.
SLOWEST_STORE_BYTES_PER_SECOND = 20_000_000

# Called with the upload as it stands, each time that it goes on where it was cut off.
OnResume = Callable[[Upload], None]

_INTERRUPTIONS = (AbortedError, CancelledCallError, TransientError)


class Uploads:
    """Uploads that go on where they were cut off.

    `videos.upload` and `people.upload_photo` do it all for large files; the single steps are for bytes that come from
    elsewhere than a file.

    Every method raises `whodex.errors.WhodexError`; the subclasses and reasons are those of the contract.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = UploadServiceStub(connection.channel)

    def start(self, request: StartUploadRequest) -> Upload:
        """Starts an upload, or returns the one that the same request_id has started."""
        return self._connection.call(self._stub.StartUpload, request).upload

    def write(self, name: str, offset: int, chunks: Iterable[bytes], *, size_bytes: int) -> Upload:
        """Appends bytes.

        Args:
            name: `libraries/{library}/uploads/{upload}`.
            offset: the upload's committed_bytes.
            chunks: of 1 byte to 1 MiB each.
            size_bytes: of all chunks; the deadline grows with it.
        """
        requests = _write_requests(name, offset, chunks)
        return self._connection.upload(self._stub.WriteUpload, requests, size_bytes).upload

    def get(self, name: str) -> Upload:
        """Returns `libraries/{library}/uploads/{upload}`."""
        return self._connection.call(self._stub.GetUpload, GetUploadRequest(name=name)).upload

    def finish(self, name: str, *, sha256: bytes = b"", size_bytes: int = 0) -> FinishUploadResponse:
        """Makes the video or the photo of an upload whose bytes are all there; again: the same answer.

        Args:
            name: `libraries/{library}/uploads/{upload}`.
            sha256: of the whole, so that damage is found; empty: not known.
            size_bytes: of the whole; the deadline grows with it.
        """
        timeout_seconds = self._connection.timeout_seconds + size_bytes / SLOWEST_STORE_BYTES_PER_SECOND
        request = FinishUploadRequest(name=name, sha256=sha256)
        return self._connection.call(self._stub.FinishUpload, request, timeout_seconds)

    def cancel(self, name: str) -> None:
        """Deletes an upload and its bytes; what a finished one has become stays."""
        self._connection.call(self._stub.CancelUpload, CancelUploadRequest(name=name))

    def upload(
        self,
        request: StartUploadRequest,
        source: OpenSource,
        *,
        progress: Progress | None = None,
        on_resume: OnResume | None = None,
    ) -> FinishUploadResponse:
        """Uploads a file, through restarts of the server and losses of the connection.

        Args:
            request: what to make of it. With a request_id, an upload that it has started before is gone on with.
            source: the file.
            progress: see `Progress`.
            on_resume: see `OnResume`.

        Raises:
            UnavailableError: the server has been away for two minutes. The same request goes on later.
            OSError: the file cannot be read, or has become shorter.
        """
        metadata = getattr(request, str(request.WhichOneof("metadata")))
        # From here on StartUpload is how to ask where the upload stands.
        metadata.request_id = metadata.request_id or str(uuid4())
        sent, interruptions = _Sent(source), _Interruptions()
        while True:
            try:
                return self._go_on(request, sent, interruptions, progress, on_resume)
            except _INTERRUPTIONS as error:
                interruptions.wait(error)

    def _go_on(
        self,
        request: StartUploadRequest,
        sent: _Sent,
        interruptions: _Interruptions,
        progress: Progress | None,
        on_resume: OnResume | None,
    ) -> FinishUploadResponse:
        upload = self.start(request)
        interruptions.note(upload.committed_bytes)
        if on_resume and upload.state == Upload.STATE_OPEN and upload.committed_bytes:
            on_resume(upload)
        while upload.state == Upload.STATE_OPEN and upload.committed_bytes < upload.size_bytes:
            upload = self._write(upload, sent, progress)
            interruptions.note(upload.committed_bytes)
        finished = upload.state == Upload.STATE_FINISHED
        sha256 = b"" if finished else sent.digest_before(upload.size_bytes).digest()
        return self.finish(upload.name, sha256=sha256, size_bytes=upload.size_bytes)

    def _write(self, upload: Upload, sent: _Sent, progress: Progress | None) -> Upload:
        start = upload.committed_bytes
        end = min(start + SEGMENT_BYTES, upload.size_bytes)
        digest = sent.digest_before(start).copy()
        chunks = _hashed(sent.source.chunks(progress, start, end), digest)
        upload = self.write(upload.name, start, chunks, size_bytes=end - start)
        if upload.committed_bytes < end:
            raise OSError(f"the file ended at byte {upload.committed_bytes}: it has become shorter meanwhile")
        sent.add(end, digest)
        return upload


class _Sent:
    """The digest of what was sent: the server's must be the same, or the file was changed or damaged on the way."""

    def __init__(self, source: OpenSource) -> None:
        self.source = source
        self._offset = 0
        self._digest: Any = hashlib.sha256()

    def add(self, offset: int, digest: Any) -> None:
        """What was sent up to an offset has this digest."""
        self._offset, self._digest = offset, digest

    def digest_before(self, offset: int) -> Any:
        """SHA-256 of the bytes before an offset, those that an earlier process has sent included."""
        if offset < self._offset:
            self.add(0, hashlib.sha256())
        for chunk in self.source.chunks(None, self._offset, offset):
            self._digest.update(chunk)
        self._offset = offset
        return self._digest


class _Interruptions:
    """How long interruptions are borne."""

    def __init__(self) -> None:
        self._committed_bytes = -1
        # A server that has not answered once is not waited for.
        self._progress_time = -math.inf

    def note(self, committed_bytes: int) -> None:
        """Hears how far the server has come."""
        if committed_bytes != self._committed_bytes:
            self._committed_bytes, self._progress_time = committed_bytes, time.monotonic()

    def wait(self, error: WhodexError) -> None:
        """Pauses before the next try, or raises the error that ended the last one."""
        lasting = isinstance(error, ResourceExhaustedError) and error.retry_after_seconds is None
        if lasting or time.monotonic() - self._progress_time > PATIENCE_SECONDS:
            raise error
        time.sleep(error.retry_after_seconds or PAUSE_SECONDS)


def _hashed(chunks: Iterator[bytes], digest: Any) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


def _write_requests(name: str, offset: int, chunks: Iterable[bytes]) -> Iterator[WriteUploadRequest]:
    yield WriteUploadRequest(start=WriteStart(name=name, offset=offset))
    for chunk in chunks:
        yield WriteUploadRequest(chunk=chunk)
