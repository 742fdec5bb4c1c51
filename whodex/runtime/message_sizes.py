"""How large a request may be, from the limits of its contract."""

from __future__ import annotations

from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from whodex.buf.validate import validate_pb2
from whodex.runtime.channel_options import MAX_MESSAGE_BYTES

# Names, tokens and numbers: the longest of ours, SearchScenes with all its people and tokens, has a tenth of it.
SMALL_MESSAGE_BYTES = 64 * 1024
_ANY = "google.protobuf.Any"


@cache
def largest_request_bytes(message: Descriptor) -> int:
    """64 KiB, and what each `bytes` field may hold on top; the size of the largest message of all when that is open."""
    total = _payload_bytes(message, frozenset())
    return MAX_MESSAGE_BYTES if total is None else min(MAX_MESSAGE_BYTES, SMALL_MESSAGE_BYTES + total)


def _payload_bytes(message: Descriptor, seen: frozenset[str]) -> int | None:
    """The sum over its `bytes` fields; None: one of them has no limit."""
    if message.full_name == _ANY:
        return None
    if message.full_name in seen:
        return 0
    parts = [_field_bytes(field, seen | {message.full_name}) for field in message.fields]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _field_bytes(field: FieldDescriptor, seen: frozenset[str]) -> int | None:
    if field.message_type is not None:
        size = _payload_bytes(field.message_type, seen)
    elif field.type == FieldDescriptor.TYPE_BYTES:
        rules = field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[attr-defined] # generated without types
        size = rules.bytes.max_len or rules.bytes.len or None
    else:
        return 0
    return None if field.is_repeated and size != 0 else size
