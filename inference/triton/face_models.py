"""The two networks on Triton, as `inference.faces` wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.triton.client import Priority, TritonClient


@dataclass(frozen=True)
class TritonFaceModels:
    """Implements `inference.faces.analyzer.FaceModels` with one level of Triton's queue."""

    client: TritonClient
    priority: Priority

    def detect(self, images_bgr: NDArray[np.uint8], /) -> list[NDArray[np.float32]]:
        """See `TritonClient.detect`."""
        return self.client.detect(images_bgr, priority=self.priority)

    def embed(self, crops_bgr: NDArray[np.uint8], /) -> NDArray[np.float32]:
        """See `TritonClient.embed`."""
        return self.client.embed(crops_bgr, priority=self.priority)
