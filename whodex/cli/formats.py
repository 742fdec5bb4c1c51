"""How values are written in tables."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from whodex.v1.embedding_pb2 import FalseMatchRate, Threshold
from whodex.v1.failure_pb2 import Failure, FailureReason
from whodex.v1.geometry_pb2 import Box
from whodex.v1.person_pb2 import Person, PhotoWarning, ReferencePhoto
from whodex.v1.video_pb2 import Video

RATES = {
    FalseMatchRate.FALSE_MATCH_RATE_ONE_IN_100: "1e-2",
    FalseMatchRate.FALSE_MATCH_RATE_ONE_IN_1000: "1e-3",
    FalseMatchRate.FALSE_MATCH_RATE_ONE_IN_10000: "1e-4",
    FalseMatchRate.FALSE_MATCH_RATE_ONE_IN_100000: "1e-5",
}


def resource_id(name: str) -> str:
    """The last part of a resource name; commands accept it in place of the whole."""
    return name.rpartition("/")[2]


def state_of(resource: Person | ReferencePhoto | Video) -> str:
    """READY, for example."""
    states = resource.DESCRIPTOR.enum_types_by_name["State"]
    name: str = states.values_by_number[resource.state].name
    return name.removeprefix("STATE_")


def failure_reason(failure: Failure) -> str:
    """NO_FACE, for example."""
    return FailureReason.Name(failure.reason).removeprefix("FAILURE_REASON_")


def warning_kind(warning: PhotoWarning) -> str:
    """NEAR_DUPLICATE, for example."""
    return PhotoWarning.Kind.Name(warning.kind).removeprefix("KIND_")


def moment(timestamp: Timestamp) -> str:
    """A time in the user's time zone, to the minute."""
    return timestamp.ToDatetime().astimezone().strftime("%Y-%m-%d %H:%M")


def to_timestamp(moment: datetime | None) -> Timestamp | None:
    """The reverse of `moment`, of a time in the user's time zone."""
    if moment is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(moment.astimezone())
    return timestamp


def offset(duration: Duration) -> str:
    """A time inside a video, to a tenth of a second: 1:02.5 or 1:01:02.5."""
    tenths = round(duration.ToTimedelta().total_seconds() * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


_SPAN = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_span(text: str) -> timedelta:
    """The time of 30m, 12h or 90d; BadParameter when it is no such thing."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is no span of time: write a number and m, h or d, such as 90d")
    return timedelta(**{_UNITS[found["unit"]]: int(found["count"])})


def corners(box: Box) -> str:
    """left,top,right,bottom in whole pixels."""
    return f"{box.left:.0f},{box.top:.0f},{box.right:.0f},{box.bottom:.0f}"


def parse_box(text: str) -> Box:
    """The box of left,top,right,bottom; ValueError when it is not four numbers."""
    left, top, right, bottom = map(float, text.split(","))
    return Box(left=left, top=top, right=right, bottom=bottom)


def size(count: int) -> str:
    """A number of bytes in binary units."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:  # noqa: PLR2004 - the base of the units
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def threshold_line(threshold: Threshold) -> str:
    """What a similarity was compared with."""
    rate = RATES.get(threshold.false_match_rate, "default")
    extrapolated = ", extrapolated" if threshold.extrapolated else ""
    return f"A match is a similarity of at least {threshold.similarity:.3f} (false match rate {rate}{extrapolated})."
