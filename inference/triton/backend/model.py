"""The model that Triton's python backend runs: batches of uint8 images through one prepared network.

Copied into the model repository beside ``runtime.py``; what differs between the models is in their
``config.pbtxt``.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import runtime  # type: ignore[import-not-found]  # beside this file in the model repository
import triton_python_backend_utils as triton  # type: ignore[import-not-found]  # given by the python backend


class TritonPythonModel:
    """The class that Triton's python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the network, once for each instance."""
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._input = config["input"][0]["name"]
        self._output = config["output"][0]["name"]
        self._sizes = [tuple(size) for size in json.loads(parameters["sizes"])]
        self._network = runtime.load(
            parameters["runtime"],
            Path(args["model_repository"]) / args["model_version"] / "model.onnx",
            self._sizes,
            json.loads(parameters["chunk_sizes"]),
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer the requests that Triton put into one batch; all of them have images of one size."""
        images = [triton.get_input_tensor_by_name(request, self._input).as_numpy() for request in requests]
        height, width = images[0].shape[1:3]
        if (width, height) not in self._sizes:
            error = triton.TritonError(f"images of {width}x{height} are not served", triton.TritonError.INVALID_ARG)
            return [triton.InferenceResponse(error=error) for _ in requests]
        outputs = self._network.run(images[0] if len(images) == 1 else np.concatenate(images))
        ends = np.cumsum([len(request_images) for request_images in images])
        return [triton.InferenceResponse([triton.Tensor(self._output, part)]) for part in np.split(outputs, ends[:-1])]

    def finalize(self) -> None:
        """Let go of the network, when Triton unloads the model."""
        self._network.close()
