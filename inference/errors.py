"""What can be wrong with media. All of it is permanent: the same bytes fail the same way again."""

from __future__ import annotations

from typing import ClassVar

from whodex.v1.failure_pb2 import FailureReason


class MediaError(Exception):
    """A picture or a video cannot be used; its subclasses say why.

    Args:
        message: one sentence for a person: what is wrong and what to do.
    """

    reason: ClassVar[FailureReason.ValueType]

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
