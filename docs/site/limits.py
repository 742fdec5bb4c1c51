"""The limits of a field in words, from its protovalidate rules."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from whodex.buf.validate import validate_pb2

# How an id looks in the pattern of a resource name; the field's comment names its kind.
_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

# In the order in which they are said. A rule that is not here stops the build of the site.
PHRASES = {
    "required": "required",
    "ignore": "",  # the rules hold unless the field is empty, which its comment says
    "enum.defined_only": "",  # every enum
    "enum.not_in": "required",  # always the unspecified value
    "string.uuid": "a UUID",
    "string.min_len": "at least {} characters",
    "string.max_len": "at most {} characters",
    "bytes.len": "exactly {} bytes",
    "bytes.min_len": "at least {} bytes",
    "bytes.max_len": "at most {} bytes",
    "repeated.min_items": "at least {} of them",
    "repeated.max_items": "at most {} of them",
    "repeated.unique": "all different",
    "timestamp.gt_now": "in the future",
    "timestamp.lt": "before {}",
    "finite": "finite",
    "gt": "more than {}",
    "gte": "at least {}",
    "lt": "less than {}",
    "lte": "at most {}",
}


def limits_of(field: FieldDescriptorProto) -> list[str]:
    """One phrase for each limit; none for a field without rules."""
    # Its stubs know no extensions.
    rules = field.options.Extensions[validate_pb2.field]  # type: ignore[attr-defined]
    said = sorted(_phrases(rules, ""), key=lambda phrase: phrase[0])
    return [phrase for _, phrase in said if phrase]


def _phrases(rules: Message, kind: str) -> Iterator[tuple[int, str]]:
    order = list(PHRASES)
    for field, value in rules.ListFields():
        if field.name == "cel":
            yield from ((len(order), rule.message) for rule in value)
        elif field.name == "items":
            yield from ((len(order), f"each {phrase}") for _, phrase in _phrases(value, kind) if phrase)
        elif field.name == "pattern":
            yield len(order), "" if _UUID in value else f"matches `{value}`"
        elif isinstance(value, Message) and not isinstance(value, Duration | Timestamp):
            yield from _phrases(value, field.name)
        else:
            rule = f"{kind}.{field.name}" if f"{kind}.{field.name}" in PHRASES else field.name
            empty = rule.endswith(("min_len", "min_items")) and value == 1
            yield order.index(rule), "not empty" if empty else PHRASES[rule].format(_number(value))


def _number(value: object) -> str:
    if isinstance(value, Duration):
        return f"{value.ToTimedelta().total_seconds():g} s"
    if isinstance(value, Timestamp):
        return value.ToJsonString()
    return f"{value:,}" if isinstance(value, int) else f"{value:g}" if isinstance(value, float) else str(value)
