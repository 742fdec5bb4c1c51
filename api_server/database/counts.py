"""Counting anew what libraries hold, which triggers have counted all along."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, text

# Locked first, in the order in which the triggers lock: nobody adds or deletes between the counting and the writing.
_LOCK = text("SELECT 1 FROM libraries ORDER BY id FOR NO KEY UPDATE")
_RECOUNT = text("""
WITH counted AS (
    SELECT
        id,
        (SELECT coalesce(sum(size_bytes), 0) FROM contents WHERE library_id = libraries.id) AS stored_bytes,
        (
            SELECT coalesce(sum(size_bytes), 0) FROM uploads WHERE library_id = libraries.id AND state = 'open'
        ) AS reserved_bytes,
        (SELECT count(*) FROM people WHERE library_id = libraries.id) AS people_count
    FROM libraries
)
UPDATE libraries
SET stored_bytes = counted.stored_bytes, reserved_bytes = counted.reserved_bytes, people_count = counted.people_count
FROM counted
WHERE counted.id = libraries.id
    AND (libraries.stored_bytes, libraries.reserved_bytes, libraries.people_count)
        <> (counted.stored_bytes, counted.reserved_bytes, counted.people_count)
RETURNING libraries.id
""")


def recount(connection: Connection) -> Sequence[UUID]:
    """Puts the counts right; returns the libraries whose counts were wrong, of which there should never be one."""
    connection.execute(_LOCK)
    return connection.execute(_RECOUNT).scalars().all()
