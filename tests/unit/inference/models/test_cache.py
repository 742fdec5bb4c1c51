from pathlib import Path

import pytest

from inference.models import cache
from inference.models.errors import ModelNotPreparedError
from inference.models.manifest import load_detector, load_embedder
from inference.models.preparation import is_prepared


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHODEX_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_a_stored_model_is_found_and_is_the_only_file_left():
    path = cache.store(load_embedder(), b"graph")
    assert cache.verified_path(load_embedder()) == path
    assert path.read_bytes() == b"graph"
    assert sorted(path.parent.iterdir()) == [path.with_suffix(".json"), path]


def test_a_model_that_was_never_prepared_says_what_to_do():
    cache.store(load_embedder(), b"graph")
    with pytest.raises(ModelNotPreparedError, match="face_detector is not prepared: run `whodex models pull`"):
        cache.verified_path(load_detector())
    assert not is_prepared(load_detector())


def test_a_model_that_was_changed_in_the_cache_is_not_used():
    path = cache.store(load_embedder(), b"graph")
    path.write_bytes(b"grape")
    with pytest.raises(ModelNotPreparedError, match="has changed since it was made"):
        cache.verified_path(load_embedder())
    assert not is_prepared(load_embedder())


def test_another_preprocessing_is_another_file():
    manifest = load_embedder()
    scaled = manifest.model_copy(update={"input": manifest.input.model_copy(update={"scale": 127.5})})
    assert cache.prepared_path(scaled) != cache.prepared_path(manifest)
    assert cache.prepared_path(manifest.model_copy(update={"title": "x"})) == cache.prepared_path(manifest)
