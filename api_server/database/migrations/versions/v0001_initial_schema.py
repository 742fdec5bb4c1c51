"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes every table, the feed's one row and the triggers."""
    _create_contents()
    _create_embedding_changes()
    _create_embedding_spaces()
    _create_feed_state()
    _create_libraries()
    _create_outbox()
    _create_work_items()
    _create_api_keys()
    _create_people()
    _create_staged_parts()
    _create_videos()
    _create_reference_photos()
    _create_scenes()
    _create_appearances()
    op.execute("INSERT INTO feed_state (id, epoch) VALUES (1, gen_random_uuid())")
    _create_notifications()


def _create_notifications() -> None:
    """Wakes the watches: NOTIFY is part of the transaction, so that nobody hears of what did not happen.

    `api_server.database.notifications` listens. Triggers, because so many statements change these tables, and one that
    forgot to notify would show only as a watch that stands still.
    """
    for column in ("id", "person_id"):
        op.execute(
            f"CREATE FUNCTION whodex_notify_{column}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"PERFORM pg_notify('whodex_resources', COALESCE(NEW.{column}, OLD.{column})::text); RETURN NULL; END $$"
        )
    for table, events, column in (
        ("people", "UPDATE OR DELETE", "id"),
        ("reference_photos", "INSERT OR UPDATE OR DELETE", "person_id"),
        ("videos", "UPDATE OR DELETE", "id"),
    ):
        op.execute(
            f"CREATE TRIGGER whodex_notify AFTER {events} ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION whodex_notify_{column}()"
        )


def _create_contents() -> None:
    op.create_table(
        "contents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contents")),
        sa.UniqueConstraint("key", name=op.f("uq_contents_key")),
    )
    op.create_index(op.f("ix_contents_library_id"), "contents", ["library_id"], unique=False)
    op.create_index(op.f("ix_contents_owner_id"), "contents", ["owner_id"], unique=False)


def _create_embedding_changes() -> None:
    op.create_table(
        "embedding_changes",
        sa.Column(
            "kind",
            sa.Enum(
                "people", "appearances", name="collectionkind", native_enum=False, create_constraint=True, length=32
            ),
            nullable=False,
        ),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.Column("change_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", name=op.f("pk_embedding_changes")),
        sa.UniqueConstraint("sequence", name=op.f("uq_embedding_changes_sequence")),
    )
    op.create_index(
        "ix_embedding_changes_tombstones",
        "embedding_changes",
        ["change_time"],
        unique=False,
        postgresql_where=sa.text("vector IS NULL"),
    )


def _create_embedding_spaces() -> None:
    op.create_table(
        "embedding_spaces",
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("thresholds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("space", name=op.f("pk_embedding_spaces")),
    )


def _create_feed_state() -> None:
    op.create_table(
        "feed_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Uuid(), nullable=False),
        sa.Column("newest_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("horizon_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feed_state")),
    )


def _create_libraries() -> None:
    op.create_table(
        "libraries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_libraries")),
        sa.UniqueConstraint("request_id", name=op.f("uq_libraries_request_id")),
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )


def _create_work_items() -> None:
    op.create_table(
        "work_items",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "waiting", "running", "failed", name="workstate", native_enum=False, create_constraint=True, length=32
            ),
            server_default="waiting",
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next_run_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("lease_expire_time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("correlation_id", sa.Text(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_items")),
    )
    op.create_index(
        "ix_work_items_claimable",
        "work_items",
        ["task", "library_id", "next_run_time"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(
        "ix_work_items_leased",
        "work_items",
        ["lease_expire_time"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
    )
    op.create_index(op.f("ix_work_items_library_id"), "work_items", ["library_id"], unique=False)
    op.create_index(op.f("ix_work_items_resource_id"), "work_items", ["resource_id"], unique=False)


def _create_api_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("revoke_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_api_keys_library_id_libraries"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_sha256", name=op.f("uq_api_keys_secret_sha256")),
    )
    op.create_index(op.f("ix_api_keys_library_id"), "api_keys", ["library_id"], unique=False)


def _create_people() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column("request_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("query_embedding", sa.LargeBinary(), nullable=True),
        sa.Column("query_space", sa.Text(), nullable=True),
        sa.Column("embedding_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_people_library_id_libraries"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_people")),
        sa.UniqueConstraint("library_id", "request_id", name=op.f("uq_people_library_id_request_id")),
    )
    op.create_index("ix_people_display_name", "people", ["library_id", "display_name", "id"], unique=False)
    op.create_index(op.f("ix_people_library_id_id"), "people", ["library_id", "id"], unique=False)


def _create_staged_parts() -> None:
    op.create_table(
        "staged_parts",
        sa.Column("work_item_id", sa.Uuid(), nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("part", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["work_item_id"],
            ["work_items.id"],
            name=op.f("fk_staged_parts_work_item_id_work_items"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("work_item_id", "fencing_token", "ordinal", name=op.f("pk_staged_parts")),
    )


def _create_videos() -> None:
    op.create_table(
        "videos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "uploaded",
                "processing",
                "ready",
                "failed",
                name="mediastate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("progress", sa.REAL(), server_default="0", nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_us", sa.BigInteger(), nullable=True),
        sa.Column("width", sa.Integer(), server_default="0", nullable=False),
        sa.Column("height", sa.Integer(), server_default="0", nullable=False),
        sa.Column("frame_rate", sa.Double(), server_default="0", nullable=False),
        sa.Column("scene_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("appearance_count", sa.Integer(), server_default="0", nullable=False),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("embedding_sequence", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failure_reason", sa.Integer(), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("failure_retryable", sa.Boolean(), nullable=True),
        sa.Column("failure_attempts", sa.Integer(), nullable=True),
        sa.Column("failure_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["content_id"], ["contents.id"], name=op.f("fk_videos_content_id_contents")),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_videos_library_id_libraries"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_videos")),
        sa.UniqueConstraint("library_id", "request_id", name=op.f("uq_videos_library_id_request_id")),
    )
    op.create_index(op.f("ix_videos_content_id"), "videos", ["content_id"], unique=False)
    op.create_index(op.f("ix_videos_library_id_id"), "videos", ["library_id", "id"], unique=False)


def _create_reference_photos() -> None:
    op.create_table(
        "reference_photos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Uuid(), nullable=True),
        sa.Column(
            "state",
            sa.Enum(
                "uploaded",
                "processing",
                "ready",
                "failed",
                name="mediastate",
                native_enum=False,
                create_constraint=True,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("requested_box", sa.ARRAY(sa.REAL()), nullable=True),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("content_id", sa.Uuid(), nullable=False),
        sa.Column("thumbnail_id", sa.Uuid(), nullable=True),
        sa.Column("width", sa.Integer(), server_default="0", nullable=False),
        sa.Column("height", sa.Integer(), server_default="0", nullable=False),
        sa.Column("face_box", sa.ARRAY(sa.REAL()), nullable=True),
        sa.Column("face_size_px", sa.REAL(), nullable=True),
        sa.Column("sharpness", sa.REAL(), nullable=True),
        sa.Column("detection_score", sa.REAL(), nullable=True),
        sa.Column("weight", sa.REAL(), nullable=True),
        sa.Column("embedding", sa.LargeBinary(), nullable=True),
        sa.Column("space", sa.Text(), nullable=True),
        sa.Column("create_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("failure_reason", sa.Integer(), nullable=True),
        sa.Column("failure_message", sa.Text(), nullable=True),
        sa.Column("failure_retryable", sa.Boolean(), nullable=True),
        sa.Column("failure_attempts", sa.Integer(), nullable=True),
        sa.Column("failure_time", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["content_id"], ["contents.id"], name=op.f("fk_reference_photos_content_id_contents")),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_reference_photos_library_id_libraries"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["people.id"], name=op.f("fk_reference_photos_person_id_people"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["thumbnail_id"], ["contents.id"], name=op.f("fk_reference_photos_thumbnail_id_contents")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reference_photos")),
        sa.UniqueConstraint("person_id", "request_id", name=op.f("uq_reference_photos_person_id_request_id")),
    )
    op.create_index(op.f("ix_reference_photos_content_id"), "reference_photos", ["content_id"], unique=False)
    op.create_index(op.f("ix_reference_photos_library_id"), "reference_photos", ["library_id"], unique=False)
    op.create_index(op.f("ix_reference_photos_person_id_id"), "reference_photos", ["person_id", "id"], unique=False)
    op.create_index(op.f("ix_reference_photos_thumbnail_id"), "reference_photos", ["thumbnail_id"], unique=False)


def _create_scenes() -> None:
    op.create_table(
        "scenes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("thumbnail_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_scenes_library_id_libraries"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["thumbnail_id"], ["contents.id"], name=op.f("fk_scenes_thumbnail_id_contents")),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_scenes_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenes")),
        sa.UniqueConstraint("video_id", "index", name=op.f("uq_scenes_video_id_index")),
    )
    op.create_index(op.f("ix_scenes_library_id"), "scenes", ["library_id"], unique=False)
    op.create_index(op.f("ix_scenes_thumbnail_id"), "scenes", ["thumbnail_id"], unique=False)


def _create_appearances() -> None:
    op.create_table(
        "appearances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scene_id", sa.Uuid(), nullable=False),
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("library_id", sa.Uuid(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("embedding", sa.LargeBinary(), nullable=False),
        sa.Column("space", sa.Text(), nullable=False),
        sa.Column("embedding_sequence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_appearances_library_id_libraries"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["scene_id"], ["scenes.id"], name=op.f("fk_appearances_scene_id_scenes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_appearances_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appearances")),
    )
    op.create_index(op.f("ix_appearances_library_id"), "appearances", ["library_id"], unique=False)
    op.create_index(op.f("ix_appearances_scene_id"), "appearances", ["scene_id"], unique=False)
    op.create_index(
        op.f("ix_appearances_video_id_start_us_id"), "appearances", ["video_id", "start_us", "id"], unique=False
    )
