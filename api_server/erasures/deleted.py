"""What a deletion returns."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from api_server.feed import FeedPosition
from api_server.names import ERASURE, name


@dataclass(frozen=True)
class Deleted:
    """A resource whose rows are gone.

    Attributes:
        position: from which on an index does not know it any more.
        erasure_id: the erasure that removes what is left of it.
    """

    position: FeedPosition
    erasure_id: UUID

    def erasure(self, library_id: UUID) -> str:
        """The erasure's name."""
        return name(ERASURE, library_id, self.erasure_id)
