"""Page tokens: the place of the last row of a page, bound to the request that it belongs to.

A token is not a secret and grants nothing: whatever place it names, only rows of the caller's library follow. The
digest is there so that a damaged token, or one of another request, is an error and not a strange page.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from whodex.errors import FieldViolation, InvalidArgumentError
from whodex.v1 import error_reason_pb2

DEFAULT_PAGE_SIZE = 50
_DIGEST_BYTES = 12

Row = TypeVar("Row")
Place = TypeVar("Place")


class PagedRequest(Protocol):
    """A request of a List or Search method."""

    page_size: int
    page_token: str


def page_size(request: PagedRequest) -> int:
    """Rows on a page: what the request says, or the default."""
    return request.page_size or DEFAULT_PAGE_SIZE


def read_token(request: PagedRequest) -> bytes | None:
    """Returns the place that the request's token holds; None for the first page.

    Raises:
        InvalidArgumentError: PAGE_TOKEN_INVALID when it is damaged or was made for another request.
    """
    if not request.page_token:
        return None
    try:
        raw = base64.b64decode(request.page_token + "=" * (-len(request.page_token) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise invalid_token("it is damaged") from error
    digest, place = raw[:_DIGEST_BYTES], raw[_DIGEST_BYTES:]
    if digest != _digest(request, place):
        raise invalid_token("it is damaged or belongs to another request")
    return place


def read_place(request: PagedRequest, unpack: Callable[[bytes], Place]) -> Place | None:
    """Returns what the request's token holds, unpacked; None for the first page.

    Raises:
        InvalidArgumentError: PAGE_TOKEN_INVALID when it is damaged or was made for another request.
    """
    place = read_token(request)
    try:
        return None if place is None else unpack(place)
    except (ValueError, struct.error) as error:
        raise invalid_token("it is damaged") from error


def uuid_place(place: bytes) -> UUID:
    """Unpacks a place that is the id of a row."""
    return UUID(bytes=place)


def make_token(request: PagedRequest, place: bytes) -> str:
    """Makes the token of the page that follows `place`."""
    return base64.urlsafe_b64encode(_digest(request, place) + place).decode().rstrip("=")


def cut(rows: Sequence[Row], request: PagedRequest, place: Callable[[Row], bytes]) -> tuple[Sequence[Row], str]:
    """Cuts what was fetched, one row more than a page, to the page and its `next_page_token`.

    Args:
        rows: up to `page_size(request) + 1` rows.
        request: the request.
        place: packs what the query continues after.
    """
    size = page_size(request)
    if len(rows) <= size:
        return rows, ""
    return rows[:size], make_token(request, place(rows[size - 1]))


def invalid_token(problem: str) -> InvalidArgumentError:
    """The error of a token that cannot be continued from."""
    return InvalidArgumentError(
        f"The page token is not valid: {problem}. Start again with the first page.",
        reason=error_reason_pb2.ERROR_REASON_PAGE_TOKEN_INVALID,
        violations=[FieldViolation("page_token", problem)],
    )


def _digest(request: PagedRequest, place: bytes) -> bytes:
    if not isinstance(request, Message):
        raise TypeError(f"a paged request is a message, not {type(request).__name__}")
    # Another page size in the middle of a list is fine.
    identity = type(request)()
    identity.CopyFrom(request)
    identity.ClearField("page_token")
    identity.ClearField("page_size")
    text = identity.DESCRIPTOR.full_name.encode() + b"\0" + identity.SerializeToString(deterministic=True)
    return hashlib.sha256(hashlib.sha256(text).digest() + place).digest()[:_DIGEST_BYTES]
