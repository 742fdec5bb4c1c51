"""How many photographs a second the library takes, beside the whole running system."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks.face_recognition import environment
from tests.benchmarks.report import Row

ROWS = ("photos_vs_face_recognition", "photos_vs_face_recognition_all_cores")
TARGET = 5.0


def measure(photos: Sequence[bytes], seconds: float, *, ours_per_second: float) -> list[Row]:
    """Compares uploads to READY with calls of the library in a loop, and with a process of them for each core."""
    cores = len(os.sched_getaffinity(0))
    with TemporaryDirectory(prefix="whodex-bench-") as directory:
        files = [Path(directory) / f"{number}.jpg" for number in range(len(photos))]
        for file, photo in zip(files, photos, strict=True):
            file.write_bytes(photo)
        loop, all_cores = (environment.throughput(files, seconds, processes) for processes in (1, cores))
    ratio = ours_per_second / loop
    return [
        Row(
            "photos_vs_face_recognition",
            ours_per_second,
            "photos/s",
            reference=loop,
            ratio=ratio,
            target=f"ratio at least {TARGET:g}",
            ok=ratio >= TARGET,
            note="uploads to READY at 250x250 against a loop over the library's calls, which use one core",
        ),
        Row(
            "photos_vs_face_recognition_all_cores",
            ours_per_second,
            "photos/s",
            reference=all_cores,
            ratio=ours_per_second / all_cores,
            note=f"the same against {cores} processes of the library, which store, queue and serve nothing",
        ),
    ]
