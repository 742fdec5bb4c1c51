"""What the measured quality of a face means to the person who takes the photo: a refusal, or advice for a better one.

Only what makes a face unrecognisable is refused, by the photographs that `inference.faces.quality` was measured on: a
limit stands where more than half of what is past it is not recognised at a false match rate of 1e-3. A face
that is turned away or covered is not refused. Past 45 degrees the measured pose falls again, and of the faces turned by
rendering that measure like those at 60 degrees (40 % recognised) most are at 45 (91 %); with a surgical mask over
the lower face 88 to 96 % are recognised, with sunglasses all.
"""

import math
from typing import Final

from inference.errors import MediaError
from inference.faces.errors import FaceBadlyExposedError, FaceNotSharpError, FaceTooSmallError
from inference.faces.exposure import Exposure
from inference.faces.pose import Pose
from inference.faces.quality import FaceQuality
from whodex.v1.person_pb2 import PhotoWarning

MIN_FACE_SIZE_PX: Final = 32.0
"""Shorter side of the box. Faces shrunk to 31 pixels keep 0.90 of their similarity and are all recognised, to 25
pixels 0.79 and all, to 19 pixels 0.64 and 96 % of those that are found, one half."""

MIN_SHARPNESS: Final = 1.75
"""Of 3,348 faces that were blurred, moved and shrunk, with noise and darkness, 71 % of those below this are not
recognised, 38 % up to 2.5, 17 % up to 4, 1 % above."""

MIN_LUMINANCE: Final = 0.04
"""Of faces darkened to less 82 % are not recognised, up to 0.06 14 %, up to 0.1 13 %, up to 0.2 one in 200."""

MAX_BRIGHT_SHARE: Final = 0.9
"""Of overexposed faces with more white 77 % are not recognised, from 0.8 on 40 %, from 0.6 on 18 %, from 0.3 on 2 %."""

# From here on a photo is worth a warning: the embedding loses a tenth of its similarity or more.
GOOD_EYE_DISTANCE_PX: Final = 18.0
"""Keeps 0.96 of the similarity; 13 pixels 0.89, 11 pixels 0.80, 7 pixels 0.64."""
GOOD_SHARPNESS: Final = 4.0
"""Press photographs lie between 4.3 and 13.7."""
GOOD_YAW_DEGREES: Final = 25.0
"""What a turn by 30 degrees is measured as; 0.77 of the similarity is left."""
GOOD_PITCH_DEGREES: Final = 25.0
"""What a nod by 45 degrees is measured as; 0.4 of the similarity is left. At 20 one photograph in 17 was warned of that
had lost nothing."""
GOOD_LUMINANCE: Final = 0.1
GOOD_BRIGHT_SHARE: Final = 0.5
GOOD_DARK_SHARE: Final = 0.3
"""Of faces with more black pixels 19 % are not recognised, up to it 3 %."""
GOOD_OCCLUSION: Final = 0.5
"""See `measure_occlusion`."""


def refusal(quality: FaceQuality) -> MediaError | None:
    """Returns why a face is too poor to be recognised, with what was measured and what is needed; None if it is not."""
    if quality.face_size_px < MIN_FACE_SIZE_PX:
        return FaceTooSmallError(
            f"The face is {math.floor(quality.face_size_px)} px wide, at least {MIN_FACE_SIZE_PX:.0f} are needed:"
            " move closer or crop less."
        )
    if quality.sharpness < MIN_SHARPNESS:
        return FaceNotSharpError(
            f"The face has a sharpness of {_floor(quality.sharpness)}, at least {MIN_SHARPNESS} is needed:"
            f" {_sharper(quality)}."
        )
    if quality.exposure.luminance < MIN_LUMINANCE:
        return FaceBadlyExposedError(
            f"The face has a luminance of {_floor(quality.exposure.luminance)}, at least {MIN_LUMINANCE} is needed:"
            " take the photo in more light."
        )
    if quality.exposure.bright_share > MAX_BRIGHT_SHARE:
        return FaceBadlyExposedError(
            f"{math.ceil(100 * quality.exposure.bright_share)} % of the face is white, at most"
            f" {100 * MAX_BRIGHT_SHARE:.0f} % can be: take the photo in less light or without flash."
        )
    return None


def photo_warnings(quality: FaceQuality) -> list[PhotoWarning]:
    """Returns what would make a photo better that is good enough."""
    sentences = {
        PhotoWarning.KIND_LOW_RESOLUTION: _about_resolution(quality),
        PhotoWarning.KIND_BLURRED: _about_sharpness(quality),
        PhotoWarning.KIND_TURNED_AWAY: _about_pose(quality.pose),
        PhotoWarning.KIND_BADLY_EXPOSED: _about_exposure(quality.exposure),
        PhotoWarning.KIND_OCCLUDED: _about_occlusion(quality),
    }
    return [PhotoWarning(kind=kind, message=sentence) for kind, sentence in sentences.items() if sentence]


def _about_resolution(quality: FaceQuality) -> str:
    if quality.eye_distance_px >= GOOD_EYE_DISTANCE_PX:
        return ""
    return (
        f"The eyes are {math.floor(quality.eye_distance_px)} px apart, {GOOD_EYE_DISTANCE_PX:.0f} or more are better:"
        " move closer or crop less."
    )


def _about_sharpness(quality: FaceQuality) -> str:
    if quality.sharpness >= GOOD_SHARPNESS:
        return ""
    return (
        f"The face has a sharpness of {_floor(quality.sharpness)}, {GOOD_SHARPNESS:.0f} or more is better:"
        f" {_sharper(quality)}."
    )


def _about_pose(pose: Pose) -> str:
    if abs(pose.yaw) >= GOOD_YAW_DEGREES:
        return (
            f"The face is turned aside by {abs(pose.yaw):.0f} degrees, less than {GOOD_YAW_DEGREES:.0f} is better:"
            " look into the camera."
        )
    if abs(pose.pitch) >= GOOD_PITCH_DEGREES:
        direction = "up" if pose.pitch > 0 else "down"
        return (
            f"The face looks {direction} by {abs(pose.pitch):.0f} degrees, less than {GOOD_PITCH_DEGREES:.0f} is"
            " better: hold the camera at the height of the eyes."
        )
    return ""


def _about_exposure(exposure: Exposure) -> str:
    if exposure.luminance < GOOD_LUMINANCE:
        return (
            f"The face has a luminance of {_floor(exposure.luminance)}, {GOOD_LUMINANCE} or more is better:"
            " take the photo in more light."
        )
    if exposure.bright_share > GOOD_BRIGHT_SHARE:
        return (
            f"{100 * exposure.bright_share:.0f} % of the face is white, {100 * GOOD_BRIGHT_SHARE:.0f} or less is"
            " better: take the photo in less light or without flash."
        )
    if exposure.dark_share > GOOD_DARK_SHARE:
        return (
            f"{100 * exposure.dark_share:.0f} % of the face is black, {100 * GOOD_DARK_SHARE:.0f} or less is better:"
            " light the face from the front."
        )
    return ""


def _about_occlusion(quality: FaceQuality) -> str:
    if quality.occlusion < GOOD_OCCLUSION:
        return ""
    return (
        f"Something may cover the eyes or the mouth (occlusion {quality.occlusion:.2f}, less than {GOOD_OCCLUSION} is"
        " usual): a photo without mask, dark glasses or hand is better."
    )


def _sharper(quality: FaceQuality) -> str:
    """What helps: a face with few pixels is enlarged, and has nothing to focus on."""
    if quality.eye_distance_px < GOOD_EYE_DISTANCE_PX:
        return "move closer or crop less"
    return "focus on the face and hold the camera still"


def _floor(value: float) -> float:
    """To two decimals, never up: what is below a limit must not read as if it reached it."""
    return math.floor(100 * value) / 100
