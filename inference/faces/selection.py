"""Which face of a reference photo is the person's."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.faces.advice import refusal
from inference.faces.analyzer import Face
from inference.faces.boxes import iou
from inference.faces.errors import FaceNotAtBoxError, NoFaceError, SeveralFacesError

MIN_BOX_OVERLAP: Final = 0.1
"""Intersection over union with a box that a person drew: around a head and its shoulders it is about 0.2."""


def choose_face(faces: Sequence[Face], box_xyxy: NDArray[np.float32] | None = None) -> Face:
    """Choose the face of a reference photo, or say why there is none.

    Without a box it is the only face that can be recognised; small or blurred faces in the background do not
    count. With a box it is the face that overlaps it most.

    Args:
        faces: what was found in the photo.
        box_xyxy: float32 (4,): left, top, right, bottom in pixels of the full-size upright photo.

    Raises:
        NoFaceError: nothing was found.
        SeveralFacesError: several faces would do.
        FaceNotAtBoxError: no face overlaps the box.
        FaceTooSmallError: the face has too few pixels.
        FaceNotSharpError: the face is too blurred.
        FaceBadlyExposedError: the face is too dark or too bright.
    """
    if not faces:
        raise NoFaceError("No face was found; upload a photo that shows the face from the front.")
    face = _only_usable(faces) if box_xyxy is None else _nearest(faces, box_xyxy)
    if (error := refusal(face.quality)) is not None:
        raise error
    return face


def _only_usable(faces: Sequence[Face]) -> Face:
    usable = [face for face in faces if refusal(face.quality) is None]
    if len(usable) > 1:
        raise SeveralFacesError(
            f"The photo shows {len(usable)} faces; say which one by its box, or upload a photo of one person."
        )
    return usable[0] if usable else faces[0]


def _nearest(faces: Sequence[Face], box_xyxy: NDArray[np.float32]) -> Face:
    overlaps = iou(box_xyxy[None], np.stack([face.box_xyxy for face in faces]))[0]
    best = int(np.argmax(overlaps))
    if overlaps[best] < MIN_BOX_OVERLAP:
        raise FaceNotAtBoxError(
            f"None of the {len(faces)} faces in the photo is at the given box; give the box of one of them."
        )
    return faces[best]
