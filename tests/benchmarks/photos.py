"""Photos to READY: throughput and CPU at a steady state, and the latency of a single one."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from PIL import Image, ImageOps

from tests.benchmarks.bound import Measured, measure_photos
from tests.benchmarks.face_recognition import speed
from tests.benchmarks.pictures import to_jpeg
from tests.benchmarks.report import Row
from tests.benchmarks.stack import client_of, cpu_seconds
from whodex.demo.samples import sample
from whodex.stack.state import StateDirectory
from whodex.v1.person_pb2 import ReferencePhoto

ROWS = (
    "photo_overhead_cpu_ms",
    "photo_ratio_250",
    "photo_ratio_12mp",
    "photo_latency_p50_s",
    *speed.ROWS,
)
PORTRAITS = ("obama.jpg", "obama2.jpg", "biden.jpg")
SMALL = (250, 250)
LARGE = (4000, 3000)
UPLOADERS = 4
# Enough that a worker always finds a full claim, few enough that the queue's length does not matter.
MOST_WAITING = 48
WARM_UP_SECONDS = 5.0
LATENCY_SAMPLES = 20


@dataclass(frozen=True)
class Steady:
    """What the system did in the measured time: photos READY per second, and CPU per photo by part."""

    per_second: float
    cpu_ms: float
    cpu_ms_by_part: dict[str, float]


def portraits(size: tuple[int, int]) -> list[bytes]:
    """The sample portraits as JPEG of one size in pixels; each side cropped, never stretched."""
    return [_jpeg(name, size) for name in PORTRAITS]


def measure(state: StateDirectory, seconds: float) -> list[Row]:
    """Measures all rows about photos; `seconds` is the steady state of each."""
    small, large = portraits(SMALL), portraits(LARGE)
    bound_small, bound_large = measure_photos(small, seconds), measure_photos(large, seconds)
    latencies = _idle_latencies(state, small[0])
    steady_small = _steady_state(state, small, seconds)
    steady_large = _steady_state(state, large, seconds)
    return [
        _overhead_row(steady_small, bound_small),
        _ratio_row("photo_ratio_250", steady_small, bound_small, None),
        _ratio_row("photo_ratio_12mp", steady_large, bound_large, 0.8),
        Row(
            "photo_latency_p50_s",
            statistics.median(latencies),
            "s",
            target="at most 0.5",
            ok=statistics.median(latencies) <= 0.5,
            note=f"one idle 250x250 upload to READY; {LATENCY_SAMPLES} of them, slowest {max(latencies):.2f} s",
        ),
        *speed.measure(small, seconds, ours_per_second=steady_small.per_second),
    ]


def _overhead_row(steady: Steady, bound: Measured) -> Row:
    overhead = steady.cpu_ms - bound.cpu_ms
    parts = sorted(steady.cpu_ms_by_part.items(), key=lambda item: -item[1])
    return Row(
        "photo_overhead_cpu_ms",
        overhead,
        "ms",
        reference=bound.cpu_ms,
        ratio=bound.cpu_ms / steady.cpu_ms,
        target="at most 15",
        ok=overhead <= 15,
        note="CPU of all parts per photo less the bound's; " + ", ".join(f"{name} {ms:.1f}" for name, ms in parts),
    )


def _ratio_row(name: str, steady: Steady, bound: Measured, target: float | None) -> Row:
    ratio = steady.per_second / bound.per_second
    return Row(
        name,
        steady.per_second,
        "photos/s",
        reference=bound.per_second,
        ratio=ratio,
        target="" if target is None else f"ratio at least {target}",
        ok=None if target is None else ratio >= target,
        note=f"CPU {steady.cpu_ms:.1f} ms a photo, the bound {bound.cpu_ms:.1f} ms; uploader not counted",
    )


def _idle_latencies(state: StateDirectory, photo: bytes) -> list[float]:
    with client_of(state) as client:
        person = client.people.create("bench latency")
        latencies = []
        for _ in range(LATENCY_SAMPLES):
            started = time.monotonic()
            uploaded = client.people.upload_photo(person.name, photo, file_name="bench.jpg")
            _expect_ready(client.people.wait_for_photo(uploaded.name))
            latencies.append(time.monotonic() - started)
        client.people.delete(person.name)
    return latencies


def _steady_state(state: StateDirectory, photos: Sequence[bytes], seconds: float) -> Steady:
    load = _Load(state, photos)
    with load:
        time.sleep(WARM_UP_SECONDS)
        ready_before, cpu_before, started = load.ready_count(), cpu_seconds(state), time.monotonic()
        time.sleep(seconds)
        ready = load.ready_count() - ready_before
        if ready == 0:
            raise RuntimeError(f"no photo became READY within {seconds:.0f} s")
        cpu_after, elapsed = cpu_seconds(state), time.monotonic() - started
    by_part = {name: 1000 * (cpu - cpu_before.get(name, 0.0)) / ready for name, cpu in cpu_after.items()}
    return Steady(ready / elapsed, sum(by_part.values()), by_part)


class _Load:
    """Uploads as fast as the system takes photos, but never has more than `MOST_WAITING` of them waiting."""

    def __init__(self, state: StateDirectory, photos: Sequence[bytes]) -> None:
        self._state = state
        self._photos = photos
        self._stop = threading.Event()
        self._uploaded = 0
        self._ready = 0
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._people: list[str] = []

    def ready_count(self) -> int:
        """Photos that are READY so far."""
        return self._ready

    def __enter__(self) -> None:
        with client_of(self._state) as client:
            self._people = [client.people.create(f"bench {number}").name for number in range(UPLOADERS)]
        self._threads = [threading.Thread(target=self._count)]
        self._threads += [threading.Thread(target=self._upload, args=(person,)) for person in self._people]
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        with client_of(self._state) as client:
            for person in self._people:
                client.people.delete(person)

    def _upload(self, person: str) -> None:
        photos = cycle(self._photos)
        with client_of(self._state) as client:
            while not self._stop.is_set():
                if self._uploaded - self._ready >= MOST_WAITING:
                    self._stop.wait(0.02)
                    continue
                # The portraits are those of several people.
                client.people.upload_photo(person, next(photos), file_name="bench.jpg", confirm_same_person=True)
                with self._lock:
                    self._uploaded += 1

    def _count(self) -> None:
        with client_of(self._state) as client:
            while not self._stop.wait(0.2):
                self._ready = sum(client.people.get(person).ready_photo_count for person in self._people)


def _expect_ready(photo: ReferencePhoto) -> None:
    if photo.state != ReferencePhoto.STATE_READY:
        raise RuntimeError(f"{photo.name} is not READY: {photo.failure.message}")


def _jpeg(name: str, size: tuple[int, int]) -> bytes:
    with Image.open(sample(name)) as picture:
        fitted = ImageOps.fit(picture.convert("RGB"), size, centering=(0.5, 0.2))
    return to_jpeg(fitted)
