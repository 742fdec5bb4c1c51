"""Still pictures in front of which the camera moves, and where on them somebody's face is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from whodex.demo.geometry import Box
from whodex.demo.samples import sample

WIDTH, HEIGHT = 1280, 720

# Boxes in pixels of the sample pictures, as the detector sees them.
OBAMA_FACE = Box(213, 240, 467, 630)
BIDEN_FACE = Box(433, 183, 706, 573)
HANKS_FACE = Box(9, 0, 89, 112)
PLAYER_FACES: Mapping[str, Box] = {
    "player_1": Box(50, 257, 169, 400),
    "player_2": Box(271, 150, 375, 277),
    "player_3": Box(466, 268, 574, 410),
    "player_4": Box(745, 344, 846, 472),
    "player_5": Box(902, 60, 1010, 207),
    "player_6": Box(1132, 278, 1223, 400),
}
"""The six people at the card table, from left to right."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A still picture.

    Attributes:
        picture: RGB.
        faces: where in it whose face is.
    """

    picture: Image.Image
    faces: Mapping[str, Box]


def detail(name: str) -> Stage:
    """A sample picture of which only a part without faces will be shown."""
    return Stage(_open(name), {})


def card_table() -> Stage:
    """The six players."""
    return Stage(_open("t1.jpg"), PLAYER_FACES)


def podium() -> Stage:
    """Obama at the podium, in the middle of a blurred backdrop of the same picture."""
    return _portrait("obama", _open("obama2.jpg"), OBAMA_FACE, middle_x=WIDTH / 2)


def podium_in_black_and_white() -> Stage:
    """The same, mirrored and grey."""
    picture = _open("obama2.jpg")
    mirrored = Box(picture.width - OBAMA_FACE.right, OBAMA_FACE.top, picture.width - OBAMA_FACE.left, OBAMA_FACE.bottom)
    grey = ImageOps.grayscale(ImageOps.mirror(picture)).convert("RGB")
    return _portrait("obama", grey, mirrored, middle_x=WIDTH / 2)


def podium_at_the_side() -> Stage:
    """Obama at the right of a wide backdrop, blurred stars and stripes, so that the camera can come to him."""
    picture = _open("obama2.jpg")
    backdrop = picture.crop((0, 0, picture.width, 150))
    return _portrait("obama", picture, OBAMA_FACE, backdrop=backdrop, middle_x=2 * WIDTH - 320, width=2 * WIDTH)


def office() -> Stage:
    """Biden from the belt up."""
    upper = _open("biden.jpg").crop((0, 0, 970, 1400))
    return _portrait("biden", upper, BIDEN_FACE, middle_x=WIDTH / 2)


def split_screen() -> Stage:
    """Biden on the left, Obama on the right."""
    half = (WIDTH // 2 - 4, HEIGHT)
    left, left_face = _fill(_open("biden.jpg").crop((60, 40, 970, 1072)), BIDEN_FACE.scaled(1, -60, -40), half)
    right, right_face = _fill(_open("obama2.jpg").crop((0, 120, 626, 830)), OBAMA_FACE.scaled(1, 0, -120), half)
    canvas = Image.new("RGB", (WIDTH, HEIGHT), "white")
    canvas.paste(left, (0, 0))
    canvas.paste(right, (WIDTH // 2 + 4, 0))
    return Stage(canvas, {"biden": left_face, "obama": right_face.scaled(1, WIDTH // 2 + 4)})


def film_portrait() -> Stage:
    """Hanks, of whom there is only a small picture."""
    return _portrait("hanks", _open("Tom_Hanks_54745.png"), HANKS_FACE, middle_x=WIDTH / 2, height_share=0.75)


def _open(name: str) -> Image.Image:
    return Image.open(sample(name)).convert("RGB")


def _portrait(  # noqa: PLR0913 - where the picture goes is three numbers
    person: str,
    picture: Image.Image,
    face: Box,
    *,
    backdrop: Image.Image | None = None,
    middle_x: float,
    width: int = WIDTH,
    height_share: float = 1.0,
) -> Stage:
    """A picture in front of a darkened blur, by default of itself: so news programmes show upright photographs."""
    canvas = ImageOps.fit(backdrop or picture, (width, HEIGHT), Image.Resampling.BILINEAR)
    canvas = ImageEnhance.Brightness(canvas.filter(ImageFilter.GaussianBlur(HEIGHT / 12))).enhance(0.6)
    scale = height_share * HEIGHT / picture.height
    size = (round(picture.width * scale), round(picture.height * scale))
    left, top = round(middle_x - size[0] / 2), (HEIGHT - size[1]) // 2
    canvas.paste(picture.resize(size, Image.Resampling.LANCZOS), (left, top))
    return Stage(canvas, {person: face.scaled(scale, left, top)})


def _fill(picture: Image.Image, face: Box, size: tuple[int, int]) -> tuple[Image.Image, Box]:
    """Scale a picture so that it fills a size, what is too much cut off evenly."""
    scale = max(size[0] / picture.width, size[1] / picture.height)
    left, top = (size[0] - picture.width * scale) / 2, (size[1] - picture.height * scale) / 2
    return ImageOps.fit(picture, size, Image.Resampling.LANCZOS), face.scaled(scale, left, top)
