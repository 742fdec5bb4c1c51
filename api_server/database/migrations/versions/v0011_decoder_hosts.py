"""Which layers of the decoders' sandbox the workers' machines lack."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from api_server.database.migrations.row_security import protect_from_libraries

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "decoder_hosts",
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("missing_layers", sa.ARRAY(sa.Integer()), nullable=False),
        sa.Column("report_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("host", name=op.f("pk_decoder_hosts")),
    )
    protect_from_libraries("decoder_hosts")
