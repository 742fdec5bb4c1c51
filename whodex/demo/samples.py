"""The sample pictures: out of published packages, pinned by digest, kept in the cache and never in the project.

Official photographs of two politicians come from the tests of `face-recognition`, a group of six people at a
card table and a portrait of an actor from `insightface`. Neither package is installed or imported. pip runs the
set-up script of the first one to learn its metadata, after it has checked the digest; nothing else of it runs.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uv

from whodex.demo.errors import SamplesError
from whodex.runtime.cache import cache_directory

PIP = "pip==26.3"
TIMEOUT_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Package:
    """A published package with pictures in it.

    Attributes:
        requirement: name and version.
        kind: pip's option for the kind of file, and the name that it is for.
        file_name: of the file that is downloaded.
        sha256: of that file.
        folder: where the pictures lie in it.
        pictures: SHA-256 of each, by file name.
    """

    requirement: str
    kind: tuple[str, str]
    file_name: str
    sha256: str
    folder: str
    pictures: Mapping[str, str]


PACKAGES = (
    Package(
        requirement="face-recognition==1.3.0",
        kind=("--no-binary", "face-recognition"),  # the wheel carries no tests
        file_name="face_recognition-1.3.0.tar.gz",
        sha256="5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        folder="face_recognition-1.3.0/tests/test_images",
        pictures={
            "biden.jpg": "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
            "obama.jpg": "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
            "obama2.jpg": "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6",
            "obama3.jpg": "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3",
        },
    ),
    Package(
        requirement="insightface==2.1",
        kind=("--only-binary", "insightface"),
        file_name="insightface-2.1-py3-none-any.whl",
        sha256="dcd58ee79d99d689572477315f3149353afd65a36dc575f597cbb217a7bde399",
        folder="insightface/data/images",
        pictures={
            "Tom_Hanks_54745.png": "8545da294e8c7c79911169c3915fed8528f1960cd0ed99b92453788ca4275083",
            "t1.jpg": "47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489",
        },
    ),
)
PICTURES: Mapping[str, str] = {name: sha256 for package in PACKAGES for name, sha256 in package.pictures.items()}
"""SHA-256 of every sample picture, by file name."""


def samples_directory() -> Path:
    """Where the pictures lie, in the cache."""
    return cache_directory() / "samples"


def sample(name: str) -> Path:
    """The path of a sample picture.

    Args:
        name: its file name, one of `PICTURES`.

    Raises:
        SamplesError: it is not there, or not what was put there.
    """
    path = samples_directory() / name
    if not _is_pinned(path):
        raise SamplesError(f"The sample picture {name} is not in the cache: run `whodex demo --pull`.")
    return path


def pull_samples() -> None:
    """Fetch what is not in the cache yet.

    Raises:
        SamplesError: a package does not arrive, or it or a picture is not the pinned one.
    """
    directory = samples_directory()
    directory.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        if not all(_is_pinned(directory / name) for name in package.pictures):
            _pull(package, directory)


def _pull(package: Package, directory: Path) -> None:
    with TemporaryDirectory(prefix=".pull-", dir=directory) as temporary:
        archive = _download(package, Path(temporary))
        for name, sha256 in package.pictures.items():
            content = _member(archive, f"{package.folder}/{name}")
            if hashlib.sha256(content).hexdigest() != sha256:
                raise SamplesError(f"{name} in {package.file_name} is not the picture that is pinned.")
            arrived = Path(temporary, name)
            arrived.write_bytes(content)
            arrived.replace(directory / name)


def _download(package: Package, directory: Path) -> Path:
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{package.requirement} --hash=sha256:{package.sha256}\n")
    pip = [uv.find_uv_bin(), "tool", "run", "--quiet", "--python", sys.executable, "--from", PIP, "pip"]
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", *package.kind]
    command = [*pip, "download", *options, "--dest", str(directory), "--requirement", str(requirements)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SamplesError(f"{package.requirement} did not arrive within {TIMEOUT_SECONDS} s: try again.") from error
    except subprocess.CalledProcessError as error:
        reason = " ".join(error.stderr.split()) or f"exit code {error.returncode}"
        raise SamplesError(f"{package.requirement} could not be fetched: {reason}") from error
    return directory / package.file_name


def _member(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as sdist:
        file = sdist.extractfile(name)
        if file is None:
            raise SamplesError(f"{name} in {archive.name} is no file.")
        return file.read()


def _is_pinned(path: Path) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == PICTURES[path.name]
