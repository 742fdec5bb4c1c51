"""Which runtime the models run on: the fastest whose answers are right on this machine."""

import json
import subprocess
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from inference.models import cache, golden
from inference.models.errors import GoldenMismatchError
from inference.models.manifest import Manifest, load_manifests
from inference.triton.environment import TritonEnvironment
from inference.triton.errors import TritonEnvironmentError

RUNTIMES = ("openvino", "onnxruntime")
"""Fastest first."""
TIMEOUT_SECONDS = 120


def choose_runtime(environment: TritonEnvironment) -> str:
    """Try the runtimes with every model's golden vector, and write down which one it is.

    Returns:
        The first runtime that answers right.

    Raises:
        TritonEnvironmentError: none does.
        ModelNotPreparedError: a model is not in the cache.
    """
    failures = []
    for runtime in RUNTIMES:
        try:
            for manifest in load_manifests():
                verify(environment, manifest, runtime)
        except (GoldenMismatchError, TritonEnvironmentError) as error:
            failures.append(f"{runtime}: {error}")
        else:
            _record_path(environment).write_text(json.dumps(runtime))
            return runtime
    raise TritonEnvironmentError(f"No runtime works on this machine. {' '.join(failures)}")


def chosen_runtime(environment: TritonEnvironment) -> str | None:
    """The runtime that ``choose_runtime`` wrote down, if it has run."""
    path = _record_path(environment)
    return str(json.loads(path.read_text())) if path.is_file() else None


def verify(environment: TritonEnvironment, manifest: Manifest, runtime: str) -> None:
    """Check a prepared model: its digest, and its golden vector on a runtime.

    Raises:
        ModelNotPreparedError: it is not in the cache, or has changed there.
        GoldenMismatchError: it answers something else.
        TritonEnvironmentError: the runtime does not run.
    """
    golden.check(manifest, answer(environment, manifest, runtime, golden.golden_input(manifest)))


def answer(
    environment: TritonEnvironment, manifest: Manifest, runtime: str, images_bgr: NDArray[np.uint8]
) -> NDArray[np.float32]:
    """Run a prepared model once, in Triton's environment but without Triton.

    Args:
        environment: where the runtimes are.
        manifest: the model.
        runtime: one of ``RUNTIMES``.
        images_bgr: uint8 (N, H, W, 3).

    Returns:
        The network's output, float32 (N, ...).

    Raises:
        ModelNotPreparedError: it is not in the cache, or has changed there.
        TritonEnvironmentError: the runtime does not run.
    """
    return _infer(environment, cache.verified_path(manifest), runtime, images_bgr)


def _record_path(environment: TritonEnvironment) -> Path:
    return environment.directory / "runtime.json"


def _infer(environment: TritonEnvironment, model: Path, runtime: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    with (
        TemporaryDirectory(prefix="whodex-golden-") as directory,
        resources.as_file(resources.files("inference.triton") / "backend") as backend,
    ):
        source, destination = Path(directory) / "input.npy", Path(directory) / "output.npy"
        np.save(source, images)
        command: list[str | Path] = [environment.python, backend / "infer_once.py", runtime, model, source, destination]
        try:
            subprocess.run(
                command,
                env=environment.variables(),
                check=True,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_SECONDS,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise TritonEnvironmentError(f"{runtime} does not run {model.name}: {_reason(error)}.") from error
        return np.asarray(np.load(destination, allow_pickle=False), np.float32)


def _reason(error: subprocess.CalledProcessError | subprocess.TimeoutExpired) -> str:
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer within {TIMEOUT_SECONDS} s"
    last_lines = str(error.stderr).strip().splitlines()[-1:]
    return last_lines[0] if last_lines else f"exit code {error.returncode}"
