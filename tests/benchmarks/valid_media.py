"""The control set through the whole system: each of its pictures is a reference photo of a person of its own."""

from __future__ import annotations

from collections.abc import Sequence

from inference.models.manifest import load_embedder
from tests.benchmarks.bound import in_process_analyzer
from tests.benchmarks.report import Row
from tests.benchmarks.stack import client_of
from tests.pictures.control_set import Case, Outcome, control_set
from tests.pictures.control_set import measure as measure_in_process
from whodex import Client
from whodex.stack.state import StateDirectory
from whodex.v1.geometry_pb2 import Box
from whodex.v1.person_pb2 import ReferencePhoto

ROWS = ("valid_media_ready", "valid_media_identity")
TARGET = 0.99
FALSE_MATCH_RATE = 1e-3


def measure(state: StateDirectory) -> list[Row]:
    """Uploads the set and waits for all of it; then looks in this process whether each face is its person's."""
    cases = control_set()
    with client_of(state) as client:
        refused = _refused(client, cases)
    return [_ready_row(cases, refused), _identity_row(measure_in_process(in_process_analyzer(), cases))]


def _refused(client: Client, cases: Sequence[Case]) -> list[str]:
    people = [client.people.create(case.name).name for case in cases]
    uploaded = [
        client.people.upload_photo(person, case.render(), face_box=_box(case), file_name="control set")
        for person, case in zip(people, cases, strict=True)
    ]
    settled = [client.people.wait_for_photo(photo.name) for photo in uploaded]
    for person in people:
        client.people.delete(person)
    return [
        f"{case.name}: {photo.failure.message}"
        for case, photo in zip(cases, settled, strict=True)
        if photo.state != ReferencePhoto.STATE_READY
    ]


def _box(case: Case) -> Box | None:
    if case.box_xyxy is None:
        return None
    left, top, right, bottom = case.box_xyxy.tolist()
    return Box(left=left, top=top, right=right, bottom=bottom)


def _ready_row(cases: Sequence[Case], refused: Sequence[str]) -> Row:
    share = 1 - len(refused) / len(cases)
    return Row(
        "valid_media_ready",
        share,
        "share",
        target=f"at least {TARGET}",
        ok=share >= TARGET,
        note="; ".join([f"{len(cases) - len(refused)} of {len(cases)} pictures became READY", *refused]),
    )


def _identity_row(outcome: Outcome) -> Row:
    threshold = load_embedder().calibration.threshold_for(FALSE_MATCH_RATE).similarity
    independent = [value for case, value in outcome.similarities.items() if case.is_independent]
    mistaken = outcome.mistaken(threshold)
    alike = len(outcome.similarities) - len(mistaken)
    summary = (
        f"faces like their reference at FMR 1e-3; of {len(independent)} it is another photograph, to which they have"
        f" similarities from {min(independent):.2f}"
    )
    return Row(
        "valid_media_identity",
        alike / len(outcome.similarities),
        "share",
        target=f"at least {TARGET}",
        ok=alike / len(outcome.similarities) >= TARGET,
        note="; ".join([summary, *mistaken]),
    )
