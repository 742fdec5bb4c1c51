"""How much each library may ask of one instance at a time: requests in a second, calls and streams at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from api_server.access.caller import Caller
from api_server.limits.limits import Limits
from api_server.names import LIBRARY, name
from whodex.errors import QuotaViolation, ResourceExhaustedError
from whodex.runtime.call_limits import CallerLimits
from whodex.runtime.token_bucket import TokenBucket
from whodex.v1 import error_reason_pb2

# By then a share of them has ended: most calls take milliseconds, and a stream can only be waited for.
CALL_RETRY_SECONDS = 0.5
STREAM_RETRY_SECONDS = 5.0


@dataclass
class _Library:
    """What a library does on this instance.

    Attributes:
        limits: those that the bucket was made for.
        running: unary calls and streams, in this order.
    """

    limits: Limits
    requests: TokenBucket
    running: list[int] = field(default_factory=lambda: [0, 0])


class LimitedCallers(CallerLimits):
    """The limits of libraries. The admin is not limited.

    What it remembers of a library is 500 bytes, and only libraries with a valid key come this far.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._libraries: dict[UUID, _Library] = {}

    def check(self, who: Caller, *, streaming: bool) -> None:
        """Raises ResourceExhaustedError: TOO_MANY_REQUESTS, TOO_MANY_CALLS or TOO_MANY_STREAMS."""
        if who.library_id is not None and (library := self._libraries.get(who.library_id)):
            _require_place(library, who.library_id, streaming=streaming)
            _require_token(library, who.library_id, library.requests.wait_seconds(self._clock()))

    @contextmanager
    def admitted(self, who: Caller, *, streaming: bool) -> Iterator[None]:
        """Counts a call; errors as of `check`."""
        if who.library_id is None or who.limits is None:
            yield
            return
        library = self._find(who.library_id, who.limits)
        _require_place(library, who.library_id, streaming=streaming)
        _require_token(library, who.library_id, library.requests.take(self._clock()))
        library.running[streaming] += 1
        try:
            yield
        finally:
            library.running[streaming] -= 1

    def _find(self, library_id: UUID, limits: Limits) -> _Library:
        library = self._libraries.get(library_id)
        if library is None or library.limits != limits:
            bucket = TokenBucket(limits.requests_per_second, limits.request_burst, self._clock())
            running = library.running if library else [0, 0]
            library = self._libraries[library_id] = _Library(limits, bucket, running)
        return library


def _require_place(library: _Library, library_id: UUID, *, streaming: bool) -> None:
    limits = library.limits
    if not streaming and library.running[streaming] >= limits.concurrent_calls:
        raise ResourceExhaustedError(
            f"The library may have {limits.concurrent_calls} calls at once and has. Send fewer side by side.",
            reason=error_reason_pb2.ERROR_REASON_TOO_MANY_CALLS,
            retry_after_seconds=CALL_RETRY_SECONDS,
            quota=QuotaViolation(name(LIBRARY, library_id), "calls at once", limits.concurrent_calls),
        )
    if streaming and library.running[streaming] >= limits.concurrent_streams:
        raise ResourceExhaustedError(
            f"The library may have {limits.concurrent_streams} uploads, downloads and watches at once and has. End one "
            "first.",
            reason=error_reason_pb2.ERROR_REASON_TOO_MANY_STREAMS,
            retry_after_seconds=STREAM_RETRY_SECONDS,
            quota=QuotaViolation(name(LIBRARY, library_id), "streams at once", limits.concurrent_streams),
        )


def _require_token(library: _Library, library_id: UUID, wait_seconds: float) -> None:
    if wait_seconds > 0:
        rate = library.limits.requests_per_second
        raise ResourceExhaustedError(
            f"The library may make {rate:g} requests per second. Send them more slowly.",
            reason=error_reason_pb2.ERROR_REASON_TOO_MANY_REQUESTS,
            retry_after_seconds=wait_seconds,
            quota=QuotaViolation(name(LIBRARY, library_id), "requests per second", rate),
        )
