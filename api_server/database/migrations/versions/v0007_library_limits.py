"""Libraries have limits, and Postgres counts what they hold."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# One update for each statement and library, however many rows it changes. Locks are taken in the order of the ids, so
# that two statements over several libraries wait for each other and never deadlock. The row of a library that is being
# deleted is gone by then: nothing is updated.
_COUNT = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM libraries WHERE id IN (SELECT library_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE libraries SET {column} = {column} {sign} change.amount
    FROM (SELECT library_id, {amount} AS amount FROM changed GROUP BY library_id) AS change
    WHERE libraries.id = change.library_id;
    RETURN NULL;
END $$
"""
_TRIGGER = """
CREATE TRIGGER {function} AFTER {event} ON {table}
REFERENCING {rows} TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION {function}()
"""


def upgrade() -> None:
    """Adds the columns, counts what is there, and has the triggers count from then on."""
    op.add_column("libraries", sa.Column("stored_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("libraries", sa.Column("people_count", sa.Integer(), server_default="0", nullable=False))
    op.add_column("libraries", sa.Column("limit_overrides", postgresql.JSONB(), server_default="{}", nullable=False))
    op.execute("""
    UPDATE libraries SET
        stored_bytes = (SELECT coalesce(sum(size_bytes), 0) FROM contents WHERE library_id = libraries.id),
        people_count = (SELECT count(*) FROM people WHERE library_id = libraries.id)
    """)
    _count("contents", "stored_bytes", "sum(size_bytes)")
    _count("people", "people_count", "count(*)")


def _count(table: str, column: str, amount: str) -> None:
    for event, rows, sign, done in (("INSERT", "NEW", "+", "added"), ("DELETE", "OLD", "-", "removed")):
        function = f"count_{table}_{done}"
        op.execute(_COUNT.format(function=function, column=column, sign=sign, amount=amount))
        op.execute(_TRIGGER.format(function=function, event=event, table=table, rows=rows))
