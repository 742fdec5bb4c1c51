"""TIFF files of 16 bits and more in each of several channels, which Pillow does not read; OpenCV does."""

from dataclasses import dataclass
from io import BytesIO

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    ICCPROFILE,
    IMAGELENGTH,
    IMAGEWIDTH,
    PHOTOMETRIC_INTERPRETATION,
    SAMPLEFORMAT,
    SAMPLESPERPIXEL,
    ImageFileDirectory_v2,
)

from inference.faces.colour import guess_white, to_8_bit
from inference.faces.errors import UnreadableImageError

_HEADER_BYTES = 8
_BIG_HEADER_BYTES = 16
_BIG = b"+"
_UNSIGNED_INTEGERS = 1
_KINDS = frozenset((photometric, bits) for photometric in (1, 2) for bits in (16, 32, 64))
"""Grey with black for zero or RGB (photometric interpretation), and bits of a value."""
_ANY_TYPE = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR

# What OpenCV does not read is said by an exception; it need not write to stderr, too.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


@dataclass(frozen=True, slots=True, eq=False)
class DeepTiff:
    """The first picture of a TIFF file, not decoded yet.

    Attributes:
        data: the bytes of the file.
        tags: of the first directory.
    """

    data: bytes
    tags: ImageFileDirectory_v2

    @property
    def width(self) -> int:
        """As stored, in pixels."""
        return int(self.tags[IMAGEWIDTH])

    @property
    def height(self) -> int:
        """Likewise."""
        return int(self.tags[IMAGELENGTH])

    @property
    def bytes_per_pixel(self) -> int:
        """Once decoded."""
        return int(self.tags.get(SAMPLESPERPIXEL, 1)) * self.bits // 8

    @property
    def icc_profile(self) -> bytes | None:
        """The embedded profile."""
        return self.tags.get(ICCPROFILE)

    @property
    def bits(self) -> int:
        """Of a value."""
        return int(max(self.tags.get(BITSPERSAMPLE, (1,))))

    def read(self) -> NDArray[np.uint8]:
        """Decode, and make upright: OpenCV does so with a TIFF whatever it is asked for.

        Returns:
            uint8 (h, w) grey or (h, w, 3) RGB; an alpha channel is left out.

        Raises:
            ValueError: damaged, or of a kind that OpenCV does not read either.
        """
        decoded = cv2.imdecode(np.frombuffer(self.data, np.uint8), _ANY_TYPE)
        if decoded is None:
            raise ValueError("OpenCV cannot read it")
        white = self._white(decoded)
        pixels = np.empty(decoded.shape, np.uint8)
        for row, values in enumerate(decoded):
            pixels[row] = to_8_bit(values, white)
        is_grey = pixels.shape[2:] == ()
        return pixels if is_grey else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)

    def _white(self, decoded: MatLike) -> float:
        unsigned = max(self.tags.get(SAMPLEFORMAT, (_UNSIGNED_INTEGERS,))) == _UNSIGNED_INTEGERS
        return 2.0**self.bits - 1 if unsigned else guess_white(decoded[::8, ::8])


def open_deep_tiff(data: bytes) -> DeepTiff:
    """Read the tags of a TIFF file and none of its pixels.

    Raises:
        UnreadableImageError: it is of another kind.
        SyntaxError: it is damaged.
    """
    header = data[: _BIG_HEADER_BYTES if data[2:3] == _BIG or data[3:4] == _BIG else _HEADER_BYTES]
    tags = ImageFileDirectory_v2(header)
    stream = BytesIO(data)
    stream.seek(tags.next)
    tags.load(stream)
    tiff = DeepTiff(data, tags)
    if (tags.get(PHOTOMETRIC_INTERPRETATION), tiff.bits) not in _KINDS:
        raise UnreadableImageError(
            "The TIFF picture is damaged, or of a kind that is hardly ever used; export it as JPEG or PNG."
        )
    return tiff
