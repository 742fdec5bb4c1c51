import hashlib

import numpy as np
import pytest

from inference.models import golden
from inference.models.errors import GoldenMismatchError
from inference.models.manifest import load_detector, load_embedder, load_manifests


@pytest.mark.parametrize(
    ("name", "digest"),
    [("arcface", "cba7b9a59529d498"), ("face_detector", "9886b3a2866cc1d5")],
)
def test_the_picture_is_the_same_bytes_everywhere(name: str, digest: str):
    (manifest,) = [manifest for manifest in load_manifests() if manifest.name == name]
    picture = golden.golden_input(manifest)
    assert hashlib.sha256(picture.tobytes()).hexdigest()[:16] == digest


def test_the_picture_has_the_shape_that_the_model_takes():
    assert golden.golden_input(load_embedder()).shape == (1, 112, 112, 3)
    assert golden.golden_input(load_detector()).shape == (1, 256, 256, 3)


def test_the_picture_looks_different_with_its_channels_swapped():
    picture = golden.golden_input(load_embedder()).astype(int)
    assert np.abs(picture - picture[..., ::-1]).mean() > 30


def test_the_golden_outputs_pass_their_own_check():
    embedder, detector = load_embedder(), load_detector()
    golden.check(embedder, golden.golden_output(embedder)[None])
    golden.check(detector, golden.golden_output(detector)[None, None])


def test_precision_of_bfloat16_passes():
    embedder = load_embedder()
    expected = golden.golden_output(embedder)
    rounded = (expected.view(np.uint32) & 0xFFFF0000).view(np.float32)
    golden.check(embedder, rounded[None])


@pytest.mark.parametrize("answer", [0.0, np.nan, -1.0])
def test_another_embedding_is_refused(answer: float):
    embedder = load_embedder()
    with pytest.raises(GoldenMismatchError, match="arcface: cosine"), np.errstate(invalid="ignore"):
        golden.check(embedder, golden.golden_output(embedder)[None] * np.float32(answer))


def test_an_embedding_a_little_off_is_refused():
    embedder = load_embedder()
    expected = golden.golden_output(embedder)
    noise = np.random.default_rng(0).normal(0, 0.1 * expected.std(), expected.shape).astype(np.float32)
    with pytest.raises(GoldenMismatchError):
        golden.check(embedder, (expected + noise)[None])


def test_the_golden_detection_may_be_among_its_neighbours():
    detector = load_detector()
    expected = golden.golden_output(detector)
    neighbour = expected + 20
    golden.check(detector, np.stack([neighbour, expected])[None])


@pytest.mark.parametrize(("column", "change"), [(4, 0.06), (0, 2.0), (14, 2.0)])
def test_another_score_or_place_is_refused(column: int, change: float):
    detector = load_detector()
    answer = golden.golden_output(detector).copy()
    answer[column] += change
    with pytest.raises(GoldenMismatchError, match="face_detector: no detection"):
        golden.check(detector, answer[None, None])


def test_no_detection_at_all_is_refused():
    with pytest.raises(GoldenMismatchError, match="nearest inf px"):
        golden.check(load_detector(), np.empty((1, 0, 15), np.float32))
