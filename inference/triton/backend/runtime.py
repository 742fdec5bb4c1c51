"""Runs a prepared network on the CPU, inside Triton's own environment.

These files are copied into the model repository and run by the interpreter of Triton's python backend: they
import nothing of this project. Each runtime is imported only when it is asked for, so that one that does not
work on a machine is no trouble there.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Sizes = Sequence[tuple[int, int]]


class Network(Protocol):
    """A loaded network."""

    def run(self, images: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Run a batch of any size: uint8 (N, H, W, 3) in, float32 (N, ...) out."""

    def close(self) -> None:
        """Stop what goes on in the background."""


class OpenVinoNetwork:
    """OpenVINO, in bfloat16 where the processor computes in it.

    A batch is cut into chunks that run side by side on one thread each: that takes less CPU than one
    inference on all threads, and no compiled shape is dynamic, which would take more. The first size is ready
    when the network is; the others are compiled behind its back, and a batch that comes too early waits.

    Args:
        path: the ONNX file.
        sizes: the (width, height) pairs that come.
        chunk_sizes: the batch sizes to compile for, largest first, down to 1.
        threads: how many chunks run side by side.
    """

    def __init__(self, path: Path, sizes: Sizes, chunk_sizes: Sequence[int], threads: int) -> None:
        self._openvino = import_module("openvino")
        self._core = self._openvino.Core()
        self._chunk_sizes = chunk_sizes
        self._streams = threads
        self._settings: dict[str, int | str] = {"NUM_STREAMS": threads, "INFERENCE_NUM_THREADS": threads}
        if "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            self._settings["INFERENCE_PRECISION_HINT"] = "bf16"
        self._model = self._core.read_model(path)
        self._compiler = ThreadPoolExecutor(max_workers=1)
        self._queues = {
            (height, width, chunk_size): self._compiler.submit(self._compile, height, width, chunk_size)
            for width, height in sizes
            for chunk_size in chunk_sizes
        }
        next(iter(self._queues.values())).result()

    def _compile(self, height: int, width: int, chunk_size: int) -> Any:
        model = self._model.clone()
        model.reshape([chunk_size, height, width, 3])
        compiled = self._core.compile_model(model, "CPU", self._settings)
        queue = self._openvino.AsyncInferQueue(compiled, self._streams)
        queue.set_callback(_keep_output)
        return queue

    def run(self, images: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Run a batch, see ``Network``."""
        outputs: dict[int, np.ndarray[Any, Any]] = {}
        used = []
        for start, chunk_size in chunks(len(images), self._chunk_sizes):
            queue = self._queues[*images.shape[1:3], chunk_size].result()
            queue.start_async([images[start : start + chunk_size]], (outputs, start), share_inputs=True)
            used.append(queue)
        for queue in used:
            queue.wait_all()
        return np.concatenate([outputs[start] for start in sorted(outputs)])

    def close(self) -> None:
        """Compile nothing more."""
        self._compiler.shutdown(cancel_futures=True)


def _keep_output(request: Any, place: tuple[dict[int, Any], int]) -> None:
    outputs, start = place
    outputs[start] = request.get_output_tensor().data.copy()


def chunks(count: int, chunk_sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cut a batch: the start and the size of each piece, the largest sizes first."""
    start = 0
    for chunk_size in chunk_sizes:
        while count - start >= chunk_size:
            yield start, chunk_size
            start += chunk_size


class OnnxRuntimeNetwork:
    """ONNX Runtime, for machines on which OpenVINO does not run.

    Args:
        path: the ONNX file.
        threads: how many threads one inference uses.
    """

    def __init__(self, path: Path, threads: int) -> None:
        onnxruntime = import_module("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, images: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        """Run a batch, see ``Network``."""
        (output,) = self._session.run(None, {self._input: images})
        return output  # type: ignore[no-any-return]

    def close(self) -> None:
        """Nothing goes on in the background."""


def load(runtime: str, path: Path, sizes: Sizes, chunk_sizes: Sequence[int]) -> Network:
    """Load a network with one thread for each core that this process may use.

    Args:
        runtime: ``openvino`` or ``onnxruntime``.
        path: the ONNX file.
        sizes: the (width, height) pairs that come.
        chunk_sizes: the batch sizes that OpenVINO compiles for.
    """
    threads = len(os.sched_getaffinity(0))
    if runtime == "openvino":
        return OpenVinoNetwork(path, sizes, chunk_sizes, threads)
    return OnnxRuntimeNetwork(path, threads)
