"""A video to READY, against the same frames in one process."""

from __future__ import annotations

import time
from pathlib import Path

from tests.benchmarks.bound import measure_video
from tests.benchmarks.report import Row
from tests.benchmarks.stack import client_of
from whodex.stack.state import StateDirectory
from whodex.v1.video_pb2 import Video

ROWS = ("video_ratio",)


def measure(state: StateDirectory, path: Path) -> list[Row]:
    """Uploads one file and waits; the bound is measured right before, on the same machine."""
    bound = measure_video(path)
    with client_of(state) as client:
        started = time.monotonic()
        video = client.videos.wait_for_video(client.videos.upload(path).name)
        elapsed = time.monotonic() - started
    if video.state != Video.STATE_READY:
        raise RuntimeError(f"{video.name} is not READY: {video.failure.message}")
    duration_s = video.duration.ToTimedelta().total_seconds()
    per_second = duration_s / elapsed
    ratio = per_second / bound.per_second
    return [
        Row(
            "video_ratio",
            per_second,
            "s of video/s",
            reference=bound.per_second,
            ratio=ratio,
            target="ratio at least 0.6",
            ok=ratio >= 0.6,
            note=f"{duration_s:.0f} s of 640x360, upload to READY, {video.appearance_count} appearances",
        )
    ]
