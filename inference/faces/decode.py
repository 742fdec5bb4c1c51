"""From the bytes of a photo to pixels."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, UnidentifiedImageError
from pillow_heif import register_heif_opener

from inference.faces.colour import guess_white, to_8_bit, to_srgb
from inference.faces.errors import ImageTooLargeError, UnreadableImageError
from inference.faces.tiff import DeepTiff, open_deep_tiff
from whodex.runtime.pictures import SUPPORTED_FORMATS, PictureFormat, picture_format

MAX_PIXELS: Final = 100_000_000
"""The largest picture that is decoded. It takes at most 1.2 GiB (AVIF with alpha); a JPEG 0.2 GiB, or 1.0 at full size.
Measured as the peak of a process that decodes one picture of 10,000x10,000 pixels, for every format."""

MAX_WEBP_PIXELS: Final = 80_000_000
"""Its decoder holds four copies: 1.3 GiB at this size."""

MAX_DEEP_BYTES: Final = 4 * MAX_PIXELS
"""Of pixels that are decoded to more than 8 bits a channel, before they are made smaller."""

MIN_DECODED_SIDE_PX: Final = 1600
"""The longer side is never decoded smaller than this.

The detector sees at most 640 pixels of it and finds faces from about 24 of those, so that what it finds has
at least 60 pixels in the decoded picture, more than the smallest face that is accepted.
"""

_READERS: Final = {
    PictureFormat.JPEG: "JPEG",
    PictureFormat.PNG: "PNG",
    PictureFormat.WEBP: "WEBP",
    PictureFormat.HEIC: "HEIF",
    PictureFormat.AVIF: "AVIF",
    PictureFormat.TIFF: "TIFF",
    PictureFormat.BMP: "BMP",
    PictureFormat.GIF: "GIF",
}
"""Pillow's names."""

_BAND_HEIGHT: Final = 512
_ORIENTATION_TAG: Final = 0x0112
_SUBFILE_TYPE_TAG: Final = 0x00FE
_REDUCED_RESOLUTION: Final = 1

_UPRIGHT: Final[dict[int, Callable[[NDArray[np.uint8]], cv2.typing.MatLike]]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""What makes a picture upright, by the value of its EXIF orientation (Exif 2.32, section 4.6.4)."""

# What the readers raise at damaged bytes, seen by flipping and cutting bytes of every format.
_DAMAGED: Final = (
    ArithmeticError, AssertionError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error,
)  # fmt: skip

# Pillow only warns between its own limit and twice that; _check_size refuses, and exactly.
Image.MAX_IMAGE_PIXELS = None
# Every reader is registered here, so that decoding itself imports nothing and opens no file.
Image.init()
# An embedded thumbnail may show something else than the picture.
register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


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


@dataclass(frozen=True, slots=True, eq=False)
class _Stored:
    """A picture as it is stored.

    Attributes:
        pixels: of 8 bits; maybe smaller than the picture.
        size: width and height of the picture, in pixels.
        orientation: the value of the EXIF tag that is still to be applied.
    """

    pixels: Image.Image
    size: tuple[int, int]
    orientation: int


def decode_image(data: bytes, *, full_size: bool = False) -> DecodedImage:
    """Decode a picture of any format of `whodex.runtime.pictures`, by its signature and whatever its name was.

    Of several pictures in a file it is the primary or first one. The orientation is applied (EXIF; in HEIC and AVIF
    their own rotation and mirroring, which EXIF repeats there), the ICC profile becomes sRGB, and transparent parts
    become white. See docs/pictures.md for what is read of each format.

    Args:
        data: the bytes of the file.
        full_size: whether to keep every pixel. Otherwise a large picture is decoded at a whole fraction of its size,
            down to ``MIN_DECODED_SIDE_PX``; a JPEG costs less that way.

    Raises:
        UnreadableImageError: empty, another format, damaged or truncated.
        ImageTooLargeError: more than ``MAX_PIXELS``; found before decoding.
    """
    image_format = _format_of(data)
    try:
        return _finish(_read(data, image_format, min_side_px=MAX_PIXELS if full_size else MIN_DECODED_SIDE_PX))
    except _DAMAGED as error:
        raise UnreadableImageError(
            f"The {image_format.name} picture is damaged or incomplete; upload an intact copy."
        ) from error


def _format_of(data: bytes) -> PictureFormat:
    if not data:
        raise UnreadableImageError(f"The file is empty; upload a {SUPPORTED_FORMATS} picture.")
    image_format = picture_format(data)
    if image_format is None:
        raise UnreadableImageError(f"The file is not a {SUPPORTED_FORMATS} picture; convert it to one of these.")
    return image_format


def _read(data: bytes, image_format: PictureFormat, *, min_side_px: int) -> _Stored:
    try:
        image = Image.open(BytesIO(data), formats=[_READERS[image_format]])
    except UnidentifiedImageError:
        if image_format is not PictureFormat.TIFF:
            raise
        return _read_deep_tiff(open_deep_tiff(data), min_side_px)
    _check_size(*image.size, MAX_WEBP_PIXELS if image_format is PictureFormat.WEBP else MAX_PIXELS)
    size, orientation = _load(image, min_side_px)
    return _Stored(_reduced(_continuous(image), min_side_px), size, orientation)


def _load(image: Image.Image, min_side_px: int) -> tuple[tuple[int, int], int]:
    """Decode the pixels.

    Returns:
        The full size and the orientation.
    """
    with image:  # what the reader holds is freed at the end
        size = image.size
        _check_is_no_preview(image)
        factor = max(1, max(size) // min_side_px)
        drafted = image.draft(None, (max(1, size[0] // factor), max(1, size[1] // factor)))
        image.load()
        # Read after loading: a PNG may carry its EXIF behind the pixels, and TIFF is made upright meanwhile.
        return size if drafted else image.size, _orientation(image)


def _read_deep_tiff(tiff: DeepTiff, min_side_px: int) -> _Stored:
    _check_size(tiff.width, tiff.height, MAX_DEEP_BYTES // max(1, tiff.bytes_per_pixel))
    pixels = Image.fromarray(tiff.read())
    pixels.info["icc_profile"] = tiff.icc_profile
    return _Stored(_reduced(pixels, min_side_px), pixels.size, orientation=1)


def _finish(stored: _Stored) -> DecodedImage:
    pixels = np.empty((stored.pixels.height, stored.pixels.width, 3), np.uint8)
    for top, band in _bands(stored.pixels):
        cv2.cvtColor(np.asarray(to_srgb(band)), cv2.COLOR_RGB2BGR, dst=pixels[top : top + band.height])
    if stored.orientation in _UPRIGHT:
        pixels = np.asarray(_UPRIGHT[stored.orientation](pixels), np.uint8)
    width, height = reversed(stored.size) if stored.orientation in (5, 6, 7, 8) else stored.size
    return DecodedImage(pixels, width, height)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Cut into bands, so that what is made of a large picture on the way takes little memory beside it."""
    for top in range(0, image.height, _BAND_HEIGHT):
        yield top, image.crop((0, top, image.width, min(top + _BAND_HEIGHT, image.height)))


def _check_size(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"The picture has {width}x{height} pixels, more than {max_pixels // 10**6} million;"
            " upload a smaller version."
        )


def _check_is_no_preview(image: Image.Image) -> None:
    """Most raw files of cameras are TIFF files that begin with a small preview."""
    if (
        isinstance(image, TiffImagePlugin.TiffImageFile)
        and image.tag_v2.get(_SUBFILE_TYPE_TAG, 0) & _REDUCED_RESOLUTION
    ):
        raise UnreadableImageError("The file begins with a preview, as raw photos do; export the photo as JPEG.")


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGED:
        # Nothing is wrong with the pixels.
        return 1
    return orientation if isinstance(orientation, int) else 1


def _continuous(image: Image.Image) -> Image.Image:
    """Replace values that cannot be averaged, or that are not of 8 bits, by 8-bit intensities."""
    if image.mode.startswith("I;16"):
        return _from_deep(image, white=65535)
    if image.mode in ("I", "F"):
        return _from_deep(image, guess_white(np.asarray(image.resize((256, 256), Image.Resampling.NEAREST))))
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _from_deep(image: Image.Image, white: float) -> Image.Image:
    grey = np.empty((image.height, image.width), np.uint8)
    for top, band in _bands(image):
        grey[top : top + band.height] = to_8_bit(np.asarray(band), white)
    converted = Image.fromarray(grey)
    converted.info["icc_profile"] = image.info.get("icc_profile")
    return converted


def _reduced(image: Image.Image, min_side_px: int) -> Image.Image:
    """Do for the other formats what ``draft`` does for JPEG."""
    factor = max(image.size) // min_side_px
    return image.reduce(factor) if factor > 1 else image
