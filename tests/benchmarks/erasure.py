"""How long a deletion takes to its end, and what is left of it afterwards in any file of the stack."""

from __future__ import annotations

import os
import time
from uuid import UUID

import numpy as np
import psycopg

from tests.benchmarks.photos import PORTRAITS
from tests.benchmarks.report import Row
from tests.benchmarks.stack import client_of
from tests.markers import Markers, with_comment
from whodex import Client
from whodex.demo.samples import sample
from whodex.stack.postgres import DATABASE, SUPERUSER
from whodex.stack.state import StateDirectory
from whodex.v1.person_pb2 import ReferencePhoto

ROWS = ("erasure_bytes_left", "erasure_seconds")
PEOPLE = 10
WITHIN_SECONDS = 60.0


def measure(state: StateDirectory) -> list[Row]:
    """Deletes people one after the other, each with a photo whose bytes, names and embedding are known."""
    seconds, left = [], 0
    with client_of(state) as client:
        for number in range(PEOPLE):
            markers = Markers()
            person = _plant(state, client, markers, PORTRAITS[number % len(PORTRAITS)])
            if not markers.left(state).keys() >= {"name", "file name", "bytes", "embedding"}:
                raise RuntimeError("the search does not find what was planted: it would find nothing left either")
            started = time.monotonic()
            client.erasures.wait(client.people.delete(person).erasure)
            seconds.append(time.monotonic() - started)
            left += sum(len(markers.found[what]) * len(files) for what, files in markers.left(state).items())
    slowest = max(seconds)
    note = f"{PEOPLE} people with a photo each; median {np.median(seconds):.1f} s"
    return [
        Row("erasure_bytes_left", left, "bytes", target="0", ok=left == 0, note="in every file of the state directory"),
        Row("erasure_seconds", slowest, "s", target="at most 60", ok=slowest <= WITHIN_SECONDS, note=note),
    ]


def _plant(state: StateDirectory, client: Client, markers: Markers, portrait: str) -> str:
    person = client.people.create(markers.text("name"), description=markers.text("description")).name
    data = with_comment(sample(portrait).read_bytes(), markers.bytes("bytes", os.urandom(48)))
    photo = client.people.upload_photo(person, data, file_name=markers.text("file name")).name
    if client.people.wait_for_photo(photo).state != ReferencePhoto.STATE_READY:
        raise RuntimeError(f"{photo} is not READY")
    markers.vector("embedding", _embedding(state, UUID(photo.rpartition("/")[2])))
    return person


def _embedding(state: StateDirectory, photo_id: UUID) -> bytes:
    record = state.record()
    if record is None:
        raise RuntimeError("the stack is not running")
    with psycopg.connect(
        host="127.0.0.1",
        port=record.ports["postgres"],
        dbname=DATABASE,
        user=SUPERUSER,
        password=state.secrets().postgres_password,
    ) as connection:
        row = connection.execute("SELECT embedding FROM reference_photos WHERE id = %s", (photo_id,)).fetchone()
    if row is None:
        raise RuntimeError(f"there is no photo {photo_id}")
    return bytes(row[0])
