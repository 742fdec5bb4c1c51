import hashlib
from pathlib import Path

import pytest

from whodex.demo import samples
from whodex.demo.errors import SamplesError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHODEX_CACHE_DIR", str(tmp_path))
    return tmp_path / "samples"


def test_the_pictures_lie_in_the_cache(cache: Path) -> None:
    assert samples.samples_directory() == cache


def test_a_picture_that_was_not_fetched_says_what_to_do() -> None:
    with pytest.raises(SamplesError, match="whodex demo --pull"):
        samples.sample("obama.jpg")


def test_a_picture_that_has_changed_is_not_used(cache: Path) -> None:
    cache.mkdir()
    (cache / "obama.jpg").write_bytes(b"somebody else")
    with pytest.raises(SamplesError, match="whodex demo --pull"):
        samples.sample("obama.jpg")


def test_what_is_in_the_cache_is_not_fetched_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir()
    for name in samples.PICTURES:
        (cache / name).write_bytes(name.encode())
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in samples.PICTURES}
    monkeypatch.setattr(samples, "PICTURES", digests)
    samples.pull_samples()  # sockets are disabled here, and no process is started
    assert samples.sample("t1.jpg").read_bytes() == b"t1.jpg"


def test_every_package_and_picture_is_pinned() -> None:
    digests = [package.sha256 for package in samples.PACKAGES] + list(samples.PICTURES.values())
    assert all(len(bytes.fromhex(digest)) == hashlib.sha256().digest_size for digest in digests)
    assert len(set(digests)) == len(digests)
