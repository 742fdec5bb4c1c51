"""Small pictures of faces, for people to look at."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.faces.analyzer import Face
from inference.faces.decode import DecodedImage
from inference.faces.scaling import halve_until
from inference.faces.turning import turned, upright_turn

THUMBNAIL_SIZE_PX: Final = 256
MARGIN: Final = 0.3
"""Space around the face on each side, as a share of the longer side of its box: shows hair and chin."""
_JPEG_QUALITY: Final = 85


def face_thumbnail(image: DecodedImage, face: Face) -> bytes:
    """Cut a face and a margin out of a picture, and turn it so that the face is upright.

    Args:
        image: the picture.
        face: where it is, at least in part within the picture.

    Returns:
        JPEG bytes; square unless the picture ends, at most ``THUMBNAIL_SIZE_PX`` a side, never enlarged.
    """
    region = turned(_region(image, face.box_xyxy), upright_turn(face.landmarks_xy))
    scale = min(1.0, THUMBNAIL_SIZE_PX / max(region.shape[:2]))
    halved, _ = halve_until(region, scale)
    size = (max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale)))
    smaller = cv2.resize(halved, size, interpolation=cv2.INTER_LINEAR)
    _, encoded = cv2.imencode(".jpg", smaller, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()


def _region(image: DecodedImage, box_xyxy: NDArray[np.float32]) -> NDArray[np.uint8]:
    box = box_xyxy.reshape(2, 2) / image.scale_xy
    centre, half_side = box.mean(axis=0), (box[1] - box[0]).max() * (0.5 + MARGIN)
    height, width = image.pixels_bgr.shape[:2]
    left, top = np.floor(centre - half_side).astype(int).clip(0, [width - 1, height - 1])
    right, bottom = np.ceil(centre + half_side).astype(int).clip([left + 1, top + 1], [width, height])
    return image.pixels_bgr[top:bottom, left:right]
