"""The kinds of Triton servers, and how each one is told to run the same prepared networks.

The local stack's server has the python backend only, which runs the networks with the fastest runtime of the machine.
NVIDIA's images carry backends of their own; which parameters those have is taken from the documentation of the OpenVINO
and the ONNX Runtime backend.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup, ModelOptimizationPolicy

from inference.models.manifest import Manifest

TENSORRT_CACHE = "/var/cache/tensorrt"
"""Where the engines are kept that TensorRT builds for the graphics card at hand, which takes minutes each time."""
MODEL_FILE = "model.onnx"

Warmup = tuple[int, int, int]
"""Batch size, width and height of a request that is sent before the model is ready."""


@dataclass(frozen=True)
class Target:
    """A kind of server.

    Attributes:
        configure: writes into a model's description what only this kind needs.
        warmups: what a model is warmed up with.
        files: the files of `inference.triton.backend` that lie beside the network.
    """

    configure: Callable[[ModelConfig, Manifest], None]
    warmups: Callable[[Manifest], Sequence[Warmup]]
    files: Sequence[str] = ()


def python_target(runtime: str) -> Target:
    """The python backend, which the wheel of nvidia-pytriton has.

    Args:
        runtime: ``openvino`` or ``onnxruntime``.
    """

    def configure(config: ModelConfig, manifest: Manifest) -> None:
        config.backend = "python"
        _on_one(config, ModelInstanceGroup.KIND_CPU)
        _set_parameters(
            config,
            runtime=runtime,
            sizes=json.dumps(manifest.input.sizes),
            chunk_sizes=json.dumps(manifest.serving.chunk_sizes),
        )

    return Target(configure, _smallest, files=("model.py", "runtime.py"))


def _openvino(config: ModelConfig, _manifest: Manifest) -> None:
    config.backend = "openvino"
    # The backend looks for OpenVINO's own format unless it is told otherwise.
    config.default_model_filename = MODEL_FILE
    _on_one(config, ModelInstanceGroup.KIND_CPU)
    # Several requests side by side on few threads each take less CPU than one on all of them.
    _set_parameters(config, PERFORMANCE_HINT="THROUGHPUT")


def _cuda(config: ModelConfig, _manifest: Manifest) -> None:
    config.backend = "onnxruntime"
    # On a graphics card the backend runs the CUDA execution provider without being asked.
    _on_one(config, ModelInstanceGroup.KIND_GPU)


def _tensorrt(config: ModelConfig, manifest: Manifest) -> None:
    _cuda(config, manifest)
    accelerator = ModelOptimizationPolicy.ExecutionAccelerators.Accelerator(
        name="tensorrt",
        parameters={
            "precision_mode": "FP16",
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": f"{TENSORRT_CACHE}/{config.name}",
        },
    )
    config.optimization.execution_accelerators.gpu_execution_accelerator.append(accelerator)


def _on_one(config: ModelConfig, kind: ModelInstanceGroup.Kind.ValueType) -> None:
    config.instance_group.append(ModelInstanceGroup(count=1, kind=kind))


def _set_parameters(config: ModelConfig, **parameters: str) -> None:
    for name, value in parameters.items():
        config.parameters[name].string_value = value


def _smallest(manifest: Manifest) -> list[Warmup]:
    return [(1, *manifest.input.sizes[0])]


def _every_size(manifest: Manifest) -> list[Warmup]:
    return [(1, width, height) for width, height in manifest.input.sizes]


def _every_shape(manifest: Manifest) -> list[Warmup]:
    """TensorRT builds an engine again when a shape lies outside of those that it has seen."""
    largest = manifest.serving.max_batch_size
    return [(batch, *size) for size in manifest.input.sizes for batch in (1, largest)]


class ContainerTarget(enum.StrEnum):
    """What runs the networks in NVIDIA's images, which carry all three."""

    OPENVINO = "openvino"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


CONTAINER_TARGETS: Mapping[ContainerTarget, Target] = {
    ContainerTarget.OPENVINO: Target(_openvino, _every_size),
    ContainerTarget.CUDA: Target(_cuda, _every_size),
    ContainerTarget.TENSORRT: Target(_tensorrt, _every_shape),
}
