"""Uploads that are open reserve their bytes, so that an upload that was let in can be finished."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# As for the contents of a library; a FINISHED upload has become one of them.
_RESERVE = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM libraries WHERE id IN (SELECT library_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE libraries SET reserved_bytes = reserved_bytes {sign} change.amount
    FROM (
        SELECT library_id, sum(size_bytes) AS amount FROM changed WHERE state = 'open' GROUP BY library_id
    ) AS change
    WHERE libraries.id = change.library_id;
    RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER {function} AFTER {event} ON uploads
REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""
# By row, since a statement's trigger would run for each batch of bytes that is committed.
_RELEASE = """
CREATE FUNCTION release_uploads_finished() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE libraries SET reserved_bytes = reserved_bytes - OLD.size_bytes WHERE id = OLD.library_id;
    RETURN NULL;
END $$
"""
_RELEASE_TRIGGER = """
CREATE TRIGGER release_uploads_finished AFTER UPDATE OF state ON uploads
FOR EACH ROW WHEN (OLD.state = 'open' AND NEW.state <> 'open') EXECUTE FUNCTION release_uploads_finished()
"""


def upgrade() -> None:
    """Adds the column, counts what is there, and has the triggers count from then on."""
    op.add_column("libraries", sa.Column("reserved_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.execute("""
    UPDATE libraries SET reserved_bytes = (
        SELECT coalesce(sum(size_bytes), 0) FROM uploads WHERE library_id = libraries.id AND state = 'open'
    )
    """)
    for event, rows, sign, done in (("INSERT", "NEW", "+", "started"), ("DELETE", "OLD", "-", "discarded")):
        function = f"reserve_uploads_{done}"
        op.execute(_RESERVE.format(function=function, sign=sign))
        op.execute(_TRIGGER.format(function=function, event=event, rows=rows))
    op.execute(_RELEASE)
    op.execute(_RELEASE_TRIGGER)
