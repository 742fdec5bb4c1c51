"""Reading what was uploaded and writing what a task makes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Any, ClassVar

from inference.errors import MediaError
from inference.worker.claims import ClaimedItem
from inference.worker.context import WorkerContext
from whodex.runtime.store import ObjectStore
from whodex.v1 import failure_pb2, tasks_pb2

_COPY_BYTES = 8 * 1024 * 1024


class ContentMissingError(MediaError):
    """The bytes of the upload are gone."""

    reason: ClassVar[failure_pb2.FailureReason.ValueType] = failure_pb2.FAILURE_REASON_CONTENT_MISSING


def read_blob(context: WorkerContext, key: str) -> bytes:
    """Returns the bytes behind a key.

    Raises:
        ContentMissingError: there are none.
    """
    try:
        return context.wait(context.store.get(key))
    except FileNotFoundError as error:
        raise _missing() from error


@contextmanager
def opened_blob(context: WorkerContext, item: ClaimedItem[Any], key: str) -> Iterator[int]:
    """Opens a blob as a file descriptor that can be seeked, through a temporary copy if the store is remote.

    Raises:
        ContentMissingError: there is none.
    """
    path = context.store.local_path(key)
    try:
        with path.open("rb") if path else _copied(context, item, key) as file:
            yield file.fileno()
    except FileNotFoundError as error:
        raise _missing() from error


def stage_jpeg(context: WorkerContext, item: ClaimedItem[Any], name: str, jpeg: bytes) -> tasks_pb2.StagedBlob:
    """Writes a picture under the claim's prefix; it becomes a content when the work is completed."""
    context.wait(context.store.put(item.output_prefix + name, jpeg))
    return tasks_pb2.StagedBlob(key=name, media_type="image/jpeg", size_bytes=len(jpeg))


def _copied(context: WorkerContext, item: ClaimedItem[Any], key: str) -> IO[bytes]:
    copy = TemporaryFile()  # noqa: SIM115 - the caller closes it
    context.wait(_copy(context.store, item, key, copy))
    copy.seek(0)
    return copy


async def _copy(store: ObjectStore, item: ClaimedItem[Any], key: str, copy: IO[bytes]) -> None:
    size_bytes = await store.size_bytes(key)
    for start in range(0, size_bytes, _COPY_BYTES):
        copy.write(await store.get_range(key, start, min(_COPY_BYTES, size_bytes - start)))
        # The work itself has not begun; but it is alive.
        item.progress(0.0)


def _missing() -> ContentMissingError:
    return ContentMissingError("The stored bytes of the upload are gone; upload the file again.")
