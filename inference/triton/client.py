"""The one way to reach the served models: batches of uint8 BGR images in, float32 arrays out."""

import enum
import os
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from inference.faces.suppression import suppress_overlapping
from inference.models import golden, graph
from inference.models.errors import GoldenMismatchError
from inference.models.manifest import Manifest, load_detector, load_embedder
from inference.triton.errors import (
    TritonDeadlineExceededError,
    TritonError,
    TritonGoldenMismatchError,
    TritonInputError,
    TritonOverloadedError,
    TritonUnavailableError,
)
from whodex.runtime.channel_options import DIRECT

DETECTOR = load_detector()
EMBEDDER = load_embedder()

DEFAULT_MIN_SCORE = 0.5

MAX_REQUEST_BYTES = 4 * 1024**2
"""More travels in several requests side by side, which Triton batches again: messages of 10 MB cost the client three
times the CPU for each image."""

# In place of tritonclient's own, which are the same but for the proxy.
_CHANNEL_ARGS = [
    ("grpc.max_send_message_length", triton.MAX_GRPC_MESSAGE_SIZE),
    ("grpc.max_receive_message_length", triton.MAX_GRPC_MESSAGE_SIZE),
    DIRECT,
]
_SCORE_COLUMN = 4
# How Triton's python backend words it.
_DEAD_STUB = "is not healthy"


class Priority(enum.IntEnum):
    """Triton's queue levels; a lower number leaves the queue first."""

    INTERACTIVE = 1
    """Somebody waits for the answer: a query image."""
    PHOTO = 2
    """A reference photo."""
    VIDEO = 3
    """Frames of a video."""


class TritonClient:
    """Talks to one Triton server.

    The channel is made at the first call and anew after a fork, so that an instance may be made anywhere.

    Args:
        address: ``host:port`` of Triton's gRPC endpoint.
        ca: PEM file of who signs Triton's certificate; None: it speaks plaintext.
        deadline_seconds: how long one request may take, queueing included.
    """

    def __init__(self, address: str, *, ca: Path | None = None, deadline_seconds: float = 30.0) -> None:
        self._address = address
        self._ca = ca
        self._deadline_seconds = deadline_seconds
        self._connection: triton.InferenceServerClient | None = None
        self._connection_pid = 0

    def detect(
        self,
        images_bgr: NDArray[np.uint8],
        *,
        priority: Priority = Priority.PHOTO,
        min_score: float = DEFAULT_MIN_SCORE,
    ) -> list[NDArray[np.float32]]:
        """Find faces in images of one size.

        Args:
            images_bgr: uint8 (N, H, W, 3), BGR, letterboxed to one of ``DETECTOR.input.sizes``; any N.
            priority: the queue level.
            min_score: what scores less is left out.

        Returns:
            For each image float32 (M, 15), best score first, after non-maximum suppression: the box as
            x1, y1, x2, y2, the score in 0..1, then x and y of five landmarks (the eyes, the nose, the corners
            of the mouth, the image's left before its right), all in pixels of the input image. Coordinates
            may lie outside the image.

        Raises:
            TritonTransientError: Triton is away, overloaded or too slow.
            TritonInputError: the shape or the type is not one that the model serves.
        """
        candidates = self._infer(DETECTOR, images_bgr, priority)
        return [suppress_overlapping(rows[rows[:, _SCORE_COLUMN] >= min_score]) for rows in candidates]

    def embed(self, crops_bgr: NDArray[np.uint8], *, priority: Priority = Priority.PHOTO) -> NDArray[np.float32]:
        """Embed aligned faces.

        Args:
            crops_bgr: uint8 (N, 112, 112, 3), BGR, aligned to the ArcFace template; any N.
            priority: the queue level.

        Returns:
            float32 (N, 512), one row for each crop, not normalised.

        Raises:
            TritonTransientError: Triton is away, overloaded or too slow.
            TritonInputError: the shape or the type is not what the model takes.
        """
        return self._infer(EMBEDDER, crops_bgr, priority)

    def check_golden(self) -> None:
        """Run every model's golden input through the server and compare with the manifest.

        This is what readiness means: a model whose Python process has died still counts as ready in
        Triton's own health check. Any call that meets such a model has Triton load it anew, so that a later
        one finds it well.

        Raises:
            TritonTransientError: a model does not answer, or answers something else.
        """
        for manifest in (DETECTOR, EMBEDDER):
            answer = self._infer(manifest, golden.golden_input(manifest), Priority.INTERACTIVE)
            try:
                golden.check(manifest, answer)
            except GoldenMismatchError as error:
                raise TritonGoldenMismatchError(str(error)) from error

    def close(self) -> None:
        """Close the channel of this process, if it has one."""
        if self._connection and self._connection_pid == os.getpid():
            self._connection.close()
        self._connection = None

    def _connect(self) -> triton.InferenceServerClient:
        """The channel of this process: a channel that crosses a fork never answers."""
        if self._connection is None or self._connection_pid != os.getpid():
            self._connection = triton.InferenceServerClient(
                self._address,
                ssl=self._ca is not None,
                root_certificates=None if self._ca is None else str(self._ca),
                channel_args=_CHANNEL_ARGS,
            )
            self._connection_pid = os.getpid()
        return self._connection

    def _infer(self, manifest: Manifest, images_bgr: NDArray[np.uint8], priority: Priority) -> NDArray[np.float32]:
        _check_images(manifest, images_bgr)
        if len(images_bgr) == 0:
            return np.empty((0, *manifest.output_shape), np.float32)
        most = min(manifest.serving.max_batch_size, max(1, MAX_REQUEST_BYTES // images_bgr[0].nbytes))
        batches = [images_bgr[start : start + most] for start in range(0, len(images_bgr), most)]
        calls = [self._send(manifest, batch, priority) for batch in batches]
        answers = [self._receive(manifest, call) for call in calls]
        return answers[0] if len(answers) == 1 else np.concatenate(answers)

    def _send(
        self, manifest: Manifest, images_bgr: NDArray[np.uint8], priority: Priority
    ) -> Future[triton.InferResult]:
        tensor = triton.InferInput(graph.INPUT, list(images_bgr.shape), "UINT8")
        tensor.set_data_from_numpy(images_bgr)
        answer: Future[triton.InferResult] = Future()

        def finish(result: triton.InferResult | None, error: InferenceServerException | None) -> None:
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        self._connect().async_infer(
            manifest.name,
            [tensor],
            finish,
            outputs=[triton.InferRequestedOutput(graph.output_name(manifest))],
            priority=int(priority),
            # Triton drops from its queue what nobody waits for any more.
            timeout=int(self._deadline_seconds * 1e6),
            client_timeout=self._deadline_seconds,
        )
        return answer

    def _receive(self, manifest: Manifest, answer: Future[triton.InferResult]) -> NDArray[np.float32]:
        try:
            result = answer.result()
        except InferenceServerException as error:
            if _DEAD_STUB in str(error.message()):
                self._revive(manifest.name)
            raise _translated(manifest.name, error) from error
        return result.as_numpy(graph.output_name(manifest))  # type: ignore[no-any-return]

    def _revive(self, model: str) -> None:
        """Load a model anew whose Python process has died; Triton never does so itself."""
        try:
            # Loading alone does nothing while the files are the same.
            self._connect().unload_model(model, client_timeout=self._deadline_seconds)
            self._connect().load_model(model, client_timeout=self._deadline_seconds)
        except InferenceServerException as error:
            raise _translated(model, error) from error


def _check_images(manifest: Manifest, images_bgr: NDArray[np.uint8]) -> None:
    sizes = [(height, width, 3) for width, height in manifest.input.sizes]
    if images_bgr.dtype != np.uint8 or images_bgr.shape[1:] not in sizes:
        raise TritonInputError(
            f"{manifest.name} takes uint8 (N, H, W, 3) with (H, W, 3) one of {sizes}, "
            f"not {images_bgr.dtype} {images_bgr.shape}."
        )


def _translated(model: str, error: InferenceServerException) -> TritonError:
    """Map what tritonclient raises; a code that says nothing better means that the model is not there.

    Triton answers UNAVAILABLE both when a queue is full and when nothing listens; a dead python stub is
    INTERNAL.
    """
    message = f"{model}: {error.message()}"
    match error.status():
        case "StatusCode.DEADLINE_EXCEEDED":
            return TritonDeadlineExceededError(message)
        case "StatusCode.INVALID_ARGUMENT":
            return TritonInputError(message)
        case "StatusCode.UNAVAILABLE" if "queue" in message or "Request timeout expired" in message:
            return TritonOverloadedError(message)
        case _:
            return TritonUnavailableError(message)
