"""Who calls: the admin, or a key of one library."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True)
class Caller:
    """The owner of a call's credential.

    Attributes:
        library_id: the library that the key belongs to; None: the admin.
        key_id: the key; None: the admin's.
    """

    library_id: UUID | None
    key_id: UUID | None = None


ADMIN = Caller(library_id=None)
