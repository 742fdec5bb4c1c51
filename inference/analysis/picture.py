"""What happens with one query picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.faces.analyzer import Face, FaceAnalyzer
from inference.sandbox.decoder import Decoder


@dataclass(frozen=True, slots=True, eq=False)
class AnalyzedPicture:
    """A picture and the faces in it.

    Attributes:
        width: of the upright picture, in pixels.
        height: likewise.
        faces: what was found, the largest first.
        embeddings: float32 (N, D), a row of length 1 for each face.
    """

    width: int
    height: int
    faces: Sequence[Face]
    embeddings: NDArray[np.float32]


def analyze_picture(decoder: Decoder, analyzer: FaceAnalyzer, data: bytes, *, every_face: bool) -> AnalyzedPicture:
    """Decode a picture, find its faces and embed them.

    Args:
        decoder: what reads the picture.
        analyzer: the pipeline.
        data: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF.
        every_face: whether to look closer at a large picture although large faces are found.

    Raises:
        MediaError: the picture cannot be read, or not within the limits.
        SandboxError: the decoder is broken.
        TritonError: the models do not answer.
    """
    image = decoder.decode_photo(data)
    (faces,) = analyzer.find_faces([image], retry=True)
    found_some = any(face.is_large_enough for face in faces)
    if analyzer.overlooks_small_faces(image) and (every_face or not found_some):
        faces = analyzer.find_small_faces(decoder.decode_photo(data, full_size=True), faces)
    return AnalyzedPicture(image.width, image.height, faces, analyzer.embed(faces))
