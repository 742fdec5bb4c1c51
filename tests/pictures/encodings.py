"""Every way in which a picture may be stored, made from its sRGB pixels."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from types import MappingProxyType

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.pictures.profiles import INK_GAMMA, cmyk_profile, grey_profile, rgb_profile
from whodex.runtime.pictures import PictureFormat

pillow_heif.register_heif_opener()

Pixels = NDArray[np.uint8]

ORIENTATION_TAG = 0x0112
ORIENTED: tuple[PictureFormat, ...] = (
    PictureFormat.JPEG,
    PictureFormat.PNG,
    PictureFormat.WEBP,
    PictureFormat.HEIC,
    PictureFormat.AVIF,
    PictureFormat.TIFF,
)
"""Formats that can say how they are turned."""

# How a camera stores the upright picture, by the EXIF orientation that undoes it.
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: np.rot90,
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


@dataclass(frozen=True)
class Encoding:
    """One way.

    Attributes:
        name: says what is special about it.
        format: what it is to be recognised as.
        encode: makes the file from uint8 (h, w, 3), sRGB.
        grey: whether the colours are lost.
        tolerance: how far, in 8-bit values, an even area may be from what was encoded.
    """

    name: str
    format: PictureFormat
    encode: Callable[[Pixels], bytes]
    grey: bool = False
    tolerance: int = 6


def encodings() -> list[Encoding]:
    """All of them, each name once."""
    return [*_jpeg(), *_png(), *_webp(), *_heic(), *_avif(), *_tiff(), *_bmp(), *_gif(), *_oriented()]


def save(image: Image.Image, image_format: str, **options: object) -> bytes:
    """Encode with Pillow."""
    data = BytesIO()
    image.save(data, image_format, **options)
    return data.getvalue()


def _pillow(image_format: str, mode: str = "RGB", **options: object) -> Callable[[Pixels], bytes]:
    """Encode in a mode of Pillow."""
    return lambda pixels: save(Image.fromarray(pixels).convert(mode), image_format, **options)


def _jpeg() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.JPEG)
    yield make("jpeg", encode=_pillow("JPEG", quality=92))
    yield make("jpeg 4:4:4", encode=_pillow("JPEG", quality=95, subsampling=0))
    yield make("jpeg progressive", encode=_pillow("JPEG", quality=90, progressive=True))
    yield make("jpeg of low quality", encode=_pillow("JPEG", quality=40), tolerance=12)
    yield make("jpeg grey", encode=_pillow("JPEG", "L"), grey=True)
    yield make("jpeg CMYK, inverted as Adobe does", encode=_pillow("JPEG", "CMYK", quality=95))
    yield make("jpeg YCCK", encode=_ycck)
    yield make("jpeg of two pictures (MPO)", encode=_of_two("MPO", quality=92))
    yield make("jpeg Display P3", encode=_with_profile("JPEG", rgb_profile(), quality=95))
    yield make("jpeg grey with gamma 1.4", encode=_with_grey_profile("JPEG", quality=95), grey=True)
    yield make("jpeg CMYK with profile", encode=_with_ink_profile("JPEG", quality=95), tolerance=8)
    yield make("jpeg with a damaged profile", encode=_pillow("JPEG", quality=92, icc_profile=rgb_profile()[:200]))
    yield make("jpeg with the profile of other pixels", encode=_pillow("JPEG", icc_profile=grey_profile(1.0)))
    yield make("jpeg with damaged EXIF", encode=_pillow("JPEG", quality=92, exif=b"Exif\0\0" + bytes(range(40))))


def _png() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.PNG, tolerance=1)
    yield make("png", encode=_pillow("PNG"))
    yield make("png 16 bit", encode=_deep(".png", np.uint16, 257))
    yield make("png 16 bit with alpha", encode=_deep(".png", np.uint16, 257, opaque=65535))
    yield make("png alpha", encode=lambda pixels: save(_on_nothing(pixels), "PNG"))
    yield make("png one transparent colour", encode=_pillow("PNG", transparency=(1, 2, 3)))
    yield make("png grey", encode=_pillow("PNG", "L"), grey=True)
    yield make("png grey 16 bit", encode=_grey_16("PNG"), grey=True)
    yield make("png grey with alpha", encode=_pillow("PNG", "LA"), grey=True)
    yield make("png palette", encode=_palette("PNG"), tolerance=12)
    yield make("png palette with a transparent colour", encode=_palette("PNG", transparency=255), tolerance=12)
    yield make("png Display P3", encode=_with_profile("PNG", rgb_profile()), tolerance=3)
    yield make("png animated", encode=_of_two("PNG"))


def _webp() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.WEBP)
    yield make("webp", encode=_pillow("WEBP", quality=90))
    yield make("webp lossless", encode=_pillow("WEBP", lossless=True), tolerance=1)
    yield make("webp alpha", encode=lambda pixels: save(_on_nothing(pixels), "WEBP", quality=90))
    yield make("webp animated", encode=_of_two("WEBP", quality=90))
    yield make("webp Display P3", encode=_with_profile("WEBP", rgb_profile(), lossless=True), tolerance=3)


def _heic() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.HEIC)
    yield make("heic", encode=_pillow("HEIF", quality=80))
    yield make("heic 4:4:4", encode=_pillow("HEIF", quality=90, chroma=444))
    yield make("heic of tiles, as telephones store it", encode=_pillow("HEIF", quality=80, tile_size=128))
    yield make("heic grey", encode=_pillow("HEIF", "L", quality=80), grey=True)
    yield make("heic alpha", encode=lambda pixels: save(_on_nothing(pixels), "HEIF", quality=80))
    yield make("heic 10 bit", encode=_heic_10_bit)
    yield make("heic Display P3", encode=_with_profile("HEIF", rgb_profile(), quality=90))
    yield make("heic whose second picture is the primary one", encode=_heic_second)


def _avif() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.AVIF)
    yield make("avif", encode=_pillow("AVIF", quality=80, speed=10))
    yield make("avif 4:4:4", encode=_pillow("AVIF", quality=90, subsampling="4:4:4", speed=10))
    yield make("avif grey", encode=_pillow("AVIF", "L", quality=80, speed=10), grey=True)
    yield make("avif alpha", encode=lambda pixels: save(_on_nothing(pixels), "AVIF", quality=80, speed=10))
    yield make("avif Display P3", encode=_with_profile("AVIF", rgb_profile(), quality=90, speed=10))
    yield make("avif animated", encode=_of_two("AVIF", quality=80, speed=10))


def _tiff() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.TIFF, tolerance=1)
    yield make("tiff", encode=_pillow("TIFF"))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
        yield make(f"tiff {compression}", encode=_pillow("TIFF", compression=compression))
    yield make("tiff jpeg", encode=_pillow("TIFF", compression="jpeg", quality=95), tolerance=6)
    yield make("tiff BigTIFF", encode=_pillow("TIFF", big_tiff=True))
    yield make("tiff big-endian", encode=lambda pixels: plain_tiff(pixels, order=">"))
    yield make("tiff float big-endian", encode=lambda pixels: plain_tiff(np.float32(pixels / 255), order=">"))
    yield make("tiff of two pages", encode=_of_two("TIFF"))
    yield make("tiff alpha", encode=lambda pixels: save(_on_nothing(pixels), "TIFF"))
    yield make("tiff grey", encode=_pillow("TIFF", "L"), grey=True)
    yield make("tiff grey 16 bit", encode=_grey_16("TIFF"), grey=True)
    yield make("tiff grey 32 bit", encode=_grey("I", 65537 * 128), grey=True)
    yield make("tiff grey float", encode=_grey("F", 1 / 255), grey=True)
    yield make("tiff grey float to 255", encode=_grey("F", 1), grey=True)
    yield make("tiff palette", encode=_palette("TIFF"), tolerance=12)
    yield make("tiff CMYK", encode=_pillow("TIFF", "CMYK"))
    yield make("tiff CMYK with profile", encode=_with_ink_profile("TIFF"), tolerance=5)
    yield make("tiff Lab", encode=_lab_tiff, tolerance=4)
    yield make("tiff Display P3", encode=_with_profile("TIFF", rgb_profile()), tolerance=3)
    yield make("tiff 16 bit", encode=_deep(".tiff", np.uint16, 257))
    yield make("tiff 16 bit with alpha", encode=_deep(".tiff", np.uint16, 257, opaque=65535))
    yield make("tiff float", encode=_deep(".tiff", np.float32, 1 / 255))
    yield make("tiff float brighter than white", encode=_bright_float_tiff)
    yield make("tiff double", encode=_deep(".tiff", np.float64, 1 / 255))


def _bmp() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.BMP, tolerance=1)
    yield make("bmp", encode=_pillow("BMP"))
    yield make("bmp 32 bit", encode=_pillow("BMP", "RGBA"))
    yield make("bmp grey", encode=_pillow("BMP", "L"), grey=True)
    yield make("bmp palette", encode=_palette("BMP"), tolerance=12)


def _gif() -> Iterator[Encoding]:
    make = partial(Encoding, format=PictureFormat.GIF, tolerance=12)
    yield make("gif", encode=_palette("GIF"))
    yield make("gif grey", encode=_pillow("GIF", "L"), grey=True, tolerance=1)
    yield make("gif with a transparent colour", encode=_palette("GIF", transparency=255))
    yield make("gif animated", encode=_of_two("GIF"))


def _oriented() -> Iterator[Encoding]:
    for image_format in ORIENTED:
        for orientation in STORED:
            name = f"{image_format.name.lower()} orientation {orientation}"
            yield Encoding(name, image_format, partial(_turned, image_format, orientation))
    for orientation in (6, 8):
        yield Encoding(f"jpeg orientation {orientation} in XMP", PictureFormat.JPEG, partial(_xmp_turned, orientation))
    for orientation in STORED:
        yield Encoding(f"tiff float orientation {orientation}", PictureFormat.TIFF, partial(_float_turned, orientation))


def turned_exif(orientation: int) -> Image.Exif:
    """EXIF with an orientation."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    return exif


def _turned(image_format: PictureFormat, orientation: int, pixels: Pixels) -> bytes:
    """The writers of HEIC and AVIF make the rotation and mirroring of the container from it."""
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](pixels)))
    name = {PictureFormat.HEIC: "HEIF"}.get(image_format, image_format.name)
    quality = {} if image_format in (PictureFormat.PNG, PictureFormat.TIFF) else {"quality": 90}
    return save(stored, name, exif=turned_exif(orientation).tobytes(), **quality)


def _xmp_turned(orientation: int, pixels: Pixels) -> bytes:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](pixels)))
    xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="{orientation}"/></x:xmpmeta>'
    return save(stored, "JPEG", quality=92, xmp=xmp.encode())


def _float_turned(orientation: int, pixels: Pixels) -> bytes:
    stored = np.ascontiguousarray(STORED[orientation](pixels))
    return plain_tiff((stored / 255).astype(np.float32), {ORIENTATION_TAG: orientation})


def plain_tiff(values: NDArray[np.generic], tags: Mapping[int, int] = MappingProxyType({}), order: str = "<") -> bytes:
    """Values (h, w, 3) of any type, uncompressed; Pillow and OpenCV write neither every type nor every tag."""
    height, width, channels = values.shape
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    body = values.astype(values.dtype.newbyteorder(order)).tobytes()
    lists = struct.pack(f"{order}6H", *[values.dtype.itemsize * 8] * channels, *[kind] * channels)
    known = {256: width, 257: height, 258: 8, 259: 1, 262: 2, 273: 20, 277: channels, 278: height, 339: 14}
    known |= {279: len(body), **tags}
    # Tag, type (3: two bytes, 4: four), count, value or where it is.
    counts = {258: (3, channels), 339: (3, channels), 273: (4, 1), 279: (4, 1)}
    directory = struct.pack(f"{order}H", len(known))
    for tag, value in sorted(known.items()):
        code, count = counts.get(tag, (3, 1))
        packed = struct.pack(f"{order}{'HI'[code - 3]}", value) if count == 1 else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, code, count) + packed.ljust(4, b"\0")
    magic = struct.pack(f"{order}HHI", {"<": 0x4949, ">": 0x4D4D}[order], 42, 20 + len(body))
    return magic + lists + body + directory + bytes(4)


def _on_nothing(pixels: Pixels) -> Image.Image:
    """Opaque where the picture is, and nothing but a thin transparent line below."""
    image = Image.fromarray(pixels).convert("RGBA")
    image.putpixel((0, image.height - 1), (0, 0, 0, 0))
    return image


def _of_two(image_format: str, **options: object) -> Callable[[Pixels], bytes]:
    """The picture and, behind it, its negative."""

    def encode(pixels: Pixels) -> bytes:
        negative = Image.fromarray(255 - pixels)
        return save(Image.fromarray(pixels), image_format, save_all=True, append_images=[negative], **options)

    return encode


def _palette(image_format: str, **options: object) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        return save(Image.fromarray(pixels).quantize(255), image_format, **options)

    return encode


def _deep(
    suffix: str, dtype: type[np.generic], factor: float, opaque: float | None = None
) -> Callable[[Pixels], bytes]:
    """More than 8 bits in each of three channels, or four."""

    def encode(pixels: Pixels) -> bytes:
        bgr = (pixels[..., ::-1] * np.float64(factor)).astype(dtype)
        if opaque is not None:
            bgr = np.dstack([bgr, np.full(bgr.shape[:2], opaque, dtype)])
        written, data = cv2.imencode(suffix, bgr)
        assert written
        return data.tobytes()

    return encode


def _bright_float_tiff(pixels: Pixels) -> bytes:
    """A lamp in the corner is 40 times as bright as white."""
    values = pixels[..., ::-1] / np.float32(255)
    values[:2, :2] = 40
    return cv2.imencode(".tiff", values)[1].tobytes()


def _grey_16(image_format: str) -> Callable[[Pixels], bytes]:
    return lambda pixels: save(Image.fromarray(_luma(pixels).astype(np.uint16) * 257), image_format)


def _grey(mode: str, factor: float) -> Callable[[Pixels], bytes]:
    dtype = {"I": np.int32, "F": np.float32}[mode]
    return lambda pixels: save(Image.fromarray((_luma(pixels) * np.float64(factor)).astype(dtype)), "TIFF")


def _luma(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).convert("L"))


def _with_profile(image_format: str, profile: bytes, **options: object) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        target = ImageCms.ImageCmsProfile(BytesIO(profile))
        to_profile = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), target, "RGB", "RGB")
        return save(to_profile.apply(Image.fromarray(pixels)), image_format, icc_profile=profile, **options)

    return encode


def _with_grey_profile(image_format: str, **options: object) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        linear = np.interp(_luma(pixels), np.arange(256), _srgb_to_linear(np.arange(256) / 255))
        stored = Image.fromarray((linear ** (1 / 1.4) * 255).round().astype(np.uint8))
        return save(stored, image_format, icc_profile=grey_profile(1.4), **options)

    return encode


def _srgb_to_linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # IEC 61966-2-1.
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _with_ink_profile(image_format: str, **options: object) -> Callable[[Pixels], bytes]:
    def encode(pixels: Pixels) -> bytes:
        ink = 255 - ((pixels / 255) ** (1 / INK_GAMMA) * 255).round().astype(np.uint8)
        cmyk = Image.fromarray(np.dstack([ink, np.zeros(ink.shape[:2], np.uint8)]), "CMYK")
        return save(cmyk, image_format, icc_profile=cmyk_profile(), **options)

    return encode


def _ycck(pixels: Pixels) -> bytes:
    """As Photoshop stores CMYK: inverted, and the first three inks as luma and chroma (ITU-T T.872, 6.5.3)."""
    ycc = np.asarray(Image.fromarray(255 - pixels).convert("YCbCr"))
    inverted = np.dstack([ycc, np.full(ycc.shape[:2], 255, np.uint8)])
    # Pillow inverts what it is given.
    data = save(Image.fromarray(255 - inverted, "CMYK"), "JPEG", quality=95)
    transform = data.index(b"Adobe") + 11
    return data[:transform] + b"\x02" + data[transform + 1 :]


def _lab_tiff(pixels: Pixels) -> bytes:
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    image = to_lab.apply(Image.fromarray(pixels))
    image.info.pop("icc_profile", None)
    return save(image, "TIFF")


def _heic_10_bit(pixels: Pixels) -> bytes:
    values = pixels.astype(np.uint16) * 257
    height, width = pixels.shape[:2]
    data = BytesIO()
    pillow_heif.from_bytes("RGB;16", (width, height), values.tobytes()).save(data, quality=80)
    return data.getvalue()


def _heic_second(pixels: Pixels) -> bytes:
    file = pillow_heif.from_pillow(Image.fromarray(255 - pixels))
    file.add_from_pillow(Image.fromarray(pixels))
    data = BytesIO()
    file.save(data, quality=80, primary_index=1)
    return data.getvalue()
