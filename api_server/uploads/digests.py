"""The SHA-256 of uploads so far: a process that has seen all bytes of a file need not read it again to finish it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Any
from uuid import UUID

from whodex.runtime.partial import Unhashed

# A state of SHA-256 is some hundred bytes.
KEPT = 10_000


class Digests:
    """Where the digest of each upload stands in this process. What is not known costs a reading of the file."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._states: OrderedDict[UUID, tuple[int, Any]] = OrderedDict()

    def take(self, upload_id: UUID, offset: int) -> Any:
        """The digest of the first `offset` bytes, to go on with; `Unhashed` when this process does not know it.

        It is forgotten here until it is kept again: what becomes of a write that fails is not known.
        """
        if offset == 0:
            self._states.pop(upload_id, None)
            return hashlib.sha256()
        known, _ = self._states.get(upload_id, (None, None))
        # A digest of less is kept: the rest can be read.
        return self._states.pop(upload_id)[1] if known == offset else Unhashed()

    def take_longest(self, upload_id: UUID) -> tuple[int, Any]:
        """As many bytes as this process knows the digest of, and the digest."""
        return self._states.pop(upload_id, None) or (0, hashlib.sha256())

    def keep(self, upload_id: UUID, offset: int, digest: Any) -> None:
        """Remembers the digest of the first `offset` bytes."""
        if isinstance(digest, Unhashed):
            return
        self._states[upload_id] = (offset, digest)
        self._states.move_to_end(upload_id)
        if len(self._states) > self._kept:
            self._states.popitem(last=False)
