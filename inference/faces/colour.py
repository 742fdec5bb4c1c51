"""From any kind of pixels to 8-bit sRGB."""

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

_SRGB: Final = ImageCms.createProfile("sRGB")

_MODE_OF_PROFILE: Final = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK", "Lab ": "LAB"}
"""Which pixels a profile is about, by its colour space (ICC.1:2022, table 19)."""

_WHITES: Final = (1.0, 255.0, 65535.0, 2.0**31, 2.0**32)
"""What white may be in pixels of a type that does not say it."""

_SAME_COLOUR: Final = 2
"""In 8-bit values. Profiles of sRGB by several makers differ by 1 from that of Little CMS."""


def to_srgb(image: Image.Image) -> Image.Image:
    """Convert 8-bit pixels of any mode.

    The embedded ICC profile decides what the values mean; one that is damaged or of another kind of pixels is
    ignored, as browsers do. Without one RGB and grey values are taken for sRGB, and CMYK for its complement.
    Transparent parts become white.

    Args:
        image: of mode L, LA, La, RGB, RGBA, CMYK, YCbCr or LAB, or RGB or L with a transparent colour.

    Returns:
        Mode RGB.
    """
    profile = image.info.get("icc_profile")
    if image.mode == "La":
        image = image.convert("LA")
    elif image.mode == "YCbCr":
        image = image.convert("RGB")
    elif "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode not in ("LA", "RGBA"):
        return _applied(image, profile)
    opaque = _applied(image.convert(image.mode.removesuffix("A")), profile)
    white = Image.new("RGB", image.size, "white")
    white.paste(opaque, mask=image.getchannel("A"))
    return white


def to_8_bit(values: NDArray[np.generic], white: float) -> NDArray[np.uint8]:
    """Bring intensities of another type to 0..255.

    Args:
        values: numbers of any type and shape; what is no number is black.
        white: the value of white; what is brighter is white.

    Returns:
        uint8, of the same shape.
    """
    finite = np.nan_to_num(values.astype(np.float32), posinf=white, neginf=0)
    return (finite * np.float32(255 / white) + np.float32(0.5)).clip(0, 255).astype(np.uint8)


def guess_white(values: NDArray[np.generic]) -> float:
    """Say what white is in values of a type that does not say it: floating point, signed or of 32 bits.

    Args:
        values: some of the picture's.

    Returns:
        The smallest of 1, 255, 65535, 2**31 and 2**32 that is not below the median. The maximum would not do: a
        lamp may be many times as bright as white.
    """
    # np.median imports a module when it is first called; decoding imports nothing.
    ordered = np.sort(np.nan_to_num(values.astype(np.float64)), axis=None)
    return next((white for white in _WHITES if ordered[len(ordered) // 2] <= white), _WHITES[-1])


def _applied(image: Image.Image, profile: bytes | None) -> Image.Image:
    transform = _transform(profile, image.mode) if profile else None
    if transform is None and image.mode == "LAB":
        transform = ImageCms.buildTransform(ImageCms.createProfile("LAB"), _SRGB, "LAB", "RGB")
    if transform is None:
        return image.convert("RGB")
    return transform.apply(image)


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """How a profile becomes sRGB; None when it says nothing that changes a pixel.

    Most pictures carry a profile of sRGB. To find that out takes 1 ms, to apply it 35 ms a megapixel.
    """
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        if _MODE_OF_PROFILE.get(source.profile.xcolor_space) != mode:
            return None
        transform = ImageCms.buildTransform(source, _SRGB, mode, "RGB")
    except (OSError, ImageCms.PyCMSError):
        return None
    return None if mode in ("L", "RGB") and _changes_nothing(transform, mode) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    levels = np.arange(0, 256, 15).astype(np.uint8)
    samples = levels[:, None] if mode == "L" else _cube(levels)
    before = Image.fromarray(samples)
    after = transform.apply(before)
    difference = np.asarray(after, np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return bool(np.abs(difference).max() <= _SAME_COLOUR)


def _cube(levels: Sequence[int] | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every colour of some levels: uint8 (n * n, n, 3)."""
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, len(levels), 3).astype(np.uint8)
