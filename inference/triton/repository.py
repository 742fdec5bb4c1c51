"""Builds the model repository that Triton serves, from the manifests and the prepared models."""

import shutil
from importlib import resources
from pathlib import Path

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from inference.models import cache, graph
from inference.models.manifest import Manifest
from inference.triton.targets import MODEL_FILE, Target

PRIORITY_LEVELS = 3
DEFAULT_PRIORITY = 2
QUEUE_LIMITS = {1: 64, 2: 256, 3: 256}
"""How many requests may wait at each priority; more are refused at once, and the caller tries again later."""
QUEUE_TIMEOUT_SECONDS = 30
"""A request that has waited this long is refused: its caller has given up."""


def build_repository(directory: Path, manifests: tuple[Manifest, ...], target: Target, *, copy: bool = False) -> None:
    """Write a model repository, in place of one that may be there.

    Args:
        directory: where it goes.
        manifests: the models; each must have been prepared.
        target: the kind of server that reads it.
        copy: hold the networks themselves, for another machine, instead of links into the cache.

    Raises:
        ModelNotPreparedError: a model is not in the cache.
    """
    prepared = [(manifest, cache.verified_path(manifest)) for manifest in manifests]
    shutil.rmtree(directory, ignore_errors=True)
    for manifest, path in prepared:
        version = directory / manifest.name / "1"
        version.mkdir(parents=True)
        network = version / MODEL_FILE
        if copy:
            shutil.copyfile(path, network)
        else:
            network.symlink_to(path)
        for name in target.files:
            source = resources.files("inference.triton") / "backend" / name
            (version / name).write_bytes(source.read_bytes())
        config = text_format.MessageToString(model_config(manifest, target))
        (version.parent / "config.pbtxt").write_text(config)


def model_config(manifest: Manifest, target: Target) -> model_config_pb2.ModelConfig:
    """Describe a model to Triton."""
    config = model_config_pb2.ModelConfig(
        name=manifest.name,
        max_batch_size=manifest.serving.max_batch_size,
        input=[
            model_config_pb2.ModelInput(
                name=graph.INPUT, data_type=model_config_pb2.TYPE_UINT8, dims=_input_dims(manifest)
            )
        ],
        output=[_output(manifest)],
        dynamic_batching=_dynamic_batching(),
        model_warmup=[_warmup(*shape) for shape in target.warmups(manifest)],
    )
    target.configure(config, manifest)
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


def _warmup(batch_size: int, width: int, height: int) -> model_config_pb2.ModelWarmup:
    return model_config_pb2.ModelWarmup(
        name=f"{batch_size}x{width}x{height}",
        batch_size=batch_size,
        inputs={
            graph.INPUT: model_config_pb2.ModelWarmup.Input(
                data_type=model_config_pb2.TYPE_UINT8, dims=[height, width, 3], random_data=True
            )
        },
    )
