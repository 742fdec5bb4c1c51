from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import TYPE_FP32, TYPE_UINT8, ModelConfig, ModelQueuePolicy

from inference.models import cache, golden
from inference.models.errors import ModelNotPreparedError
from inference.models.manifest import load_detector, load_embedder, load_manifests
from inference.triton.client import Priority
from inference.triton.repository import build_repository, model_config
from inference.triton.targets import python_target


@pytest.fixture(autouse=True)
def cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_CACHE_DIR", str(tmp_path / "cache"))


def test_the_repository_holds_what_triton_looks_for(tmp_path: Path):
    for manifest in load_manifests():
        cache.store(manifest, manifest.name.encode())
    build_repository(tmp_path / "repository", load_manifests(), python_target("openvino"))
    found = sorted(str(path.relative_to(tmp_path / "repository")) for path in tmp_path.glob("repository/*/**/*"))
    assert found == [
        f"{model}/{file}"
        for model in ("arcface", "face_detector")
        for file in ("1", "1/model.onnx", "1/model.py", "1/runtime.py", "config.pbtxt")
    ]
    assert (tmp_path / "repository/arcface/1/model.onnx").read_bytes() == b"arcface"
    for manifest in load_manifests():
        text = (tmp_path / "repository" / manifest.name / "config.pbtxt").read_text()
        assert text_format.Parse(text, ModelConfig()) == model_config(manifest, python_target("openvino"))


def test_an_old_repository_is_replaced(tmp_path: Path):
    cache.store(load_embedder(), b"graph")
    (tmp_path / "repository" / "retired_model").mkdir(parents=True)
    build_repository(tmp_path / "repository", (load_embedder(),), python_target("openvino"))
    assert [path.name for path in (tmp_path / "repository").iterdir()] == ["arcface"]


def test_a_model_that_is_not_prepared_leaves_the_old_repository_alone(tmp_path: Path):
    (tmp_path / "repository" / "served_model").mkdir(parents=True)
    with pytest.raises(ModelNotPreparedError, match="whodex models pull"):
        build_repository(tmp_path / "repository", load_manifests(), python_target("openvino"))
    assert (tmp_path / "repository" / "served_model").is_dir()


def test_the_wire_format_is_uint8_in_and_float32_out():
    detector, embedder = (
        model_config(load_detector(), python_target("openvino")),
        model_config(load_embedder(), python_target("openvino")),
    )
    assert [(value.data_type, list(value.dims)) for value in detector.input] == [(TYPE_UINT8, [-1, -1, 3])]
    assert [(value.data_type, list(value.dims)) for value in detector.output] == [(TYPE_FP32, [512, 15])]
    assert [(value.data_type, list(value.dims)) for value in embedder.input] == [(TYPE_UINT8, [112, 112, 3])]
    assert [(value.data_type, list(value.dims)) for value in embedder.output] == [(TYPE_FP32, [512])]


def test_every_priority_has_a_queue_with_a_limit():
    batching = model_config(load_embedder(), python_target("openvino")).dynamic_batching
    assert set(batching.priority_queue_policy) == {int(priority) for priority in Priority}
    assert batching.priority_levels == len(Priority)
    for policy in batching.priority_queue_policy.values():
        assert policy.max_queue_size > 0
        assert policy.default_timeout_microseconds > 0
        assert policy.timeout_action == ModelQueuePolicy.REJECT


def test_the_golden_size_is_warmed_up():
    (warmup,) = model_config(load_detector(), python_target("openvino")).model_warmup
    assert list(warmup.inputs["images_bgr"].dims) == [256, 256, 3]
    assert golden.golden_input(load_detector()).shape[1:] == (256, 256, 3)


def test_the_runtime_is_a_parameter():
    assert (
        model_config(load_embedder(), python_target("onnxruntime")).parameters["runtime"].string_value == "onnxruntime"
    )
