"""One face for a reference photo, looked for as closely as it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.faces.analyzer import Face, FaceAnalyzer
from inference.faces.decode import DecodedImage
from inference.faces.errors import FaceNotAtBoxError, FaceTooSmallError, NoFaceError
from inference.faces.selection import choose_face
from inference.faces.thumbnail import face_thumbnail

# What may be wrong only because a face was too small to be found at once.
_LOOK_CLOSER = (NoFaceError, FaceNotAtBoxError, FaceTooSmallError)


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A reference photo.

    Attributes:
        image: decoded, perhaps smaller than it is.
        decode_full_size: decodes it again, every pixel.
        box_xyxy: float32 (4,), where the person is, in pixels of the full-size upright photo; None: the only face.
    """

    image: DecodedImage
    decode_full_size: Callable[[], DecodedImage]
    box_xyxy: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledFace:
    """The face of a reference photo.

    Attributes:
        face: the face.
        thumbnail: the face, cropped and upright; JPEG.
    """

    face: Face
    thumbnail: bytes


def choose_enrolled_face(analyzer: FaceAnalyzer, photo: Photo, faces: Sequence[Face]) -> EnrolledFace:
    """Choose the face of a photo; look closer at a large photo before saying that there is none.

    Args:
        analyzer: the pipeline.
        photo: the photo.
        faces: what was found in it at once.

    Raises:
        MediaError: as `choose_face`.
    """
    image = photo.image
    try:
        face = choose_face(faces, photo.box_xyxy)
    except _LOOK_CLOSER:
        if not analyzer.overlooks_small_faces(image):
            raise
        image = photo.decode_full_size()
        face = choose_face(analyzer.find_small_faces(image, faces), photo.box_xyxy)
    return EnrolledFace(face, face_thumbnail(image, face))
