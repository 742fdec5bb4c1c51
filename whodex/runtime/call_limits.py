"""How many calls a server runs at once, of whomever and of each caller, and how long those without a deadline run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from whodex.errors import QuotaViolation, ResourceExhaustedError
from whodex.v1 import error_reason_pb2

# By then a share of them has ended: most unary calls take milliseconds.
BUSY_RETRY_SECONDS = 1.0


class CallerLimits:
    """How much each caller may ask for at a time. This one lets everything in.

    Both methods are given what `authenticate` returned, and whether requests or responses are a stream; both raise
    ResourceExhaustedError.
    """

    def check(self, who: Any, *, streaming: bool) -> None:
        """Refuses a call that would be refused, without counting it."""

    def admitted(self, who: Any, *, streaming: bool) -> AbstractContextManager[None]:  # noqa: ARG002
        """Counts a call for the time of the block."""
        return nullcontext()


@dataclass
class CallLimits:
    """The limits of one server.

    Attributes:
        of_caller: the limits of each caller.
        max_calls: how many run at once. By default five times what a library may have in calls and streams together.
        unary_seconds: the deadline of a unary call that brings none.
        response_stream_seconds: that of a watch, which its client opens again, or a download; 50 GiB within it take a
            line of 120 Mbit/s, or byte ranges.
        request_stream_seconds: that of an upload: 50 GiB, the largest, at 5 Mbit/s.
        idle_seconds: between two requests of a stream: 1 MiB, the largest chunk, at 140 kbit/s.
    """

    of_caller: CallerLimits = field(default_factory=CallerLimits)
    max_calls: int = 1024
    unary_seconds: float = 60.0
    response_stream_seconds: float = 3600.0
    request_stream_seconds: float = 86_400.0
    idle_seconds: float = 60.0
    _calls: int = field(default=0, init=False)

    @contextmanager
    def of_server(self) -> Iterator[None]:
        """Counts a call for the time of the block.

        Raises:
            ResourceExhaustedError: SERVER_BUSY, there are as many as there may be.
        """
        if self._calls >= self.max_calls:
            raise ResourceExhaustedError(
                "The server runs as many calls as it may. Call again in a moment.",
                reason=error_reason_pb2.ERROR_REASON_SERVER_BUSY,
                retry_after_seconds=BUSY_RETRY_SECONDS,
                quota=QuotaViolation("the server", "calls at once", self.max_calls),
            )
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
