"""Builds the model repository that Triton serves, from the manifests and the prepared models."""

import json
import shutil
from importlib import resources
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from inference.models import cache, graph
from inference.models.manifest import Manifest

PRIORITY_LEVELS = 3
DEFAULT_PRIORITY = 2
QUEUE_LIMITS = {1: 64, 2: 256, 3: 256}
"""How many requests may wait at each priority; more are refused at once, and the caller tries again later."""
QUEUE_TIMEOUT_SECONDS = 30
"""A request that has waited this long is refused: its caller has given up."""

_BACKEND_FILES = ("model.py", "runtime.py")


def build_repository(directory: Path, manifests: tuple[Manifest, ...], runtime: str) -> None:
    """Write a model repository, in place of one that may be there.

    Args:
        directory: where it goes.
        manifests: the models; each must have been prepared.
        runtime: ``openvino`` or ``onnxruntime``.

    Raises:
        ModelNotPreparedError: a model is not in the cache.
    """
    prepared = [(manifest, cache.verified_path(manifest)) for manifest in manifests]
    shutil.rmtree(directory, ignore_errors=True)
    for manifest, path in prepared:
        version = directory / manifest.name / "1"
        version.mkdir(parents=True)
        (version / "model.onnx").symlink_to(path)
        for name in _BACKEND_FILES:
            source = resources.files("inference.triton") / "backend" / name
            (version / name).write_bytes(source.read_bytes())
        config = text_format.MessageToString(model_config(manifest, runtime))
        (version.parent / "config.pbtxt").write_text(config)


def model_config(manifest: Manifest, runtime: str) -> model_config_pb2.ModelConfig:
    """Describe a model to Triton."""
    config = model_config_pb2.ModelConfig(
        name=manifest.name,
        backend="python",
        max_batch_size=manifest.serving.max_batch_size,
        input=[
            model_config_pb2.ModelInput(
                name=graph.INPUT, data_type=model_config_pb2.TYPE_UINT8, dims=_input_dims(manifest)
            )
        ],
        output=[_output(manifest)],
        instance_group=[
            model_config_pb2.ModelInstanceGroup(count=1, kind=model_config_pb2.ModelInstanceGroup.KIND_CPU)
        ],
        dynamic_batching=_dynamic_batching(),
        model_warmup=[_warmup(*manifest.input.sizes[0])],
    )
    parameters = {
        "runtime": runtime,
        "sizes": json.dumps(manifest.input.sizes),
        "chunk_sizes": json.dumps(manifest.serving.chunk_sizes),
    }
    for name, value in parameters.items():
        config.parameters[name].string_value = value
    return config


def _input_dims(manifest: Manifest) -> list[int]:
    if len(manifest.input.sizes) > 1:
        return [-1, -1, 3]
    ((width, height),) = manifest.input.sizes
    return [height, width, 3]


def _output(manifest: Manifest) -> model_config_pb2.ModelOutput:
    return model_config_pb2.ModelOutput(
        name=graph.output_name(manifest),
        data_type=model_config_pb2.TYPE_FP32,
        dims=manifest.output_shape,
    )


def _dynamic_batching() -> model_config_pb2.ModelDynamicBatching:
    return model_config_pb2.ModelDynamicBatching(
        priority_levels=PRIORITY_LEVELS,
        default_priority_level=DEFAULT_PRIORITY,
        priority_queue_policy={
            level: model_config_pb2.ModelQueuePolicy(
                timeout_action=model_config_pb2.ModelQueuePolicy.REJECT,
                default_timeout_microseconds=QUEUE_TIMEOUT_SECONDS * 1_000_000,
                allow_timeout_override=True,
                max_queue_size=limit,
            )
            for level, limit in QUEUE_LIMITS.items()
        },
    )


def _warmup(width: int, height: int) -> model_config_pb2.ModelWarmup:
    return model_config_pb2.ModelWarmup(
        name=f"{width}x{height}",
        batch_size=1,
        inputs={
            graph.INPUT: model_config_pb2.ModelWarmup.Input(
                data_type=model_config_pb2.TYPE_UINT8, dims=[height, width, 3], random_data=True
            )
        },
    )
