"""The control set with the real models: every valid picture becomes READY, with the face of whom it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inference.faces.analyzer import FaceAnalyzer
from inference.models.manifest import load_embedder
from inference.triton.client import DETECTOR, Priority, TritonClient
from inference.triton.face_models import TritonFaceModels
from tests.pictures.control_set import control_set, measure
from whodex.demo.samples import pull_samples

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

LEAST_READY = 0.99


def test_every_valid_picture_becomes_ready_and_shows_its_person(stack: Stack) -> None:
    pull_samples()
    cases = control_set()
    assert len({case.name for case in cases}) == len(cases) >= 150
    triton = TritonClient(stack.part_address("triton"))
    outcome = measure(FaceAnalyzer(TritonFaceModels(triton, Priority.PHOTO), DETECTOR.input.sizes), cases)
    triton.close()
    assert outcome.ready_share >= LEAST_READY, outcome.refused
    threshold = load_embedder().calibration.threshold_for(1e-3).similarity
    assert len(outcome.mistaken(threshold)) <= (1 - LEAST_READY) * len(cases), outcome.mistaken(threshold)
