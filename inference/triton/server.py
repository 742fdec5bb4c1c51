"""Turns this process into tritonserver."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from inference.models.manifest import load_manifests
from inference.triton.environment import TritonEnvironment, prepared_environment
from inference.triton.repository import build_repository
from inference.triton.runtimes import choose_runtime, chosen_runtime
from inference.triton.targets import python_target

HOST = "127.0.0.1"
EXIT_TIMEOUT_SECONDS = 5
"""How long it finishes what it has begun. A model whose process died is never unloaded and uses this up."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # where the python backend keeps its regions


@dataclass(frozen=True)
class ServerOptions:
    """What differs between one server and another.

    Attributes:
        repository: the directory for the generated model repository.
        grpc_port: the port of the inference protocol.
        http_port: the port of the HTTP protocol, or None for none.
        metrics_port: the port of the metrics, or None for none.
    """

    repository: Path
    grpc_port: int
    http_port: int | None = None
    metrics_port: int | None = None


def run(options: ServerOptions) -> None:
    """Build the model repository and become tritonserver; returns only by an exception.

    Raises:
        TritonEnvironmentError: the environment has not been prepared, or no runtime works in it.
        ModelNotPreparedError: a model has not been prepared.
    """
    environment = prepared_environment()
    manifests = load_manifests()
    runtime = chosen_runtime(environment) or choose_runtime(environment)
    build_repository(options.repository, manifests, python_target(runtime))
    remove_shared_memory(shared_memory_prefix(options.repository))
    command = server_command(environment, options, [manifest.name for manifest in manifests])
    os.execve(environment.server, command, environment.variables())  # noqa: S606  # that is the point: no shell


def server_command(environment: TritonEnvironment, options: ServerOptions, models: list[str]) -> list[str]:
    """The command line of tritonserver, which listens on the loopback interface alone."""
    prefix = shared_memory_prefix(options.repository)
    return [
        str(environment.server),
        f"--model-repository={options.repository}",
        f"--backend-directory={environment.backends}",
        "--model-control-mode=explicit",
        *(f"--load-model={name}" for name in models),
        "--disable-auto-complete-config",
        f"--backend-config=python,shm-region-prefix-name={prefix}",
        f"--grpc-address={HOST}",
        f"--grpc-port={options.grpc_port}",
        *_optional_endpoint("http", options.http_port),
        *_optional_endpoint("metrics", options.metrics_port),
        f"--exit-timeout-secs={EXIT_TIMEOUT_SECONDS}",
    ]


def _optional_endpoint(name: str, port: int | None) -> list[str]:
    if port is None:
        return [f"--allow-{name}=false"]
    return [f"--{name}-address={HOST}", f"--{name}-port={port}"]


def shared_memory_prefix(repository: Path) -> str:
    """How the names of a server's shared memory regions begin: each repository has its own."""
    return "whodex_" + hashlib.sha256(str(repository.resolve()).encode()).hexdigest()[:12] + "_"


def remove_shared_memory(prefix: str, *, directory: Path = _SHARED_MEMORY) -> None:
    """Remove what a server that was killed has left; one that is asked to stop leaves nothing."""
    for region in directory.glob(f"{prefix}*"):
        region.unlink(missing_ok=True)
