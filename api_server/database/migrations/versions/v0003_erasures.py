"""Erasures and the keys of their receipts; no personal data in the planner's statistics."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_server.database.migrations.row_security import protect

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# The planner keeps common and boundary values of a column, names for example, long after their rows are gone.
_PERSONAL_COLUMNS = {
    "libraries": ("display_name", "request_sha256"),
    "api_keys": ("display_name", "prefix", "secret_sha256"),
    "people": ("display_name", "description", "request_sha256", "query_embedding"),
    "reference_photos": ("file_name", "content_sha256", "embedding", "failure_message"),
    "videos": ("display_name", "file_name", "content_sha256", "failure_message"),
    "appearances": ("record", "embedding"),
    "staged_parts": ("part",),
    "work_items": ("payload", "last_error"),
    "embedding_changes": ("vector",),
}


def upgrade() -> None:
    """Makes the tables, and takes personal columns out of the statistics."""
    _create_erasures()
    protect("erasures")
    op.create_table(
        "receipt_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("public_key_pem", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt_keys")),
    )
    for table, columns in _PERSONAL_COLUMNS.items():
        for column in columns:
            op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STATISTICS 0")
            op.execute(f"SELECT pg_clear_attribute_stats('public', '{table}', '{column}', false)")


def _create_erasures() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "photo",
                "person",
                "video",
                "library",
                name="erasurekind",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("media_ids", sa.ARRAY(sa.Uuid()), nullable=False),
        sa.Column("removed", sa.dialects.postgresql.JSONB(), nullable=False),
        sa.Column("content_digest", sa.LargeBinary(), nullable=True),
        sa.Column("settle_time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waits_for", sa.Text(), server_default="", nullable=False),
        sa.Column("complete_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt", sa.Text(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(op.f("ix_erasures_library_id_id"), "erasures", ["library_id", "id"])
    op.create_index(
        "ix_erasures_running", "erasures", ["settle_time"], postgresql_where=sa.text("complete_time IS NULL")
    )
