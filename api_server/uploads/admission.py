"""Whether an upload may begin, as far as its size says: the one place that every upload comes through."""

from __future__ import annotations

from api_server.uploads.body import upload_too_large
from whodex.runtime.partial import storage_full
from whodex.runtime.store import ObjectStore


def admit(store: ObjectStore, announced_bytes: int, max_bytes: int) -> None:
    """Lets an upload in.

    Args:
        store: where it would go.
        announced_bytes: its size; 0: not known.
        max_bytes: the limit of its kind, inclusive.

    Raises:
        InvalidArgumentError: UPLOAD_TOO_LARGE.
        ResourceExhaustedError: STORAGE_FULL, it would not fit.
    """
    if announced_bytes > max_bytes:
        raise upload_too_large(max_bytes)
    free_bytes = store.free_bytes()
    if free_bytes is not None and announced_bytes > free_bytes:
        raise storage_full(f"it has {announced_bytes} bytes, and {free_bytes} are free")
