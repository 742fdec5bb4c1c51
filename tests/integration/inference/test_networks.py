"""The prepared networks as the backends of NVIDIA's images load them: one graph for every batch and every size."""

from __future__ import annotations

import numpy as np
import openvino
import pytest
from numpy.typing import NDArray

from inference.models import cache, golden
from inference.models.manifest import Manifest, load_manifests

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("manifest", load_manifests(), ids=lambda manifest: manifest.name)
def test_a_network_takes_every_shape_and_answers_as_its_golden_vector_says(manifest: Manifest):
    network = openvino.Core().compile_model(cache.verified_path(manifest), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image = golden.golden_input(manifest)
    golden.check(manifest, _run(network, image))
    random = np.random.default_rng(0)
    for width, height in manifest.input.sizes:
        images = random.integers(0, 256, (3, height, width, 3), np.uint8)
        batch = _run(network, images)
        assert batch.shape == (3, *manifest.output_shape)
        alone = np.concatenate([_run(network, images[index : index + 1]) for index in range(3)])
        np.testing.assert_allclose(batch, alone, atol=1e-2, rtol=1e-3)


def _run(network: openvino.CompiledModel, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(network([images])[0], np.float32)
