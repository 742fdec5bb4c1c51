"""The limits of a library as people write and read them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from whodex.cli.errors import CommandError
from whodex.v1.library_pb2 import Library, LibraryLimits

LIMIT_COLUMNS = ("", "Limit", "In use")
DEFAULT = "default"
_UNITS = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]iB)?", re.IGNORECASE)
_FRACTIONAL = "requests_per_second"


def limit_rows(library: Library) -> Iterator[tuple[str, str, str]]:
    """A row for each limit, and what the library holds of it."""
    limits, usage = library.limits, library.usage
    yield "bytes stored", format_bytes(limits.stored_bytes), format_bytes(usage.stored_bytes + usage.reserved_bytes)
    yield "people", str(limits.people), str(usage.people)
    yield "requests per second", f"{limits.requests_per_second:g}", ""
    yield "requests in a burst", str(limits.request_burst), ""
    yield "calls at once", str(limits.concurrent_calls), ""
    yield "streams at once", str(limits.concurrent_streams), ""


def parse_limits(texts: Mapping[str, str]) -> LibraryLimits:
    """Returns the limits that are written, by field; `default` leaves one unset.

    Raises:
        CommandError: one is no number, or no number of bytes.
    """
    limits = LibraryLimits()
    for name, text in texts.items():
        if text.lower() != DEFAULT:
            setattr(limits, name, _parse(name, text))
    return limits


def format_bytes(size: int) -> str:
    """The largest unit of which there is at least one: 1.5 GiB, 900 B."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size >= _UNITS[unit.upper()]:
            return f"{size / _UNITS[unit.upper()]:.4g} {unit}"
    return f"{size} B"


def _parse(name: str, text: str) -> float:
    try:
        if name == "stored_bytes":
            return _parse_bytes(text)
        return float(text) if name == _FRACTIONAL else int(text)
    except ValueError as error:
        wanted = "a number of bytes such as 500GiB" if name == "stored_bytes" else "a number"
        raise CommandError(f'"{text}" is not {wanted}, and not "{DEFAULT}".') from error


def _parse_bytes(text: str) -> int:
    found = _BYTES.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return int(float(found[1]) * _UNITS[(found[2] or "").upper()])
