"""The start of a client-streamed upload."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from api_server.uploads.body import UploadMessage, upload_incomplete

MessageT = TypeVar("MessageT", bound=UploadMessage)


async def first_message(requests: AsyncIterator[MessageT]) -> MessageT:
    """Reads the first message, which must hold the metadata.

    Raises:
        InvalidArgumentError: UPLOAD_INCOMPLETE.
    """
    message = await anext(requests, None)
    if message is None or not message.HasField("metadata"):
        raise upload_incomplete("its first message must hold the metadata")
    return message
