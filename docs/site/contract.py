"""The contract reference, from the descriptors: services, messages and enums with their comments and limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from limits import limits_of

from whodex.client.service_config import PUBLIC_SERVICES, READ_VERBS
from whodex.runtime.call_limits import CallLimits
from whodex.v1 import access_options_pb2
from whodex.v1.library_pb2 import ApiKey

IMAGE = Path(__file__).resolve().parents[2] / "build" / "whodex.binpb"
PACKAGE = ".whodex.v1."
REASONS = ("ErrorReason", "FailureReason")

# Field numbers of descriptor.proto, which a comment's path is made of.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED_MESSAGES, _NESTED_ENUMS, _METHODS, _VALUES = 2, 3, 4, 2, 2

_PUBLIC_FILES = {service.file.name for service in PUBLIC_SERVICES}


class Comments:
    """The comments of one file, by the path of what they stand above."""

    def __init__(self, file: FileDescriptorProto) -> None:
        found = file.source_code_info.location
        self._by_path = {tuple(one.path): one.leading_comments for one in found if one.leading_comments}

    def __getitem__(self, path: tuple[int, ...]) -> str:
        return " ".join(self._by_path.get(path, "").split())


class Message(NamedTuple):
    """A message and where it stands."""

    name: str  # as in the package, `Person` or `Person.Part`
    descriptor: DescriptorProto
    path: tuple[int, ...]
    comments: Comments


class Enumeration(NamedTuple):
    """An enum and where it stands."""

    name: str
    descriptor: EnumDescriptorProto
    path: tuple[int, ...]
    comments: Comments


def services() -> str:
    """The public services: each method with its request and its response."""
    return _joined(_service_file(file) for file in _files() if file.name in _PUBLIC_FILES)


def resources() -> str:
    """The messages and enums that the public services share, and the reasons of errors."""
    return _joined(_types(file) for file in _files() if not file.service and file.name not in _internal_files())


def internal() -> str:
    """What only the parts of a deployment say to each other."""
    return _joined(
        _service_file(file) if file.service else _types(file) for file in _files() if file.name in _internal_files()
    )


@cache
def _files() -> list[FileDescriptorProto]:
    image = FileDescriptorSet.FromString(IMAGE.read_bytes())
    return [file for file in sorted(image.file, key=lambda one: one.name) if file.package == PACKAGE.strip(".")]


@cache
def _internal_files() -> set[str]:
    """Every file that no public service needs."""
    by_name = {file.name: file for file in _files()}
    needed, waiting = set[str](), [name for name in by_name if name in _PUBLIC_FILES]
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in needed:
            needed.add(name)
            waiting += by_name[name].dependency
    return by_name.keys() - needed - {"whodex/v1/error_reason.proto"}


def _service_file(file: FileDescriptorProto) -> str:
    comments = Comments(file)
    parts: list[str] = []
    own = {message.name: message for message in _messages(file)}
    for number, service in enumerate(file.service):
        parts += [f"(whodex.v1.{service.name})=", f"## {service.name}", comments[(_SERVICES, number)]]
        for index, method in enumerate(service.method):
            comment = comments[(_SERVICES, number, _METHODS, index)]
            parts += [f"### {method.name}", comment, _facts(method)]
            for title, name in (("Request", method.input_type), ("Response", method.output_type)):
                message = own.pop(name.removeprefix(PACKAGE))
                parts += [_anchor(message.name), f"**{title}** `{message.name}`", _fields(message)]
    parts += [_message(message, "###") for message in own.values()]
    parts += [_enum(enum, "###") for enum in _enums(file)]
    return _joined(parts)


def _types(file: FileDescriptorProto) -> str:
    return _joined([*(_message(one, "##") for one in _messages(file)), *(_enum(one, "##") for one in _enums(file))])


def _facts(method: MethodDescriptorProto) -> str:
    shapes = {
        (False, False): "One request, one response.",
        (True, False): "A stream of requests, one response.",
        (False, True): "One request, a stream of responses.",
        (True, True): "A stream of requests, a stream of responses.",
    }
    shape = shapes[method.client_streaming, method.server_streaming]
    repeated = " Changes nothing: gRPC repeats it when the server is away." if _is_public_read(method) else ""
    return f"*{shape} One that brings no deadline gets {_deadline(method)}.{repeated} {_access(method)}*"


def _deadline(method: MethodDescriptorProto) -> str:
    limits = CallLimits()
    if method.client_streaming:
        return f"{limits.request_stream_seconds / 3600:g} h"
    if method.server_streaming:
        return f"{limits.response_stream_seconds / 3600:g} h"
    return f"{limits.unary_seconds:g} s"


def _access(method: MethodDescriptorProto) -> str:
    access = method.options.Extensions[access_options_pb2.access]
    if access.internal:
        return "Opened by the internal token."
    role = ApiKey.Role.Name(access.role).removeprefix("ROLE_")
    openers = [f"a key of the library with the role {role}"] if access.role else []
    return f"Opened by {' or '.join([*openers, *(['the admin key'] if access.admin_key else [])])}."


def _is_public_read(method: MethodDescriptorProto) -> bool:
    public = {one.name for service in PUBLIC_SERVICES for one in service.methods}
    return method.name in public and method.name.startswith(READ_VERBS)


def _messages(file: FileDescriptorProto) -> Iterator[Message]:
    comments = Comments(file)
    waiting = [Message(one.name, one, (_MESSAGES, i), comments) for i, one in enumerate(file.message_type)]
    while waiting:
        message = waiting.pop(0)
        yield message
        waiting[:0] = [
            Message(f"{message.name}.{one.name}", one, (*message.path, _NESTED_MESSAGES, i), comments)
            for i, one in enumerate(message.descriptor.nested_type)
        ]


def _enums(file: FileDescriptorProto) -> Iterator[Enumeration]:
    comments = Comments(file)
    for i, one in enumerate(file.enum_type):
        yield Enumeration(one.name, one, (_ENUMS, i), comments)
    for message in _messages(file):
        for i, one in enumerate(message.descriptor.enum_type):
            yield Enumeration(f"{message.name}.{one.name}", one, (*message.path, _NESTED_ENUMS, i), comments)


def _message(message: Message, level: str) -> str:
    heading = [_anchor(message.name), f"{level} {message.name}"]
    return _joined([*heading, message.comments[message.path], _fields(message)])


def _fields(message: Message) -> str:
    if not message.descriptor.field:
        return "No fields."
    rows = ["| Field | Type | |", "|---|---|---|"]
    for index, field in enumerate(message.descriptor.field):
        comment = message.comments[(*message.path, _FIELDS, index)]
        limits = "; ".join(limits_of(field))
        meaning = f"{comment} *{limits[0].upper()}{limits[1:]}.*" if limits else comment
        rows.append(f"| `{field.name}` | {_type(message, field)} | {_cell(meaning)} |")
    return "\n".join(rows)


def _type(message: Message, field: FieldDescriptorProto) -> str:
    scalar = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    name = _reference(field.type_name) if field.type_name else f"`{scalar}`"
    repeated = "repeated " if field.label == FieldDescriptorProto.LABEL_REPEATED else ""
    choice = message.descriptor.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    one_of = f", one of `{choice}`" if choice and not field.proto3_optional else ""
    return f"{repeated}{name}{one_of}"


def _reference(type_name: str) -> str:
    if type_name.startswith(PACKAGE):
        name = type_name.removeprefix(PACKAGE)
        return f"[{name}](#{_label(name)})"
    return f"`{type_name.lstrip('.')}`"


def _enum(enum: Enumeration, level: str) -> str:
    parts = [_anchor(enum.name), f"{level} {enum.name}", enum.comments[enum.path]]
    rows = ["| Value | Number | |", "|---|---|---|"]
    for index, value in enumerate(enum.descriptor.value):
        comment = enum.comments[(*enum.path, _VALUES, index)]
        rows.append(f"| {_value(enum.name, value.name, value.number)} | {value.number} | {_cell(comment)} |")
    return _joined([*parts, "\n".join(rows)])


def _value(enum: str, value: str, number: int) -> str:
    if enum not in REASONS or number == 0:
        return f"`{value}`"
    section = re.sub(r"^(?:ERROR|FAILURE)_REASON_", "", value).lower()
    return f"[`{value}`](../troubleshooting.md#{section})"


def _anchor(name: str) -> str:
    return f"({_label(name)})="


def _label(name: str) -> str:
    return f"whodex.v1.{name}"


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(part for part in parts if part)
