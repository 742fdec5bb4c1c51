"""What becomes of a hostile file in the sandbox."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile

from inference.errors import MediaError
from inference.sandbox.decoder import Decoder, Limits
from inference.sandbox.messages import Exited
from tests.hostile.files import READY, Bait, HostileFile
from whodex.v1.failure_pb2 import FailureReason


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        reason: READY or the reason of the failure.
        message: of the failure.
        seconds: until then.
        peak_bytes: the decoder's memory at its most.
        duration_s: of a video that is READY.
    """

    reason: str
    message: str
    seconds: float
    peak_bytes: int
    duration_s: float | None


class Trials:
    """A sandbox that files are tried in, one after the other."""

    def __init__(self, decoder: Decoder, ends: list[Exited]) -> None:
        self._decoder = decoder
        self._ends = ends

    def run(self, file: HostileFile, bait: Bait) -> Outcome:
        """Decodes a file to its end. Raises whatever is not a failure of the file."""
        data = file.make(bait)
        reason, message, duration_s = READY, "", None
        started = time.monotonic()
        try:
            if file.is_video:
                duration_s = self._video(data)
            else:
                self._decoder.decode_photo(data)
        except MediaError as error:
            reason = FailureReason.Name(error.reason).removeprefix("FAILURE_REASON_")
            message = error.message
        return Outcome(reason, message, time.monotonic() - started, self._ends[-1].max_rss_bytes, duration_s)

    def _video(self, data: bytes) -> float:
        with TemporaryFile() as file:
            file.write(data)
            file.flush()
            with self._decoder.open_video(file.fileno()) as video:
                for _ in video.samples():
                    pass
        return video.duration_s


@contextmanager
def trials(limits: Limits) -> Iterator[Trials]:
    """A real sandbox."""
    ends: list[Exited] = []
    with closing(Decoder(limits, ends.append)) as decoder:
        yield Trials(decoder, ends)
