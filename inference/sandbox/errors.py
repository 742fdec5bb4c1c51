"""What ends a decoding besides the media's own faults, and what keeps decodings from starting."""

from __future__ import annotations

from inference.errors import MediaError
from whodex.v1 import failure_pb2


class DecodingLimitError(MediaError):
    """Decoding was stopped: it took more memory or time than a decoder may."""

    reason = failure_pb2.FAILURE_REASON_DECODING_LIMIT_EXCEEDED


class DecoderCrashedError(MediaError):
    """The media made its decoder crash, or raise what no decoder should."""

    reason = failure_pb2.FAILURE_REASON_DECODER_CRASHED


class SandboxError(Exception):
    """The sandbox does not work; the media is not to blame. The message is one line for operators."""
