from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
import time
import zlib
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from inference.errors import MediaError
from inference.faces.decode import MAX_PIXELS, MIN_DECODED_SIDE_PX, DecodedImage, decode_image
from inference.faces.errors import ImageTooLargeError, UnreadableImageError
from tests.pictures.encodings import ORIENTATION_TAG, Encoding, encodings, plain_tiff, save, turned_exif
from tests.pictures.profiles import rgb_profile
from whodex.runtime.pictures import SIGNATURE_BYTES, PictureFormat, picture_format

SUBFILE_TYPE_TAG = 0x00FE

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF")
ENCODINGS = encodings()

# Even areas, of colours that every ink and every palette has: red and green above, blue and almost white below.
AREAS_RGB = np.array([(200, 60, 50), (60, 160, 80), (50, 70, 180), (230, 220, 210)])
LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601."""


def quadrants() -> np.ndarray:
    """uint8 (96, 160, 3), RGB: the four areas."""
    return np.kron(AREAS_RGB.reshape(2, 2, 3), np.ones((48, 80, 1))).astype(np.uint8)


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that claims a size; its pixels never come."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(one) - 4) + one + struct.pack(">I", zlib.crc32(one)) for one in (header, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def webp_header(width: int, height: int) -> bytes:
    """A WebP that claims a size; RFC 9649 2.7."""
    extended = (
        b"VP8X" + struct.pack("<II", 10, 0) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    pixels = b"VP8L" + struct.pack("<I", 6) + b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0"
    return b"RIFF" + struct.pack("<I", 4 + len(extended) + len(pixels)) + b"WEBP" + extended + pixels


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_every_encoding_comes_out_upright_and_in_its_colours(encoding: Encoding):
    data = encoding.encode(quadrants())
    decoded = decode_image(data)
    assert picture_format(data[:SIGNATURE_BYTES]) is encoding.format
    assert (decoded.width, decoded.height) == (160, 96)
    assert decoded.pixels_bgr.shape == (96, 160, 3)
    expected = np.repeat(AREAS_RGB @ LUMA, 3).reshape(4, 3) if encoding.grey else AREAS_RGB
    found = decoded.pixels_bgr[[24, 24, 72, 72], [40, 120, 40, 120], ::-1]
    np.testing.assert_allclose(found, expected, atol=encoding.tolerance)


def test_turned_encodings_are_stored_turned():
    """Otherwise the test above would say nothing."""
    tags_of_containers = {PictureFormat.HEIC: b"irot", PictureFormat.AVIF: b"irot"}
    for encoding in (one for one in ENCODINGS if one.name.endswith("orientation 6")):
        data = encoding.encode(quadrants())
        assert tags_of_containers.get(encoding.format, b"") in data
        if encoding.name != "tiff float orientation 6":  # which Pillow does not open
            with Image.open(BytesIO(data)) as image:
                turned = image.getexif().get(ORIENTATION_TAG), image.info.get("original_orientation")
                assert 6 in turned, encoding.name


def test_heic_is_not_turned_twice():
    """Telephones write the rotation into the container, and again into EXIF."""
    turned = next(one for one in ENCODINGS if one.name == "heic orientation 6").encode(quadrants())
    exif = turned_exif(6).tobytes()
    assert exif[6:] in turned or exif in turned
    assert decode_image(turned).width == 160


@pytest.mark.parametrize("image_format", FORMATS)
def test_large_picture_is_decoded_smaller_and_keeps_its_size(image_format: str):
    decoded = decode_image(save(Image.new("RGB", (4032, 302), "gray"), image_format))
    assert (decoded.width, decoded.height) == (4032, 302)
    assert decoded.pixels_bgr.shape == (151, 2016, 3)
    np.testing.assert_array_equal(decoded.scale_xy, [2, 2])


def test_large_picture_on_its_side_keeps_its_upright_size():
    decoded = decode_image(save(Image.new("RGB", (4032, 3024)), "JPEG", exif=turned_exif(6)))
    assert (decoded.width, decoded.height) == (3024, 4032)
    assert decoded.pixels_bgr.shape == (2016, 1512, 3)


@given(st.integers(1, 5000), st.integers(1, 40))
def test_longer_side_is_never_decoded_below_the_minimum(long_side: int, short_side: int):
    decoded = decode_image(save(Image.new("L", (long_side, short_side)), "PNG"))
    assert decoded.pixels_bgr.shape[1] >= min(long_side, MIN_DECODED_SIDE_PX)
    assert decoded.width == long_side


def test_transparent_parts_become_white():
    picture = Image.new("RGBA", (8, 4), (0, 0, 0, 0))
    picture.putpixel((0, 0), (10, 20, 30, 255))
    decoded = decode_image(save(picture, "PNG"))
    assert decoded.pixels_bgr[0, 0].tolist() == [30, 20, 10]
    assert decoded.pixels_bgr[3, 7].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("mode", "image_format", "colour"),
    [
        ("1", "PNG", 1),
        ("P", "PNG", 0),
        ("LA", "PNG", (128, 255)),
        ("I;16", "PNG", 128 * 256),
        ("CMYK", "JPEG", 0),
        ("F", "TIFF", 0.5),
        ("RGBA", "WEBP", "red"),
        ("RGB", "GIF", "red"),
    ],
)
def test_every_kind_of_pixels_is_decoded_smaller(mode: str, image_format: str, colour: object):
    decoded = decode_image(save(Image.new(mode, (1700, 3400), colour), image_format))
    assert (decoded.width, decoded.height) == (1700, 3400)
    assert decoded.pixels_bgr.shape == (1700, 850, 3)


def test_numbers_that_are_none_are_black():
    values = np.full((8, 8), 0.5, np.float32)
    values[0] = np.nan
    values[7] = np.inf
    decoded = decode_image(save(Image.fromarray(values), "TIFF"))
    assert decoded.pixels_bgr[:, 0, 0].tolist() == [0, *[128] * 6, 255]


def test_a_profile_changes_colours_that_it_means_differently():
    """What looks alike in the test of all encodings is stored as other values."""
    stored = Image.fromarray(quadrants())
    with_profile = decode_image(save(stored, "PNG", icc_profile=rgb_profile())).pixels_bgr
    without = decode_image(save(stored, "PNG")).pixels_bgr
    assert np.abs(with_profile.astype(int) - without)[24, 40].max() > 15


def test_a_profile_of_srgb_changes_nothing():
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    decoded = decode_image(save(Image.fromarray(pixels), "PNG", icc_profile=srgb))
    np.testing.assert_array_equal(decoded.pixels_bgr, pixels[..., ::-1])


@pytest.mark.parametrize("encoding", ENCODINGS, ids=lambda encoding: encoding.name)
def test_full_size_keeps_every_pixel(encoding: Encoding):
    decoded = decode_image(encoding.encode(np.full((1, 3300, 3), 128, np.uint8)), full_size=True)
    assert decoded.pixels_bgr.shape == (1, 3300, 3)


def test_a_raw_photo_is_not_taken_for_its_preview():
    preview = plain_tiff(quadrants(), {SUBFILE_TYPE_TAG: 1})
    with pytest.raises(UnreadableImageError, match="export the photo as JPEG"):
        decode_image(preview)
    assert decode_image(plain_tiff(quadrants(), {SUBFILE_TYPE_TAG: 0})).width == 160


def test_a_webp_has_fewer_pixels():
    """Its decoder takes four times as much memory."""
    with pytest.raises(ImageTooLargeError, match="16000x5001 pixels, more than 80 million"):
        decode_image(webp_header(16_000, 5_001))


def test_a_picture_of_many_bytes_a_pixel_has_fewer_pixels():
    directory = plain_tiff(np.zeros((1, 1, 3), np.float32), {256: 10_000, 257: 5_000})
    with pytest.raises(ImageTooLargeError, match="10000x5000 pixels, more than 33 million"):
        decode_image(directory)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"", "empty"),
        (b"not a picture at all", "not a JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "not a JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a JPEG"),
        (b"BMW is no picture, although it begins like one", "not a JPEG"),
        (b"GIF89a" + bytes(40), "damaged or incomplete"),
        (b"II*\0" + bytes(40), "damaged, or of a kind that is hardly ever used"),
        (b"\0\0\0\x10ftypheic" + bytes(40), "damaged or incomplete"),
        (b"\0\0\0\x10ftypavif" + bytes(40), "damaged or incomplete"),
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
    whole = save(Image.fromarray(pixels), image_format)
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
@settings(deadline=None)
@given(st.data())
def test_damaged_bytes_decode_or_raise_media_errors(data: st.DataObject):
    bytes_ = bytearray(data.draw(st.sampled_from(encoded_quadrants())))
    for _ in range(data.draw(st.integers(1, 5))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(bytes_)))
    with contextlib.suppress(MediaError):
        assert decode_image(bytes(bytes_[:cut])).pixels_bgr.size > 0


@cache
def encoded_quadrants() -> list[bytes]:
    return [encoding.encode(quadrants()) for encoding in ENCODINGS]


def test_decoding_imports_nothing_and_opens_no_file(tmp_path: Path):
    """So that it can run where there is no file system."""
    for encoding in ENCODINGS:
        (tmp_path / encoding.name).write_bytes(encoding.encode(quadrants()))
    program = """
import sys
from pathlib import Path
from inference.faces.decode import decode_image

files = {path.name: path.read_bytes() for path in Path(sys.argv[1]).iterdir()}
opened = []
sys.addaudithook(lambda event, arguments: opened.append((event, arguments)) if event in ("open", "import") else None)
for name, data in files.items():
    decode_image(data)
    assert not opened, (name, opened)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)


def test_pixels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="not uint8"):
        DecodedImage.from_pixels(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="not uint8"):
        DecodedImage.from_pixels(np.zeros((4, 4, 3), np.float32))
