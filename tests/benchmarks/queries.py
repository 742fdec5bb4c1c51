"""Identify and search, as a user feels them: ten people and the demo's video."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from tests.benchmarks.photos import PORTRAITS, SMALL, portraits
from tests.benchmarks.pictures import to_jpeg
from tests.benchmarks.report import Row
from tests.benchmarks.stack import client_of
from whodex import Client
from whodex.demo.samples import sample
from whodex.stack.state import StateDirectory

ROWS = ("identify_p50_ms", "identify_p99_ms", "search_p50_ms", "search_p99_ms")
PEOPLE = 10
CALLS = 200


def measure(state: StateDirectory) -> list[Row]:
    """Measures both; the demo's video must be READY in the library already."""
    with client_of(state) as client:
        names = _enrol(client)
        query = portraits(SMALL)[0]
        identify = _latencies_ms(lambda: client.search.identify(query))
        search = _latencies_ms(lambda: list(client.search.scenes(all_of=[names[0]])))
        scene_count = len(list(client.search.scenes(all_of=[names[0]])))
    return [
        *_rows("identify", identify, f"{PEOPLE} people, a 250x250 JPEG with one face, decode to answer"),
        *_rows("search", search, f"{PEOPLE} people, the demo's video, {scene_count} scenes found"),
    ]


def _enrol(client: Client) -> list[str]:
    names = []
    for number in range(PEOPLE):
        person = client.people.create(f"bench person {number}")
        photo = client.people.upload_photo(person.name, _variant(number), file_name="bench.jpg")
        client.people.wait_for_photo(photo.name)
        names.append(person.name)
    return names


def _variant(number: int) -> bytes:
    """One of the portraits, turned by some degrees: ten different embeddings of usual quality."""
    with Image.open(sample(PORTRAITS[number % len(PORTRAITS)])) as picture:
        turned = picture.convert("RGB").rotate(2.0 * number, fillcolor=(127, 127, 127))
    return to_jpeg(turned)


def _latencies_ms(call: Callable[[], object]) -> list[float]:
    for _ in range(10):
        call()
    latencies = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        latencies.append(1000 * (time.perf_counter() - started))
    return latencies


def _rows(name: str, latencies_ms: Sequence[float], note: str) -> list[Row]:
    return [
        Row(f"{name}_p{percent}_ms", float(np.percentile(latencies_ms, percent)), "ms", note=f"{CALLS} calls; {note}")
        for percent in (50, 99)
    ]
