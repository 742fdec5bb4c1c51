"""A place in the feed, and the opaque token that stands for it outside."""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import dataclass
from uuid import UUID

from whodex.errors import InvalidArgumentError
from whodex.v1 import error_reason_pb2

# The epoch, the sequence, and a CRC-32 of both: a token that was cut or mistyped must not become a later position,
# which a search would wait for in vain.
_TOKEN = struct.Struct(">16sQI")
_BODY_BYTES = 24


@dataclass(frozen=True)
class FeedPosition:
    """Everything up to and including a sequence of one history.

    Attributes:
        epoch: the history; a restored database starts another.
        sequence: 0 before the first change.
    """

    epoch: UUID
    sequence: int


def make_consistency_token(position: FeedPosition) -> str:
    """Returns the token, 38 URL-safe characters."""
    body = struct.pack(">16sQ", position.epoch.bytes, position.sequence)
    token = body + struct.pack(">I", binascii.crc32(body))
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def parse_consistency_token(token: str, *, epoch: UUID) -> FeedPosition:
    """Returns the position that a token stands for.

    Args:
        token: as a client sent it.
        epoch: the database's own, from `read_position`.

    Raises:
        InvalidArgumentError: CONSISTENCY_TOKEN_INVALID when it is damaged or of another history.
    """
    position = _decode(token)
    if position is None:
        raise _invalid("it is damaged")
    if position.epoch != epoch:
        raise _invalid("it is from another database, or from before this one was restored")
    return position


def _decode(token: str) -> FeedPosition | None:
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        epoch, sequence, checksum = _TOKEN.unpack(raw)
    except (ValueError, struct.error):
        return None
    if binascii.crc32(raw[:_BODY_BYTES]) != checksum:
        return None
    return FeedPosition(UUID(bytes=epoch), sequence)


def _invalid(problem: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"The consistency token is not valid: {problem}. Use one from a recent response, or none.",
        reason=error_reason_pb2.ERROR_REASON_CONSISTENCY_TOKEN_INVALID,
    )
