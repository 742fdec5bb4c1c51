"""Times between the database and the contracts."""

from __future__ import annotations

from datetime import datetime

from google.protobuf import duration_pb2, timestamp_pb2

_MICROSECONDS = 1_000_000


def to_timestamp(moment: datetime) -> timestamp_pb2.Timestamp:
    """Converts a moment that knows its time zone."""
    timestamp = timestamp_pb2.Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp


def to_duration(microseconds: int) -> duration_pb2.Duration:
    """Converts an offset inside a video."""
    seconds, rest = divmod(microseconds, _MICROSECONDS)
    return duration_pb2.Duration(seconds=seconds, nanos=rest * 1000)
