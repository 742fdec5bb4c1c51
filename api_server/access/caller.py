"""Who calls: the admin, or a key of one library."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from api_server.limits.limits import Limits


@dataclass(frozen=True)
class Caller:
    """The owner of a call's credential.

    Attributes:
        library_id: the library that the key belongs to; None: the admin.
        key_id: the key; None: the admin's.
        limits: of the library; None: of the admin, who has none.
    """

    library_id: UUID | None
    key_id: UUID | None = None
    limits: Limits | None = None


ADMIN = Caller(library_id=None)
