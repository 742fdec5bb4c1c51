"""The limits that the contracts state, and one that holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import error_reason_pb2

# The years 1 to 9999, and as many years either way: google/protobuf/timestamp.proto and duration.proto.
_FIRST_SECOND, _LAST_SECOND, _LONGEST_SECONDS = -62_135_596_800, 253_402_300_799, 315_576_000_000
_NANOS = 1_000_000_000


def validate(message: Message) -> None:
    """Checks a message against the limits that its contract states.

    Raises:
        InvalidArgumentError: INVALID_FIELD, with every violation.
    """
    found = [_violation(one) for one in protovalidate.collect_violations(message)]
    found += _unusable(message)
    if found:
        raise InvalidArgumentError(
            "; ".join(f"{one.field}: {one.description}" for one in found[:3]) + ".",
            reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
            violations=found,
        )


def _violation(violation: protovalidate.Violation) -> FieldViolation:
    path = violation.proto.field
    elements = path.elements if path is not None else []
    field = ".".join(element.field_name for element in elements) or "request"
    return FieldViolation(field, violation.proto.message or violation.proto.rule_id)


def _unusable(message: Message, prefix: str = "") -> Iterator[FieldViolation]:
    """What no rule speaks of, and no field of any contract may hold."""
    for field, value in message.ListFields():
        name = f"{prefix}{field.name}"
        values: Any = value if field.is_repeated else [value]
        if field.type == FieldDescriptor.TYPE_STRING and any("\0" in one for one in values):
            # Postgres takes every character but this one.
            yield FieldViolation(name, "holds a NUL character")
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in values:
                if isinstance(one, Timestamp | Duration) and not _is_in_range(one):
                    yield FieldViolation(name, "is out of the range of its type")
                yield from _unusable(one, f"{name}.")


def _is_in_range(time: Timestamp | Duration) -> bool:
    """Whether it is what the comments of the types' own files say."""
    if isinstance(time, Timestamp):
        return _FIRST_SECOND <= time.seconds <= _LAST_SECOND and 0 <= time.nanos < _NANOS
    same_sign = time.seconds == 0 or time.nanos == 0 or (time.seconds < 0) == (time.nanos < 0)
    return abs(time.seconds) <= _LONGEST_SECONDS and abs(time.nanos) < _NANOS and same_sign
