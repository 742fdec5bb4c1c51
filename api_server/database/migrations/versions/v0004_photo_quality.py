"""More measured numbers, warnings, same-person confirmations and near-duplicates of reference photos."""

from __future__ import annotations

import struct

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_MEASURED = sa.text("""
SELECT id, face_size_px, sharpness, detection_score FROM reference_photos WHERE face_size_px IS NOT NULL
""")
_STORE = sa.text("UPDATE reference_photos SET quality = :quality WHERE id = :id")


def upgrade() -> None:
    """Puts the measured numbers into one column, and adds the others."""
    op.add_column("reference_photos", sa.Column("quality", sa.LargeBinary()))
    op.add_column(
        "reference_photos",
        sa.Column("quality_warnings", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
    )
    op.add_column(
        "reference_photos",
        sa.Column("same_person_confirmed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.add_column("reference_photos", sa.Column("duplicate_of", sa.Uuid()))
    connection = op.get_bind()
    rows = [
        {"id": id_, "quality": _serialised(*measured)} for id_, *measured in connection.execute(_MEASURED).fetchall()
    ]
    if rows:
        connection.execute(_STORE, rows)
    for column in ("face_size_px", "sharpness", "detection_score"):
        op.drop_column("reference_photos", column)


def _serialised(face_size_px: float, sharpness: float, detection_score: float) -> bytes:
    """A whodex.v1.FaceQuality of these fields, numbers 1 to 3, as protobuf writes 32-bit floats.

    By hand, since a migration must write the same whatever the contract has become.
    """
    return struct.pack("<BfBfBf", 0x0D, face_size_px, 0x15, sharpness, 0x1D, detection_score)
