"""Uploads that were cut off, remembered so that the same command goes on with them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from whodex.errors import WhodexError

# The server forgets an upload sooner; then the same request_id starts a new one.
_KEPT_SECONDS = 7 * 24 * 3600.0


@contextmanager
def remembered(target: str, file: Path) -> Iterator[str]:
    """Yields the request_id of an upload: the same one again until the upload is done or refused.

    It is kept in a file, below `XDG_STATE_HOME`, whose name is a digest of what makes two uploads the same. Where no
    file can be kept, each upload is a new one.

    Args:
        target: what the file is uploaded to, and how.
        file: what is uploaded; one that has another size or time of change is another file.
    """
    _forget_old()
    record = _directory() / _digest(target, file)
    request_id = _read_or_make(record)
    try:
        yield request_id
    except WhodexError as error:
        if not error.transient:
            _forget(record)
        raise
    _forget(record)


def _read_or_make(record: Path) -> str:
    with suppress(OSError):
        return record.read_text(encoding="ascii")
    request_id = str(uuid4())
    with suppress(OSError):
        record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record.write_text(request_id, encoding="ascii")
    return request_id


def _forget(record: Path) -> None:
    with suppress(OSError):
        record.unlink()


def _forget_old() -> None:
    for record in _directory().glob("*"):
        with suppress(OSError):
            if time.time() - record.stat().st_mtime > _KEPT_SECONDS:
                record.unlink()


def _digest(target: str, file: Path) -> str:
    found = file.stat()
    parts = (target, str(file.resolve()), str(found.st_size), str(found.st_mtime_ns))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _directory() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "whodex" / "uploads"
