"""Other people of the library whom a reference photo looks like."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns; the scheduler compares the photos that are there."""
    op.add_column("reference_photos", sa.Column("look_alike_id", sa.Uuid()))
    op.add_column("reference_photos", sa.Column("look_alike_similarity", sa.REAL()))
    op.add_column(
        "reference_photos",
        sa.Column("look_alikes_checked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_index(
        "ix_reference_photos_unchecked",
        "reference_photos",
        ["id"],
        postgresql_where=sa.text("state = 'ready' AND NOT look_alikes_checked"),
    )
    op.create_index(
        "ix_reference_photos_look_alikes",
        "reference_photos",
        ["look_alike_id"],
        postgresql_where=sa.text("look_alike_id IS NOT NULL"),
    )
