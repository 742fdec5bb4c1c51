from __future__ import annotations

import io

from PIL import Image


def to_jpeg(picture: Image.Image) -> bytes:
    """Encodes a picture as users' cameras do, at quality 90."""
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG", quality=90)
    return encoded.getvalue()
