"""Uploads of large files: throughput beside a plain copy over the same kind of stream, and the server's memory."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.plain_copy import plain_copy
from tests.benchmarks.report import Row
from tests.benchmarks.stack import client_of
from whodex.client import Client
from whodex.stack.state import StateDirectory

ROWS = ("upload_throughput_ratio", "upload_rss_mb")
ROUNDS = 3
GB = 10**9
SMALL_BYTES, LARGE_BYTES = 1 * GB, 5 * GB
# Peaks differ by some MB from one upload to the next, whatever their size.
FLAT = 1.1


def measure(state: StateDirectory) -> list[Row]:
    """Measures both rows. The files hold nothing but zeros, so that reading them costs no disk."""
    folder = state.root.parent
    small, large = _film(folder / "small.mp4", SMALL_BYTES), _film(folder / "large.mp4", LARGE_BYTES)
    with client_of(state) as client, plain_copy(folder / "copy.mp4") as copy:
        _upload(client, small)
        rounds = [(_seconds(lambda: copy(small)), _upload(client, small)) for _ in range(ROUNDS)]
        peak_small = _peak_mb(state, lambda: _upload(client, small))
        peak_large = _peak_mb(state, lambda: _upload(client, large))
    return [_ratio_row(rounds), _memory_row(peak_small, peak_large)]


def _ratio_row(rounds: list[tuple[float, float]]) -> Row:
    ratio = statistics.median(plain / ours for plain, ours in rounds)
    plain_s, ours_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    return Row(
        "upload_throughput_ratio",
        SMALL_BYTES / 1e6 / ours_s,
        "MB/s",
        reference=SMALL_BYTES / 1e6 / plain_s,
        ratio=ratio,
        note=f"1 GB, durable, medians of {ROUNDS}; the bound writes to a file and hashes nothing, here both ends hash",
    )


def _memory_row(peak_small: float, peak_large: float) -> Row:
    return Row(
        "upload_rss_mb",
        peak_large,
        "MB",
        reference=peak_small,
        ratio=peak_small / peak_large,
        target=f"flat: at most {FLAT} times that of 1 GB",
        ok=peak_large <= FLAT * peak_small,
        note="the api_server's highest resident memory during an upload of 5 GB; the reference: of 1 GB",
    )


def _film(path: Path, size_bytes: int) -> Path:
    with path.open("wb") as file:
        file.write(b"\0\0\0\x18ftypmp42")
        file.truncate(size_bytes)
    return path


def _upload(client: Client, path: Path) -> float:
    """Uploads a file; returns how long it took. A worker's time with what is no video is not counted."""
    os.sync()
    started = time.monotonic()
    video = client.videos.upload(path)
    elapsed = time.monotonic() - started
    client.videos.wait_for_video(video.name)
    client.videos.delete(video.name)
    return elapsed


def _seconds(run: Callable[[], object]) -> float:
    os.sync()
    started = time.monotonic()
    run()
    return time.monotonic() - started


def _peak_mb(state: StateDirectory, run: Callable[[], object]) -> float:
    process = Path("/proc") / str(_api_server(state))
    # Forgets the highest resident size so far: proc(5).
    (process / "clear_refs").write_text("5")
    run()
    lines = (process / "status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1e3


def _api_server(state: StateDirectory) -> int:
    record = state.record()
    pids = [part.pid for part in record.parts if part.name == "api_server" and part.pid] if record else []
    if not pids:
        raise RuntimeError("the api_server is not running")
    return pids[0]
