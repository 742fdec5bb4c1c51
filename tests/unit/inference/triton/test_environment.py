import json
from importlib import resources
from pathlib import Path

import pytest

from inference.triton.environment import environment_directory, prepare_environment, prepared_environment
from inference.triton.errors import TritonEnvironmentError


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHODEX_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_the_lock_names_every_package_with_hashes_and_no_registry():
    lock = (resources.files("inference.triton") / "environment.lock").read_text()
    names = [line.partition("==")[0] for line in lock.splitlines() if "==" in line]
    assert names == ["numpy", "nvidia-pytriton", "onnxruntime", "openvino"]
    assert lock.count("--hash=sha256:") >= len(names)
    assert "://" not in lock


def test_the_lock_pins_what_its_source_names():
    folder = resources.files("inference.triton")
    wanted = {line for line in (folder / "environment.in").read_text().splitlines() if "==" in line}
    locked = {line.split(" ")[0] for line in (folder / "environment.lock").read_text().splitlines() if "==" in line}
    assert locked == wanted


def test_before_it_is_made_it_says_what_to_do():
    with pytest.raises(TritonEnvironmentError, match="not prepared: run `whodex models pull`"):
        prepared_environment()


def test_half_made_is_not_made(cache_directory: Path):
    (environment_directory() / "bin").mkdir(parents=True)
    with pytest.raises(TritonEnvironmentError, match="not prepared"):
        prepared_environment()
    assert cache_directory in environment_directory().parents


@pytest.fixture
def whole() -> Path:
    directory = environment_directory()
    (directory / "bin").mkdir(parents=True)
    (directory / "bin" / "python").touch()
    record = {"python": "3.12", "library_directory": "/usr/lib"}
    (directory / "whodex.json").write_text(json.dumps(record))
    return directory


def test_a_whole_one_is_used_as_it_is(whole: Path):
    assert not prepare_environment()
    found = prepared_environment()
    assert found.server == whole / "lib/python3.12/site-packages/pytriton/tritonserver/bin/tritonserver"
    assert found.library_directory == Path("/usr/lib")


def test_one_whose_python_has_been_removed_is_not_used(whole: Path):
    (whole / "bin" / "python").unlink()
    (whole / "bin" / "python").symlink_to("/usr/bin/python3.11-that-was-here")
    with pytest.raises(TritonEnvironmentError, match="not prepared"):
        prepared_environment()
