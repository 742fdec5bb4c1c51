"""The one way to reach the served models: batches of uint8 BGR images in, float32 arrays out."""

import enum
import os
from collections.abc import Iterator

import numpy as np
import tritonclient.grpc as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from inference.triton.errors import (
    TritonDeadlineExceededError,
    TritonError,
    TritonInputError,
    TritonOverloadedError,
    TritonUnavailableError,
)

DETECTOR = "face_detector"
EMBEDDER = "arcface"

# A detection is a row: score first would be the graph's order, callers get the box first.
DETECTION_WIDTH = 15
CROP_SIZE = 112


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
        deadline_seconds: how long one call may take, queueing included.
    """

    def __init__(self, address: str, *, deadline_seconds: float = 30.0) -> None:
        self._address = address
        self._deadline_seconds = deadline_seconds
        self._connection: triton.InferenceServerClient | None = None
        self._connection_pid = 0

    def detect(
        self, images_bgr: NDArray[np.uint8], *, priority: Priority = Priority.PHOTO
    ) -> list[NDArray[np.float32]]:
        """Find faces in images of one size.

        Args:
            images_bgr: uint8 (N, H, W, 3), BGR, letterboxed to one of ``DETECTOR_SIZES``.
            priority: the queue level.

        Returns:
            For each image float32 (M, 15), best score first, after non-maximum suppression: the box as
            x1, y1, x2, y2, the score in 0..1, then x and y of five landmarks (the eyes, the nose, the corners
            of the mouth, the image's left before its right), all in pixels of the input image. Coordinates
            may lie outside the image.

        Raises:
            TritonTransientError: Triton is away, overloaded or too slow.
            TritonInputError: the shape or the type is not one that the model serves.
        """
        raise NotImplementedError

    def embed(
        self, crops_bgr: NDArray[np.uint8], *, priority: Priority = Priority.PHOTO
    ) -> NDArray[np.float32]:
        """Embed aligned faces.

        Args:
            crops_bgr: uint8 (N, 112, 112, 3), BGR, aligned to the ArcFace template.
            priority: the queue level.

        Returns:
            float32 (N, 512), one row for each crop, not normalised.

        Raises:
            TritonTransientError: Triton is away, overloaded or too slow.
            TritonInputError: the shape or the type is not what the model takes.
        """
        raise NotImplementedError

    def check_golden(self) -> None:
        """Run every model's golden input through the server and compare with the manifest.

        This is what readiness means: a model whose Python process has died still counts as ready in
        Triton's own health check.

        Raises:
            TritonTransientError: a model does not answer, or answers something else.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close the channel of this process, if it has one."""
        raise NotImplementedError
