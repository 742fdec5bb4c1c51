"""Valid requests of any method, made up from its descriptor and the limits in its contract."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from whodex.buf.validate import validate_pb2
from whodex.demo.samples import sample
from whodex.errors import InvalidArgumentError
from whodex.runtime.validation import validate
from whodex.stack import smoke_media

# The collections along a resource name; `("libraries", "people")` for example.
Kind = tuple[str, ...]
Names = Mapping[Kind, str]

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAMED = re.compile(rf"[a-zA-Z]+/{re.escape(_UUID)}")
# Messages that stand for a resource and carry its name without a pattern.
_RESOURCES: Mapping[str, Kind] = {
    "whodex.v1.Library": ("libraries",),
    "whodex.v1.Person": ("libraries", "people"),
}
_INTEGERS = {FieldDescriptor.TYPE_INT32: "int32", FieldDescriptor.TYPE_INT64: "int64"}


class UnknownFieldError(RuntimeError):
    """A request cannot be made up; the message says what to teach this module."""


def kind_of(name: str) -> Kind:
    """The collections along a name."""
    return tuple(name.split("/")[::2])


@dataclass(frozen=True)
class Shape:
    """One of the forms that a call of a method can take.

    Attributes:
        choice: the member of the oneof that its request must set; None: it has none, or is a stream that sets each.
    """

    method: MethodDescriptor
    choice: FieldDescriptor | None = None

    def __str__(self) -> str:
        return self.method.full_name + (f" of a {self.choice.name}" if self.choice else "")

    def make_requests(self, names: Names) -> list[Message]:
        """Returns a valid request; of a method that takes a stream, a message for each thing that it may carry.

        Args:
            names: what each field that names a resource is filled with.

        Raises:
            UnknownFieldError: no valid one can be made up.
        """
        input_class = GetMessageClass(self.method.input_type)
        requests = [_filled(input_class(), fields, names) for fields in self._fields()]
        try:
            for request in requests:
                validate(request)
        except InvalidArgumentError as error:
            name = self.method.input_type.name
            raise UnknownFieldError(f"tests/tenants/requests.py makes no valid {name}: {error}") from error
        return requests

    def named_kinds(self) -> list[Kind]:
        """The kinds of names that the requests hold, in the order of their fields."""
        return [kind for fields in self._fields() for kind in _named(fields)]

    def _fields(self) -> list[list[FieldDescriptor]]:
        """The fields of each message."""
        if self.method.client_streaming:
            return [[member] for member in _required_oneof(self.method)]
        return [[*_plain_fields(self.method.input_type), *([self.choice] if self.choice else [])]]


def shapes_of(method: MethodDescriptor) -> list[Shape]:
    """All forms of a method."""
    choices = [] if method.client_streaming else _required_oneof(method)
    return [Shape(method, choice) for choice in choices] or [Shape(method)]


def _required_oneof(method: MethodDescriptor) -> list[FieldDescriptor]:
    return [
        member
        for oneof in method.input_type.oneofs
        if oneof.GetOptions().Extensions[validate_pb2.oneof].required
        for member in oneof.fields
    ]


def _plain_fields(message: Descriptor) -> list[FieldDescriptor]:
    return [field for field in message.fields if field.containing_oneof is None]


def _named(fields: Iterable[FieldDescriptor]) -> Iterator[Kind]:
    for field in fields:
        if field.message_type is None:
            if kind := _kind_of_pattern(_string_rules(field).pattern):
                yield kind
        elif field.message_type.full_name in _RESOURCES:
            yield _RESOURCES[field.message_type.full_name]
        elif field.message_type.full_name.startswith("whodex.v1."):
            yield from _named(_plain_fields(field.message_type))


def _filled(message: Message, fields: Iterable[FieldDescriptor], names: Names) -> Message:
    for field in fields:
        _fill(message, field, names)
    return message


def _fill(message: Message, field: FieldDescriptor, names: Names) -> None:
    rules = _rules(field)
    if field.message_type is not None:
        _fill_message(message, field, names)
    elif field.type == FieldDescriptor.TYPE_BYTES:
        _fill_bytes(message, field)
    elif field.type == FieldDescriptor.TYPE_STRING:
        _fill_string(message, field, names)
    elif field.type == FieldDescriptor.TYPE_ENUM and 0 in rules.enum.not_in:
        setattr(message, field.name, field.enum_type.values[1].number)
    elif field.name == "size_bytes":
        setattr(message, field.name, len(_picture()))
    elif field.type in _INTEGERS:
        numbers = getattr(rules, _INTEGERS[field.type])
        setattr(message, field.name, max(numbers.gte, numbers.gt + numbers.HasField("gt")))


def _fill_message(message: Message, field: FieldDescriptor, names: Names) -> None:
    kind, target = field.message_type, getattr(message, field.name)
    if kind.full_name == "google.protobuf.FieldMask":
        target.paths.append(_first_changeable(message.DESCRIPTOR))
    elif kind.full_name in _RESOURCES:
        target.name = _name(_RESOURCES[kind.full_name], field, names)
        target.display_name = "changed"
    elif _is_resource(kind):
        raise UnknownFieldError(
            f"{field.full_name} is a resource: add {kind.full_name} to _RESOURCES in tests/tenants/requests.py"
        )
    elif kind.full_name.startswith("whodex.v1.") and (_rules(field).required or field.containing_oneof is not None):
        target.SetInParent()
        _filled(target, _plain_fields(kind), names)


def _is_resource(message: Descriptor) -> bool:
    """Whether it carries a name of which no pattern tells the kind."""
    name = message.fields_by_name.get("name") if message.full_name.startswith("whodex.v1.") else None
    return name is not None and not _rules(name).string.pattern


def _first_changeable(request: Descriptor) -> str:
    """What an update mask may name: a field of the message that the request carries."""
    carried = [field.message_type for field in request.fields if field.message_type is not None]
    updated = next(kind for kind in carried if kind.full_name.startswith("whodex.v1."))
    return next(field.name for field in updated.fields if field.name != "name" and field.message_type is None)


def _fill_bytes(message: Message, field: FieldDescriptor) -> None:
    rules = _rules(field).bytes
    picture = "image" in field.name or field.name == "chunk"
    setattr(message, field.name, _picture()[: rules.max_len] if picture else bytes(rules.len or rules.min_len))


def _fill_string(message: Message, field: FieldDescriptor, names: Names) -> None:
    rules, text = _rules(field), _string_rules(field)
    if kind := _kind_of_pattern(text.pattern):
        value = _name(kind, field, names)
    elif text.uuid and rules.ignore != validate_pb2.IGNORE_IF_ZERO_VALUE:
        value = str(uuid4())
    else:
        value = "x" * text.min_len
    if field.is_repeated:
        getattr(message, field.name).extend([value] * max(rules.repeated.min_items, bool(kind)))
    else:
        setattr(message, field.name, value)


def _name(kind: Kind, field: FieldDescriptor, names: Names) -> str:
    if kind not in names:
        raise UnknownFieldError(
            f"{field.full_name} names {'/*/'.join(kind)}/*, and there is none: plant one in tests/tenants/planting.py"
        )
    return names[kind]


def _kind_of_pattern(pattern: str) -> Kind:
    return tuple(segment.partition("/")[0] for segment in _NAMED.findall(pattern))


def _string_rules(field: FieldDescriptor) -> validate_pb2.StringRules:
    return _rules(field).repeated.items.string if field.is_repeated else _rules(field).string


def _rules(field: FieldDescriptor) -> validate_pb2.FieldRules:
    return field.GetOptions().Extensions[validate_pb2.field]


def _picture() -> bytes:
    return sample(smoke_media.PHOTO).read_bytes()
