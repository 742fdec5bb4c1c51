from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from inference.faces.colour import guess_white, to_8_bit, to_srgb
from tests.pictures.profiles import cmyk_profile, grey_profile, rgb_profile


@pytest.mark.parametrize(
    ("white", "expected"), [(1, 1.0), (255, 255.0), (4095, 65535.0), (65535, 65535.0), (2.0**40, 2.0**32)]
)
def test_white_is_guessed_by_the_median(white: float, expected: float):
    assert guess_white(np.linspace(0, white, 101)) == expected


def test_a_lamp_does_not_make_the_picture_dark():
    values = np.append(np.linspace(0, 1, 100), [40.0, np.inf, np.nan])
    assert guess_white(values) == 1.0


def test_values_are_scaled_rounded_and_clipped():
    values = np.array([[-1, 0, 0.5, 1, 7, np.nan, np.inf]], np.float64)
    assert to_8_bit(values, 1).tolist() == [[0, 0, 128, 255, 255, 0, 255]]
    assert to_8_bit(np.array([0, 257, 65535], np.uint16), 65535).tolist() == [0, 1, 255]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB"])
@pytest.mark.parametrize("profile", [None, rgb_profile(), grey_profile(1.4), cmyk_profile(), b"no profile"])
def test_every_mode_becomes_rgb_whatever_the_profile(mode: str, profile: bytes | None):
    image = Image.new(mode, (4, 3))
    image.info["icc_profile"] = profile
    converted = to_srgb(image)
    assert (converted.mode, converted.size) == ("RGB", (4, 3))


@pytest.mark.parametrize(("mode", "profile"), [("RGB", rgb_profile(1.0)), ("L", grey_profile(1.0))])
def test_a_profile_counts_for_its_own_kind_of_pixels(mode: str, profile: bytes):
    image = Image.new(mode, (1, 1), "#404040" if mode == "RGB" else 64)
    plain = to_srgb(image).getpixel((0, 0))
    image.info["icc_profile"] = profile
    # A quarter of the light is half way up in sRGB.
    assert to_srgb(image).getpixel((0, 0)) == pytest.approx((137, 137, 137), abs=2)
    assert plain == (64, 64, 64)


def test_alpha_shows_white_through():
    half = to_srgb(Image.new("RGBA", (1, 1), (200, 100, 0, 128)))
    assert half.getpixel((0, 0)) == pytest.approx((227, 177, 127), abs=1)
