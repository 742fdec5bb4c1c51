"""The limits that the contracts state, and one that holds for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import protovalidate
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import error_reason_pb2


def validate(message: Message) -> None:
    """Checks a message against the limits that its contract states.

    Raises:
        InvalidArgumentError: INVALID_FIELD, with every violation.
    """
    found = [_violation(one) for one in protovalidate.collect_violations(message)]
    found += [FieldViolation(field, "holds a NUL character") for field in _fields_with_nul(message)]
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


def _fields_with_nul(message: Message, prefix: str = "") -> Iterator[str]:
    """The text fields that Postgres cannot hold: it takes every character but this one."""
    for field, value in message.ListFields():
        values: Any = value if field.is_repeated else [value]
        if field.type == FieldDescriptor.TYPE_STRING and any("\0" in one for one in values):
            yield f"{prefix}{field.name}"
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            for one in values:
                yield from _fields_with_nul(one, f"{prefix}{field.name}.")
