"""The audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_server.database.migrations.row_security import protect

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables; what the role of the services may do with them is in `api_server.database.roles`."""
    op.create_table(
        "audit_chains",
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("library_id", name=op.f("pk_audit_chains")),
    )
    op.create_table(
        "audit_entries",
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("result_count", sa.Integer(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("library_id", "sequence", name=op.f("pk_audit_entries")),
    )
    op.create_index(op.f("ix_audit_entries_library_id_time"), "audit_entries", ["library_id", "time"])
    protect("audit_chains")
    protect("audit_entries")
    # As in the migration before: no personal data in the planner's statistics.
    for column in ("quality", "quality_warnings"):
        op.execute(f"ALTER TABLE reference_photos ALTER COLUMN {column} SET STATISTICS 0")
        op.execute(f"SELECT pg_clear_attribute_stats('public', 'reference_photos', '{column}', false)")
