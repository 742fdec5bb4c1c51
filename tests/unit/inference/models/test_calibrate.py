import numpy as np
import pytest

from inference.models.calibrate import similarities, thresholds


def test_every_pair_is_compared_once():
    embeddings = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    same, other = similarities(embeddings, ["a", "a", "b", "c"])
    assert same.tolist() == [1.0]
    assert other.tolist() == [0.0] * 5


def test_a_measured_threshold_keeps_its_false_match_rate():
    generator = np.random.default_rng(0)
    other = generator.normal(0.0, 0.1, 20_000).astype(np.float32)
    same = generator.normal(0.7, 0.1, 1_000).astype(np.float32)
    measured = [threshold for threshold in thresholds(same, other) if not threshold.extrapolated]
    assert [threshold.fmr for threshold in measured] == [1e-2, 1e-3]
    for threshold in measured:
        matched = float((other >= threshold.similarity).mean())
        assert matched <= threshold.fmr
        assert matched == pytest.approx(threshold.fmr, rel=0.2)
        assert threshold.true_match_rate == float((same >= threshold.similarity).mean())


def test_what_the_set_is_too_small_for_is_extrapolated_on_the_safe_side():
    """The exponential tail of a sample lies above the normal one that the sample came from."""
    other = np.random.default_rng(1).normal(0.0, 0.1, 4_500).astype(np.float32)
    by_rate = {threshold.fmr: threshold for threshold in thresholds(other + 0.7, other)}
    true_similarity = {1e-4: 0.3719, 1e-5: 0.4265}
    for fmr, similarity in true_similarity.items():
        assert by_rate[fmr].extrapolated
        assert similarity < by_rate[fmr].similarity < similarity + 0.15
