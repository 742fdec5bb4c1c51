"""Libraries are kept apart by Postgres too."""

from __future__ import annotations

from api_server.database.migrations.row_security import let_libraries_add, protect, protect_from_libraries

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Turns row-level security on for every table that holds what belongs to a library."""
    protect("libraries", column="id")
    for table in (
        "api_keys",
        "people",
        "reference_photos",
        "videos",
        "scenes",
        "appearances",
        "contents",
        "work_items",
        "embedding_changes",
    ):
        protect(table)
    protect_from_libraries("staged_parts")
    # Work is ordered in the transaction of its cause; the scheduler alone reads the outbox.
    protect_from_libraries("outbox")
    let_libraries_add("outbox")
