"""Uploads and waiting as a user sees them: progress bars on standard error, where there is a terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypedDict, TypeVar

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

from whodex.cli.formats import size
from whodex.cli.output import printable, progress_console
from whodex.cli.unfinished import remembered
from whodex.client.sources import Progress as ProgressCallback
from whodex.client.uploads import OnResume
from whodex.errors import UnavailableError
from whodex.v1.upload_pb2 import Upload

UploadedT = TypeVar("UploadedT")

# A server that restarts is back within seconds.
RETRY_PAUSES_SECONDS = (1.0, 3.0)


class UploadOptions(TypedDict):
    """What the client's uploads are called with."""

    request_id: str
    progress: ProgressCallback
    on_resume: OnResume


def upload_file(target: str, file: Path, upload: Callable[[UploadOptions], UploadedT]) -> UploadedT:
    """Uploads a file with a bar; the same command goes on with an upload that was cut off.

    Args:
        target: what the file is uploaded to, and how: with another one it is another upload.
        file: what is uploaded.
        upload: calls the client with the options; again when the server was away for a moment.
    """
    with remembered(target, file) as request_id, _upload_bar(file.name) as progress:
        options = UploadOptions(
            request_id=request_id, progress=progress, on_resume=lambda found: _show_resumption(file.name, found)
        )
        for pause in RETRY_PAUSES_SECONDS:
            try:
                return upload(options)
            except UnavailableError:
                time.sleep(pause)
        return upload(options)


def _show_resumption(label: str, upload: Upload) -> None:
    reached, whole = size(upload.committed_bytes), size(upload.size_bytes)
    progress_console.print(printable(f"{label}: resuming at {reached} of {whole}"))


@contextmanager
def _upload_bar(label: str) -> Iterator[ProgressCallback]:
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
