from __future__ import annotations

import contextlib
import struct
import time
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference.errors import MediaError
from inference.faces.decode import MAX_PIXELS, MIN_DECODED_SIDE_PX, DecodedImage, decode_image
from inference.faces.errors import ImageTooLargeError, UnreadableImageError

ORIENTATION_TAG = 0x0112
FORMATS = ("JPEG", "PNG", "WEBP")

# How a camera stores the upright picture, by the EXIF orientation that undoes it.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def encoded(image: Image.Image, image_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def quadrants() -> np.ndarray:
    """uint8 (64, 96, 3), RGB: red and green above, blue and white below."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:32, :48] = (255, 0, 0)
    picture[:32, 48:] = (0, 255, 0)
    picture[32:, :48] = (0, 0, 255)
    picture[32:, 48:] = (255, 255, 255)
    return picture


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that claims a size; its pixels never come."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("image_format", FORMATS)
def test_channels_come_out_as_bgr(image_format: str):
    red = Image.new("RGB", (32, 16), (255, 0, 0))
    decoded = decode_image(encoded(red, image_format))
    assert decoded.pixels_bgr.shape == (16, 32, 3)
    assert decoded.pixels_bgr.dtype == np.uint8
    np.testing.assert_allclose(decoded.pixels_bgr[8, 16], (0, 0, 255), atol=3)


@pytest.mark.parametrize("image_format", FORMATS)
@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(image_format: str, orientation: int):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](quadrants())))
    options = {"lossless": True} if image_format == "WEBP" else {"quality": 95} if image_format == "JPEG" else {}
    decoded = decode_image(encoded(stored, image_format, exif=exif, **options))
    assert (decoded.width, decoded.height) == (96, 64)
    corners = decoded.pixels_bgr[[8, 8, 56, 56], [8, 88, 8, 88]]
    np.testing.assert_allclose(corners, [(0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255)], atol=12)


@pytest.mark.parametrize("image_format", FORMATS)
def test_large_picture_is_decoded_smaller_and_keeps_its_size(image_format: str):
    decoded = decode_image(encoded(Image.new("RGB", (4032, 3024), "gray"), image_format))
    assert (decoded.width, decoded.height) == (4032, 3024)
    assert decoded.pixels_bgr.shape == (1512, 2016, 3)
    np.testing.assert_array_equal(decoded.scale_xy, [2, 2])


def test_large_picture_on_its_side_keeps_its_upright_size():
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    decoded = decode_image(encoded(Image.new("RGB", (4032, 3024)), "JPEG", exif=exif))
    assert (decoded.width, decoded.height) == (3024, 4032)
    assert decoded.pixels_bgr.shape == (2016, 1512, 3)


@given(st.integers(1, 5000), st.integers(1, 40))
def test_longer_side_is_never_decoded_below_the_minimum(long_side: int, short_side: int):
    decoded = decode_image(encoded(Image.new("L", (long_side, short_side)), "PNG"))
    assert decoded.pixels_bgr.shape[1] >= min(long_side, MIN_DECODED_SIDE_PX)
    assert decoded.width == long_side


def test_transparent_parts_become_white():
    picture = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    picture.putpixel((0, 0), (10, 20, 30, 255))
    decoded = decode_image(encoded(picture, "PNG"))
    assert decoded.pixels_bgr[0, 0].tolist() == [30, 20, 10]
    assert decoded.pixels_bgr[3, 7].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("mode", "colour"), [("L", 128), ("1", 1), ("P", 0), ("LA", (128, 255)), ("I;16", 128 * 256), ("CMYK", 0)]
)
def test_every_colour_mode_is_read(mode: str, colour: object):
    image_format = "JPEG" if mode == "CMYK" else "PNG"
    decoded = decode_image(encoded(Image.new(mode, (1700, 3400), colour), image_format))
    assert decoded.pixels_bgr.shape == (1700, 850, 3)


def test_16_bit_grey_is_scaled_not_clipped():
    decoded = decode_image(encoded(Image.fromarray(np.full((4, 4), 128 * 256, np.uint16)), "PNG"))
    assert (decoded.pixels_bgr == 128).all()


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"", "empty"),
        (b"not a picture at all", "not a JPEG, PNG or WebP"),
        (b"GIF89a" + bytes(40), "not a JPEG, PNG or WebP"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "damaged or incomplete"),
        (png_header(0, 0), "damaged or incomplete"),
    ],
)
def test_what_is_no_picture_is_refused_with_a_sentence(data: bytes, hint: str):
    with pytest.raises(UnreadableImageError, match=hint):
        decode_image(data)


@pytest.mark.parametrize("image_format", FORMATS)
def test_half_a_picture_is_refused(image_format: str):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    whole = encoded(Image.fromarray(pixels), image_format)
    with pytest.raises(UnreadableImageError, match="damaged or incomplete"):
        decode_image(whole[: len(whole) // 2])


@pytest.mark.parametrize("width", [50_000, 10_001])
def test_too_many_pixels_are_refused_before_decoding(width: int):
    started = time.perf_counter()
    with pytest.raises(ImageTooLargeError, match=f"{width}x{width} pixels, more than 100 million"):
        decode_image(png_header(width, width))
    assert time.perf_counter() - started < 0.1
    assert width * width > MAX_PIXELS


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.data())
def test_damaged_bytes_decode_or_raise_media_errors(data: st.DataObject):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    image_format = data.draw(st.sampled_from(FORMATS))
    bytes_ = bytearray(encoded(Image.fromarray(quadrants()), image_format, exif=exif))
    for _ in range(data.draw(st.integers(1, 5))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(bytes_)))
    with contextlib.suppress(MediaError):
        assert decode_image(bytes(bytes_[:cut])).pixels_bgr.size > 0


def test_pixels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="not uint8"):
        DecodedImage.from_pixels(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="not uint8"):
        DecodedImage.from_pixels(np.zeros((4, 4, 3), np.float32))
