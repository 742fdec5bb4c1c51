"""Resource names: `libraries/{library}/people/{person}` and the like. They follow from ids and are never stored."""

from __future__ import annotations

from uuid import UUID

from whodex.errors import FieldViolation, InvalidArgumentError, NotFoundError
from whodex.v1 import error_reason_pb2

# The collections along the name of each kind of resource.
LIBRARY = ("libraries",)
API_KEY = (*LIBRARY, "apiKeys")
PERSON = (*LIBRARY, "people")
PHOTO = (*PERSON, "photos")
VIDEO = (*LIBRARY, "videos")
SCENE = (*VIDEO, "scenes")
APPEARANCE = (*VIDEO, "appearances")
CONTENT = (*LIBRARY, "contents")
ERASURE = (*LIBRARY, "erasures")
UPLOAD = (*LIBRARY, "uploads")


def name(collections: tuple[str, ...], *ids: UUID) -> str:
    """Builds the name of a resource from the ids along it."""
    return "/".join(f"{collection}/{id_}" for collection, id_ in zip(collections, ids, strict=True))


def parse(resource_name: str, collections: tuple[str, ...]) -> tuple[UUID, ...]:
    """Returns the ids along a name.

    Raises:
        InvalidArgumentError: INVALID_FIELD when it is not a name of this kind.
    """
    segments = resource_name.split("/")
    if tuple(segments[::2]) != collections or len(segments) != 2 * len(collections):
        raise _malformed(resource_name, collections)
    try:
        return tuple(UUID(segment) for segment in segments[1::2])
    except ValueError as error:
        raise _malformed(resource_name, collections) from error


def not_found(resource_name: str) -> NotFoundError:
    """What both an unknown name and one of another library answer."""
    return NotFoundError(
        f"There is no {resource_name}. It may have been deleted, or belong to another library.",
        reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND,
    )


def _malformed(resource_name: str, collections: tuple[str, ...]) -> InvalidArgumentError:
    pattern = "/".join(f"{collection}/{{id}}" for collection in collections)
    problem = f"{resource_name!r} is not a name of the form {pattern}"
    return InvalidArgumentError(
        f"{problem}.",
        reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
        violations=[FieldViolation("name", problem)],
    )
