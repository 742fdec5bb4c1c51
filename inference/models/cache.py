"""Where prepared models lie, and whether what lies there is what was prepared."""

import hashlib
import json
import os
from importlib import resources
from pathlib import Path
from tempfile import NamedTemporaryFile

from inference.models.errors import ModelNotPreparedError
from inference.models.manifest import Manifest
from whodex.runtime.cache import cache_directory


def prepared_path(manifest: Manifest) -> Path:
    """Where the prepared ONNX file of a model lies, prepared or not.

    The name carries a digest of all that goes into the file: another manifest or another way of preparing
    it leads to another file.
    """
    recipe = hashlib.sha256()
    recipe.update(manifest.source.sha256.encode())
    recipe.update(manifest.model_dump_json(include={"input", "anchors", "embedding"}).encode())
    recipe.update((resources.files("inference.models") / "graph.py").read_bytes())
    return cache_directory() / "models" / f"{manifest.name}-{recipe.hexdigest()[:16]}.onnx"


def store(manifest: Manifest, onnx_bytes: bytes) -> Path:
    """Put a prepared model into the cache, in one step: a reader sees all of it or nothing."""
    path = prepared_path(manifest)
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, onnx_bytes)
    record = {"sha256": hashlib.sha256(onnx_bytes).hexdigest()}
    _replace(_record_path(path), json.dumps(record).encode())
    return path


def verified_path(manifest: Manifest) -> Path:
    """The prepared ONNX file of a model, after a look at its digest.

    Raises:
        ModelNotPreparedError: it is not there, or not what was put there.
    """
    path = prepared_path(manifest)
    if not (path.is_file() and _record_path(path).is_file()):
        raise ModelNotPreparedError(f"{manifest.name} is not prepared: run `whodex models pull`.")
    recorded = json.loads(_record_path(path).read_bytes())["sha256"]
    if hashlib.sha256(path.read_bytes()).hexdigest() != recorded:
        raise ModelNotPreparedError(f"{path} has changed since it was made: run `whodex models pull`.")
    return path


def _record_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _replace(path: Path, content: bytes) -> None:
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        temporary = Path(file.name)
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            # Temporary files are the owner's alone; Triton may run as another user.
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
