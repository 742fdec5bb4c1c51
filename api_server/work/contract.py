"""Messages that travel as Any: what the interceptor's validation cannot look into."""

from __future__ import annotations

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError, Message

from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.runtime.validation import validate
from whodex.v1 import error_reason_pb2


def checked_message(packed: any_pb2.Any, expected: type[Message], field: str) -> Message:
    """Unpacks a message of the expected type that keeps the limits of its contract.

    Raises:
        InvalidArgumentError: INVALID_FIELD, with every violation.
    """
    message, name = expected(), expected.DESCRIPTOR.full_name
    try:
        fits = packed.Unpack(message)
    except DecodeError as error:
        raise _invalid(field, f"not a serialised {name}") from error
    if not fits:
        raise _invalid(field, f"{packed.type_url or 'an empty Any'} is not {name}")
    validate(message)
    return message


def _invalid(field: str, problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{field}: {problem}. Deploy workers and api_server of the same release.",
        reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
        violations=[FieldViolation(field, problem)],
    )
