"""Uploads and waiting as a user sees them: progress bars on standard error, where there is a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar
from uuid import uuid4

from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

from whodex.cli.output import printable, progress_console
from whodex.client.uploads import Progress as ProgressCallback
from whodex.errors import UnavailableError

UploadedT = TypeVar("UploadedT")

# A server that restarts is back within seconds.
RETRY_PAUSES_SECONDS = (1.0, 3.0)


def retried(upload: Callable[[str], UploadedT]) -> UploadedT:
    """Uploads again when the server was away for a moment; one request_id keeps it one upload for the server."""
    request_id = str(uuid4())
    for pause in RETRY_PAUSES_SECONDS:
        try:
            return upload(request_id)
        except UnavailableError:
            time.sleep(pause)
    return upload(request_id)


@contextmanager
def upload_progress(label: str) -> Iterator[ProgressCallback]:
    """A bar for one upload; yields what the client calls with the bytes sent and the bytes in all."""
    with _progress(BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn()) as progress:
        task = progress.add_task(printable(label), total=None)
        yield lambda sent, total: progress.update(task, completed=sent, total=total)


@contextmanager
def wait_progress(label: str) -> Iterator[ProgressCallback]:
    """A bar for the time of processing; yields what is called with the part done and the whole."""
    with _progress(SpinnerColumn(), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()) as progress:
        task = progress.add_task(printable(label), total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _progress(*columns: ProgressColumn) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        *columns,
        console=progress_console,
        transient=True,
        disable=not progress_console.is_terminal,
    )
