"""Golden vectors: what each model must answer to a picture that is drawn here, not stored.

The picture is a face of a few ellipses in colours whose channels differ, so that swapped channels, a wrong
normalisation or a wrong layout give another answer. It is drawn with integer arithmetic: the same bytes on
every machine.
"""

import numpy as np
from numpy.typing import NDArray

from inference.models.errors import GoldenMismatchError
from inference.models.manifest import EmbedderManifest, Manifest

MIN_COSINE = 0.999
"""bfloat16 keeps at least 0.9993 to float32 on photographs."""
MAX_SHIFT_PX = 1.5
MAX_SCORE_DIFFERENCE = 0.05
"""bfloat16 moves detector scores by up to 0.02."""

# Ellipses of a face in an area 112 wide and high, painted in this order: centre x, centre y, half width, half
# height, blue, green, red. The features lie where the ArcFace template puts them.
_ELLIPSES = (
    (56, 62, 43, 55, 30, 44, 70),
    (56, 68, 34, 46, 67, 5, 192),
    (38, 43, 10, 2, 38, 52, 84),
    (74, 43, 10, 2, 38, 52, 84),
    (38, 52, 8, 4, 226, 232, 238),
    (74, 52, 8, 4, 226, 232, 238),
    (38, 52, 4, 4, 70, 42, 26),
    (74, 52, 4, 4, 70, 42, 26),
    (56, 66, 4, 12, 56, 4, 163),
    (51, 75, 3, 2, 62, 82, 130),
    (61, 75, 3, 2, 62, 82, 130),
    (56, 92, 15, 5, 15, 71, 127),
    (56, 91, 13, 1, 40, 34, 96),
)
_BACKGROUND = (231, 52, 128)


def golden_input(manifest: Manifest) -> NDArray[np.uint8]:
    """Draw the picture for a model.

    Returns:
        uint8 (1, H, W, 3), BGR, of the model's first size; an embedder's is filled by the face, a detector's
        has it in the middle at half the height.
    """
    width, height = manifest.input.sizes[0]
    face_px = height if isinstance(manifest, EmbedderManifest) else height // 2
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = _BACKGROUND
    left, top = (width - face_px) // 2, (height - face_px) // 2
    rows, columns = np.ogrid[:height, :width]
    for centre_x, centre_y, half_width, half_height, *colour in _ELLIPSES:
        x = (columns - left) * 112 - centre_x * face_px
        y = (rows - top) * 112 - centre_y * face_px
        inside = (x * half_height) ** 2 + (y * half_width) ** 2 <= (half_width * half_height * face_px) ** 2
        picture[inside] = colour
    shade = (np.arange(width) * 60 // width).astype(np.uint8)
    picture = np.where(picture > shade[None, :, None], picture - shade[None, :, None], 0).astype(np.uint8)
    return picture[None]


def golden_output(manifest: Manifest) -> NDArray[np.float32]:
    """Read what the model must answer.

    Returns:
        An embedder's embedding, float32 (dimension,), or a detector's best detection, float32 (15,), as
        ONNX Runtime computes them in float32.
    """
    with (manifest.directory / "golden.npy").open("rb") as file:
        return np.load(file, allow_pickle=False)  # type: ignore[no-any-return]


def check(manifest: Manifest, answer: NDArray[np.float32]) -> None:
    """Compare a runtime's answer to the golden input with the golden output.

    Args:
        manifest: the model.
        answer: float32 (1, dimension) of an embedder, or (1, M, 15) of a detector, before non-maximum
            suppression: neighbouring anchors answer nearly alike, and which of them wins is no error.

    Raises:
        GoldenMismatchError: it is another answer.
    """
    expected = golden_output(manifest)
    if isinstance(manifest, EmbedderManifest):
        _check_embedding(manifest.name, expected, answer[0])
    else:
        _check_detection(manifest.name, expected, answer[0])


def _check_embedding(name: str, expected: NDArray[np.float32], embedding: NDArray[np.float32]) -> None:
    cosine = float(embedding @ expected / (np.linalg.norm(embedding) * np.linalg.norm(expected)))
    if not cosine >= MIN_COSINE:
        raise GoldenMismatchError(f"{name}: cosine {cosine:.4f} to the golden vector, below {MIN_COSINE}.")


def _check_detection(name: str, expected: NDArray[np.float32], detections: NDArray[np.float32]) -> None:
    score = 4
    score_difference = np.abs(detections[:, score] - expected[score])
    shift_px = np.abs(np.delete(detections - expected, score, axis=1)).max(axis=1)
    matching = (score_difference <= MAX_SCORE_DIFFERENCE) & (shift_px <= MAX_SHIFT_PX)
    if not matching.any():
        raise GoldenMismatchError(
            f"{name}: no detection within {MAX_SHIFT_PX:g} px and a score of {MAX_SCORE_DIFFERENCE:g} of the "
            f"golden one (nearest {shift_px.min(initial=np.inf):.1f} px)."
        )
