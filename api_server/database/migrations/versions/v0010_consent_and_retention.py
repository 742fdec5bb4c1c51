"""Consent of people, retention policies of libraries, and the removal of old entries from the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# The services may delete nothing from the audit log. This deletes what the log's own retention allows and nothing else:
# always the oldest entries, so that the rest stays a chain.
_PRUNE = """
CREATE FUNCTION prune_audit_log(library uuid, OUT pruned bigint, OUT last_sequence bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public AS $$
DECLARE
    days integer;
    system text := current_setting('whodex.system', true);
BEGIN
    -- Row-level security holds for the owner too. A SET of the function would take a superuser.
    PERFORM set_config('whodex.system', 'on', true);
    SELECT retention_days INTO days FROM audit_chains WHERE library_id = library FOR UPDATE;
    WITH old AS (
        DELETE FROM audit_entries WHERE days > 0 AND library_id = library AND sequence < coalesce(
            (SELECT min(sequence) FROM audit_entries
             WHERE library_id = library AND time >= now() - make_interval(days => days)),
            (SELECT max(sequence) FROM audit_entries WHERE library_id = library)
        )
        RETURNING sequence
    )
    SELECT count(*), max(sequence) INTO pruned, last_sequence FROM old;
    PERFORM set_config('whodex.system', coalesce(system, ''), true);
END
$$
"""


def upgrade() -> None:
    """Adds the columns, without statistics for what is personal, and makes the function."""
    op.add_column("people", sa.Column("consent", sa.LargeBinary(), nullable=True))
    op.add_column("people", sa.Column("consent_expire_time", sa.DateTime(timezone=True), nullable=True))
    op.create_index(op.f("ix_people_consent_expire_time"), "people", ["consent_expire_time"])
    op.execute("ALTER TABLE people ALTER COLUMN consent SET STATISTICS 0")
    for column in ("video_days", "photo_days"):
        op.add_column("libraries", sa.Column(column, sa.Integer(), server_default="0", nullable=False))
    op.add_column(
        "libraries", sa.Column("delete_people_without_consent", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("audit_chains", sa.Column("retention_days", sa.Integer(), server_default="0", nullable=False))
    op.create_check_constraint(
        op.f("ck_audit_chains_retention"), "audit_chains", "retention_days = 0 OR retention_days >= 30"
    )
    op.execute(_PRUNE)
