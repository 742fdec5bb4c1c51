"""What Alembic runs for each command; the connection comes from `api_server.database.migration`."""

from __future__ import annotations

from typing import Any, Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from api_server.database.schema import Base, EmbeddingVector


def _render_item(kind: str, item: Any, _: AutogenContext) -> str | Literal[False]:
    # A migration must not change its meaning when our types do.
    return "sa.LargeBinary()" if kind == "type" and isinstance(item, EmbeddingVector) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    compare_server_default=True,
    render_item=_render_item,
)
with context.begin_transaction():
    context.run_migrations()
