"""Keys have roles, expire, are used and replaced; who watches them hears when they end."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ROLE = sa.Enum("read", "write", "admin", name="keyrole", native_enum=False, create_constraint=True, length=32)


def upgrade() -> None:
    """Lets the keys that exist do what they could do so far: everything in their library."""
    op.add_column("api_keys", sa.Column("role", _ROLE, nullable=False, server_default="admin"))
    op.alter_column("api_keys", "role", server_default=None)
    for name in ("expire_time", "last_use_time"):
        op.add_column("api_keys", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("api_keys", sa.Column("successor_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_api_keys_successor_id_api_keys"), "api_keys", "api_keys", ["successor_id"], ["id"])
    # The function is that of the first migration: it notifies of the id.
    op.execute(
        "CREATE TRIGGER whodex_notify AFTER UPDATE OF revoke_time, expire_time OR DELETE ON api_keys "
        "FOR EACH ROW EXECUTE FUNCTION whodex_notify_id()"
    )
