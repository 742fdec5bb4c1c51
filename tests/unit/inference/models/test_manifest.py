import re
from importlib import resources

import pytest

from inference.models.errors import CalibrationError, ManifestError
from inference.models.manifest import (
    EmbedderManifest,
    load_detector,
    load_embedder,
    load_manifest,
    load_manifests,
    parse_manifest,
)


def manifest_text(name: str) -> str:
    return (resources.files("inference.models") / "manifests" / name / "manifest.toml").read_text()


def embedder(text: str) -> EmbedderManifest:
    manifest = parse_manifest("arcface", text)
    assert isinstance(manifest, EmbedderManifest)
    return manifest


def test_both_default_models_have_a_manifest():
    assert [manifest.name for manifest in load_manifests()] == ["arcface", "face_detector"]
    assert load_detector().kind == "detector"
    assert load_embedder().kind == "embedder"


def test_every_model_states_a_licence_and_where_it_comes_from():
    for manifest in load_manifests():
        assert manifest.licence.spdx
        assert manifest.provenance
        assert manifest.source.version


def test_the_space_of_released_embeddings_does_not_change():
    """A stored embedding carries it; another id would make every one of them useless."""
    assert load_embedder().space == "arcface-18f04a23a5b7"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('channel_order = "BGR"', 'channel_order = "RGB"'),
        ("scale = 128.0", "scale = 127.5"),
        ("mean = [127.5, 127.5, 127.5]", "mean = [0.0, 0.0, 0.0]"),
        ("87aacdfe", "97aacdfe"),
    ],
)
def test_another_preprocessing_or_other_weights_are_another_space(old: str, new: str):
    text = manifest_text("arcface")
    assert old in text
    assert embedder(text.replace(old, new)).space != embedder(text).space


def test_how_a_model_is_served_does_not_change_its_space():
    text = manifest_text("arcface")
    served_otherwise = text.replace("max_batch_size = 32", "max_batch_size = 8")
    assert embedder(served_otherwise).space == embedder(text).space


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("arcface", 'kind = "embedder"', 'kind = "detector"'),
        ("arcface", "[embedding]", "[embeddings]"),
        ("arcface", "sha256 = ", "sha256 = 1 #"),
        ("arcface", 'name = "arcface"', 'name = "arcface"\nunknown = 1'),
        ("arcface", "chunk_sizes = [4, 2, 1]", "chunk_sizes = [4, 2]"),
        ("arcface", "chunk_sizes = [4, 2, 1]", "chunk_sizes = [1, 2]"),
        ("face_detector", 'channel_order = "BGR"', 'channel_order = "GRB"'),
        ("face_detector", "[anchors]", "anchors"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(name: str, old: str, new: str):
    text = manifest_text(name)
    assert old in text
    with pytest.raises(ManifestError, match=f"manifest of {name} is not valid"):
        parse_manifest(name, text.replace(old, new, 1))


def test_an_unknown_model_is_answered_with_the_known_ones():
    with pytest.raises(ManifestError, match="there are: arcface, face_detector"):
        load_manifest("facenet")


def test_a_threshold_is_found_by_its_false_match_rate():
    threshold = load_embedder().threshold_for(1e-3)
    assert threshold.similarity == pytest.approx(0.292)
    assert not threshold.extrapolated
    assert load_embedder().threshold_for(1e-5).extrapolated


def test_a_rate_that_was_not_calibrated_is_refused_not_interpolated():
    with pytest.raises(CalibrationError, match=re.escape("there are: 0.01, 0.001, 0.0001, 1e-05")):
        load_embedder().threshold_for(5e-3)


def test_a_lower_false_match_rate_takes_a_higher_similarity():
    thresholds = load_embedder().calibration.thresholds
    similarities = [threshold.similarity for threshold in thresholds]
    rates = [threshold.fmr for threshold in thresholds]
    assert rates == sorted(rates, reverse=True)
    assert similarities == sorted(similarities)
