"""From the bytes of a photo to pixels."""

import struct
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.faces.errors import ImageTooLargeError, UnreadableImageError

MAX_PIXELS: Final = 100_000_000
"""The largest picture that is decoded. In the worst case (PNG) it takes 4 bytes a pixel."""

MIN_DECODED_SIDE_PX: Final = 1600
"""The longer side is never decoded smaller than this.

The detector sees at most 640 pixels of it and finds faces from about 16 of those, so that what it finds has
at least 40 pixels in the decoded picture, more than the smallest face that is accepted.
"""

_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes a picture upright, by the value of its EXIF orientation (Exif 2.32, section 4.6.4)."""

# Pillow only warns between its own limit and twice that; _check_size refuses, and exactly.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """An upright picture, possibly decoded smaller than it is.

    Attributes:
        pixels_bgr: uint8 (h, w, 3), BGR.
        width: of the full-size upright picture, in pixels.
        height: likewise.
    """

    pixels_bgr: NDArray[np.uint8]
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.pixels_bgr.dtype != np.uint8 or self.pixels_bgr.shape[2:] != (3,):
            raise ValueError(f"not uint8 (h, w, 3): {self.pixels_bgr.dtype} {self.pixels_bgr.shape}")

    @classmethod
    def from_pixels(cls, pixels_bgr: NDArray[np.uint8]) -> "DecodedImage":
        """Wrap pixels that are full-size: a frame of a video.

        Args:
            pixels_bgr: uint8 (H, W, 3), BGR.
        """
        return cls(pixels_bgr, width=pixels_bgr.shape[1], height=pixels_bgr.shape[0])

    @property
    def scale_xy(self) -> NDArray[np.float32]:
        """Full-size pixels per decoded pixel: float32 (2,), x then y."""
        height, width = self.pixels_bgr.shape[:2]
        return np.array([self.width / width, self.height / height], np.float32)


def decode_image(data: bytes) -> DecodedImage:
    """Decode a JPEG, PNG or WebP picture, by its signature and whatever its name was.

    The EXIF orientation is applied, transparent parts become white, and a large picture is decoded at a half,
    a quarter or an eighth of its size, down to ``MIN_DECODED_SIDE_PX``; a JPEG costs less that way.

    Args:
        data: the bytes of the file.

    Raises:
        UnreadableImageError: empty, another format, damaged or truncated.
        ImageTooLargeError: more than ``MAX_PIXELS``; found before decoding.
    """
    image_format = _format_of(data)
    try:
        with Image.open(BytesIO(data), formats=[image_format]) as image:
            _check_size(image)
            return _decode(image)
    # What Pillow's readers raise at damaged bytes, seen by flipping and cutting bytes of all three formats.
    except (ArithmeticError, LookupError, OSError, SyntaxError, ValueError, struct.error) as error:
        raise UnreadableImageError(
            f"The {image_format} picture is damaged or incomplete; upload an intact copy."
        ) from error


def _format_of(data: bytes) -> str:
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if not data:
        raise UnreadableImageError("The file is empty; upload a JPEG, PNG or WebP picture.")
    raise UnreadableImageError("The file is not a JPEG, PNG or WebP picture; convert it to one of these.")


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageTooLargeError(
            f"The picture has {image.width}x{image.height} pixels, more than {MAX_PIXELS // 10**6} million;"
            " upload a smaller version."
        )


def _decode(image: Image.Image) -> DecodedImage:
    size = image.size
    factor = max(1, max(size) // MIN_DECODED_SIDE_PX)
    image.draft(None, (size[0] // factor, size[1] // factor))
    image.load()
    # Read after loading: a PNG may carry its EXIF behind the pixels.
    orientation = image.getexif().get(_ORIENTATION_TAG)
    pixels = _opaque_rgb(_reduced(_continuous(image)))
    if orientation in _UPRIGHT:
        pixels = pixels.transpose(_UPRIGHT[orientation])
    width, height = reversed(size) if orientation in (5, 6, 7, 8) else size
    bgr = np.asarray(cv2.cvtColor(np.asarray(pixels), cv2.COLOR_RGB2BGR), np.uint8)
    return DecodedImage(bgr, width, height)


def _continuous(image: Image.Image) -> Image.Image:
    """Replace values that cannot be averaged, or that Pillow would clip, by 8-bit intensities."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int32) >> 8).clip(0, 255).astype(np.uint8))
    if image.mode in ("1", "P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _reduced(image: Image.Image) -> Image.Image:
    """Do for the other formats what ``draft`` does for JPEG."""
    factor = max(image.size) // MIN_DECODED_SIDE_PX
    return image.reduce(factor) if factor > 1 else image


def _opaque_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")
