"""The surgery is tried on small networks and held against NumPy, without any weights."""

from importlib import resources
from itertools import product

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper, parser
from onnx.reference import ReferenceEvaluator

from inference.models import graph
from inference.models.errors import ModelError
from inference.models.manifest import DetectorManifest, EmbedderManifest, Manifest, parse_manifest

GENERATOR = np.random.default_rng(5)
# So small because onnx's reference evaluator gathers from at most 64 anchors.
SIZE = (36, 20)


def manifest(name: str, **replacements: str) -> Manifest:
    text = (resources.files("inference.models") / "manifests" / name / "manifest.toml").read_text()
    for old, new in replacements.values():
        text = text.replace(old, new)
    return parse_manifest(name, text)


def embedder(channel_order: str = "BGR") -> EmbedderManifest:
    made = manifest(
        "arcface",
        order=('channel_order = "BGR"', f'channel_order = "{channel_order}"'),
        mean=("mean = [127.5, 127.5, 127.5]", "mean = [10.0, 20.0, 30.0]"),
    )
    assert isinstance(made, EmbedderManifest)
    return made


def detector() -> DetectorManifest:
    made = manifest("face_detector", candidates=("candidates = 512", "candidates = 40"))
    assert isinstance(made, DetectorManifest)
    return made


def flattening_network() -> bytes:
    """A network for a batch of one, as they are published: its output is its input."""
    network = parser.parse_model(
        """
        <ir_version: 7, opset_import: ["" : 9]>
        network (float[1, 3, 2, 2] input) => (float[1, 12] output)
        <int64[2] shape = {1, -1}>
        { output = Reshape (input, shape) }
        """
    )
    return network.SerializeToString()


def run(model: bytes, images_bgr: NDArray[np.uint8]) -> NDArray[np.float32]:
    (output,) = ReferenceEvaluator(onnx.load_model_from_string(model)).run(None, {graph.INPUT: images_bgr})
    return np.asarray(output)


@pytest.mark.parametrize("channel_order", ["BGR", "RGB"])
def test_the_network_sees_normalised_channels_in_its_own_order(channel_order: str):
    images = GENERATOR.integers(0, 256, (1, 2, 2, 3), dtype=np.uint8)
    ordered = images if channel_order == "BGR" else images[..., ::-1]
    expected = ((ordered - np.array([10.0, 20.0, 30.0])) / 128).transpose(0, 3, 1, 2).reshape(1, 12)
    prepared = graph.prepare(embedder(channel_order), flattening_network())
    np.testing.assert_allclose(run(prepared, images), expected, rtol=1e-6)


def test_a_network_published_for_one_image_takes_any_number():
    images = GENERATOR.integers(0, 256, (3, 2, 2, 3), dtype=np.uint8)
    prepared = graph.prepare(embedder(), flattening_network())
    together = run(prepared, images)
    assert together.shape == (3, 12)
    np.testing.assert_array_equal(together, np.concatenate([run(prepared, images[[i]]) for i in range(3)]))


def test_the_prepared_graph_has_the_wire_format():
    served = onnx.load_model_from_string(graph.prepare(embedder(), flattening_network())).graph
    assert [value.name for value in served.input] == ["images_bgr"]
    assert served.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [value.name for value in served.output] == ["embeddings"]


def test_a_network_without_the_tensors_of_its_manifest_is_refused():
    other = flattening_network().replace(b"output", b"result")
    with pytest.raises(ModelError, match="graph of arcface is not what its manifest says"):
        graph.prepare(embedder(), other)


def test_bytes_that_are_no_graph_are_refused():
    with pytest.raises(ModelError, match="graph of arcface is not what its manifest says"):
        graph.prepare(embedder(), b"<!doctype html>")


def anchors_of(width: int, height: int) -> NDArray[np.float64]:
    """RetinaFace's anchors written as a table: centre x, centre y, size, all in pixels."""
    spec = detector().anchors
    rows = [
        ((column + 0.5) * stride, (row + 0.5) * stride, size)
        for stride, sizes in zip(spec.strides_px, spec.sizes_px, strict=True)
        for row, column, size in product(range(-(-height // stride)), range(-(-width // stride)), sizes)
    ]
    return np.array(rows)


def raw_outputs(count: int) -> dict[str, NDArray[np.float32]]:
    scores = GENERATOR.random((2, count, 1)).astype(np.float32)
    return {
        "loc": GENERATOR.normal(0, 1, (2, count, 4)).astype(np.float32),
        "conf": np.concatenate([1 - scores, scores], axis=2),
        "landmarks": GENERATOR.normal(0, 1, (2, count, 10)).astype(np.float32),
    }


def answering_network(outputs: dict[str, NDArray[np.float32]]) -> bytes:
    """A detector that answers the same to every picture."""
    network = parser.parse_model(
        """
        <ir_version: 6, opset_import: ["" : 11]>
        network (float[N, 3, H, W] input) => (float[N, A, 4] loc, float[N, A, 2] conf, float[N, A, 10] landmarks)
        {
            loc = Identity (loc_values)
            conf = Identity (conf_values)
            landmarks = Identity (landmarks_values)
        }
        """
    )
    for name, values in outputs.items():
        network.graph.initializer.append(numpy_helper.from_array(values, f"{name}_values"))
    return network.SerializeToString()


def decoded(outputs: dict[str, NDArray[np.float32]], image: int) -> NDArray[np.float64]:
    """The same decoding in NumPy, every anchor, best first."""
    centre, size = anchors_of(*SIZE)[:, :2], anchors_of(*SIZE)[:, 2:]
    offsets = outputs["loc"][image].astype(np.float64)
    box_centre = centre + offsets[:, :2] * 0.1 * size
    box_size = size * np.exp(offsets[:, 2:] * 0.2)
    points = np.tile(centre, 5) + outputs["landmarks"][image] * 0.1 * size
    score = outputs["conf"][image][:, 1:]
    rows = np.hstack([box_centre - box_size / 2, box_centre + box_size / 2, score, points])
    return np.asarray(rows[np.argsort(-score[:, 0])])


def test_the_best_anchors_are_decoded_to_pixels():
    """The size is no multiple of the strides, so that the last cells of each level stick out."""
    width, height = SIZE
    outputs = raw_outputs(len(anchors_of(width, height)))
    prepared = graph.prepare(detector(), answering_network(outputs))
    answer = run(prepared, np.zeros((2, height, width, 3), np.uint8))
    assert answer.shape == (2, 40, 15)
    for image in range(2):
        np.testing.assert_allclose(answer[image], decoded(outputs, image)[:40], rtol=1e-4, atol=1e-3)
