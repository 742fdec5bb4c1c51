"""What every table is made of."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ARRAY,
    DateTime,
    Dialect,
    Enum,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB, REAL
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

Vector = NDArray[np.float32]


class EmbeddingVector(TypeDecorator[Vector]):
    """A float32 vector as its little-endian bytes: it can only come back as the array that went in."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: Vector | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        """Turns float32 (d,) into 4 * d bytes; any other dtype or rank is a defect of the caller."""
        if value is None:
            return None
        if value.dtype != np.float32 or value.ndim != 1:
            raise TypeError(f"an embedding is a float32 vector, not {value.dtype} of rank {value.ndim}")
        return value.astype("<f4", copy=False).tobytes()

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> Vector | None:  # noqa: ARG002
        """Turns 4 * d bytes into float32 (d,)."""
        return None if value is None else np.frombuffer(value, dtype="<f4").astype(np.float32, copy=False)


def enum_column(kind: type[enum.Enum]) -> Enum:
    """The type of a column that holds a member."""
    # Text with a check, not a Postgres type: a value can be added without a lock on every table that uses it.
    return Enum(
        kind,
        native_enum=False,
        create_constraint=True,
        name=kind.__name__.lower(),
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    """Tables with predictable names for their constraints, which migrations need."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012
        str: Text(),
        bytes: LargeBinary(),
        datetime: DateTime(timezone=True),
        Vector: EmbeddingVector(),
        dict[str, Any]: JSONB(),
        list[dict[str, Any]]: JSONB(),
        list[float]: ARRAY(REAL()),
        list[UUID]: ARRAY(Uuid()),
        list[int]: ARRAY(Integer()),
    }
