from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from inference.models import cache
from inference.models.manifest import Manifest, load_detector, load_embedder, load_manifests
from inference.triton.repository import build_repository, model_config
from inference.triton.targets import CONTAINER_TARGETS, TENSORRT_CACHE, ContainerTarget, python_target

EVERY_TARGET = {"python": python_target("openvino")} | {str(name): target for name, target in CONTAINER_TARGETS.items()}
TARGETS = pytest.mark.parametrize("name", EVERY_TARGET)
MODELS = pytest.mark.parametrize("manifest", load_manifests(), ids=lambda manifest: manifest.name)


@TARGETS
@MODELS
def test_the_written_description_is_one_that_triton_reads(
    name: str, manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WHODEX_CACHE_DIR", str(tmp_path / "cache"))
    cache.store(manifest, b"graph")
    build_repository(tmp_path / "models", (manifest,), EVERY_TARGET[name], copy=True)
    text = (tmp_path / "models" / manifest.name / "config.pbtxt").read_text()
    # An unknown field or a value of the wrong type is an error.
    assert text_format.Parse(text, ModelConfig()) == model_config(manifest, EVERY_TARGET[name])


@TARGETS
@MODELS
def test_whatever_serves_a_model_a_client_sees_the_same(name: str, manifest: Manifest):
    local, config = model_config(manifest, EVERY_TARGET["python"]), model_config(manifest, EVERY_TARGET[name])
    for field in ("name", "max_batch_size", "input", "output", "dynamic_batching"):
        assert getattr(config, field) == getattr(local, field)


@pytest.mark.parametrize(
    ("name", "backend", "kind"),
    [
        ("openvino", "openvino", ModelInstanceGroup.KIND_CPU),
        ("cuda", "onnxruntime", ModelInstanceGroup.KIND_GPU),
        ("tensorrt", "onnxruntime", ModelInstanceGroup.KIND_GPU),
    ],
)
def test_each_kind_of_server_runs_its_own_backend(name: str, backend: str, kind: int):
    config = model_config(load_embedder(), CONTAINER_TARGETS[ContainerTarget(name)])
    assert config.backend == backend
    assert [group.kind for group in config.instance_group] == [kind]


def test_openvino_is_told_that_the_network_is_onnx():
    assert (
        model_config(load_embedder(), CONTAINER_TARGETS[ContainerTarget.OPENVINO]).default_model_filename
        == "model.onnx"
    )


def test_only_tensorrt_builds_engines_and_it_keeps_them():
    engines = {
        name: model_config(load_detector(), target).optimization.execution_accelerators.gpu_execution_accelerator
        for name, target in CONTAINER_TARGETS.items()
    }
    assert [name for name, accelerators in engines.items() if accelerators] == [ContainerTarget.TENSORRT]
    (accelerator,) = engines[ContainerTarget.TENSORRT]
    assert accelerator.parameters["trt_engine_cache_path"] == f"{TENSORRT_CACHE}/face_detector"


def test_tensorrt_has_seen_the_smallest_and_the_largest_request_before_it_is_ready():
    warmups = model_config(load_detector(), CONTAINER_TARGETS[ContainerTarget.TENSORRT]).model_warmup
    seen = {(one.batch_size, *one.inputs["images_bgr"].dims[:2]) for one in warmups}
    sizes = load_detector().input.sizes
    assert seen == {(batch, height, width) for width, height in sizes for batch in (1, 16)}
    assert len({one.name for one in warmups}) == len(warmups)
