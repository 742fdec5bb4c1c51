"""The control set: valid pictures of every kind, rendered from the samples, each of which must become READY.

A picture counts if the face of its person is chosen as for a reference photo, and is alike enough to a reference:
another photograph of the person where the samples have one, otherwise the photograph that it was rendered from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import cycle, product

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from inference.errors import MediaError
from inference.faces.analyzer import FaceAnalyzer
from inference.faces.decode import decode_image
from inference.faces.enrolment import EnrolledFace, Photo, choose_enrolled_face
from tests.pictures.encodings import Pixels, encodings, save
from whodex.demo.samples import sample

OTHER_PHOTO = {"obama.jpg": "obama3.jpg", "obama2.jpg": "obama.jpg", "obama3.jpg": "obama2.jpg"}
"""Of the same person."""
PORTRAITS = (*OTHER_PHOTO, "biden.jpg")
GROUP = "t1.jpg"
FACES_XYXY = {
    "obama.jpg": [(375, 86, 604, 421)],
    "obama2.jpg": [(213, 241, 467, 629)],
    "obama3.jpg": [(643, 256, 909, 613)],
    "biden.jpg": [(433, 183, 706, 573)],
    GROUP: [
        (51, 257, 169, 399),
        (271, 150, 375, 277),
        (466, 268, 574, 410),
        (745, 343, 846, 472),
        (902, 60, 1010, 207),
        (1132, 278, 1223, 400),
    ],
}
"""Where the faces are in the samples: left, top, right, bottom."""
AT_ONCE = 8
"""As many as a worker claims."""

Reference = tuple[str, int]
"""A sample, and which of its faces."""


@dataclass(frozen=True, eq=False)
class Case:
    """A picture.

    Attributes:
        name: says what is special about it.
        render: makes the file.
        shows: whom.
        box_xyxy: float32 (4,), where, if others are in the picture.
    """

    name: str
    render: Callable[[], bytes]
    shows: Reference
    box_xyxy: NDArray[np.float32] | None = None

    @property
    def reference(self) -> Reference:
        """Whom the face must be like."""
        photo, face = self.shows
        return OTHER_PHOTO.get(photo, photo), face

    @property
    def is_independent(self) -> bool:
        """Whether that is another photograph."""
        return self.reference != self.shows


@dataclass
class Outcome:
    """What became of the set.

    Attributes:
        refused: by the name of the picture, why it did not become READY.
        similarities: of the others, to their references.
    """

    refused: dict[str, str] = field(default_factory=dict)
    similarities: dict[Case, float] = field(default_factory=dict)

    @property
    def ready_share(self) -> float:
        """Of all pictures."""
        ready = len(self.similarities)
        return ready / (ready + len(self.refused))

    def mistaken(self, threshold: float) -> list[str]:
        """The pictures whose face is not alike enough to its reference."""
        return [f"{case.name}: {value:.2f}" for case, value in self.similarities.items() if value < threshold]


def control_set() -> list[Case]:
    """All pictures, each name once."""
    return [*_encoded(), *_sizes(), *_turned(), *_close_ups(), *_small_faces(), *_of_groups()]


def measure(analyzer: FaceAnalyzer, cases: Sequence[Case]) -> Outcome:
    """Does with each picture what a worker does with a reference photo, as many at once as it does."""
    outcome = Outcome()
    references = {case.reference: _reference(analyzer, case.reference) for case in cases}
    for start in range(0, len(cases), AT_ONCE):
        chosen = _choose(analyzer, cases[start : start + AT_ONCE], outcome)
        embeddings = analyzer.embed([one.face for one in chosen.values()])
        for case, embedding in zip(chosen, embeddings, strict=True):
            outcome.similarities[case] = float(embedding @ references[case.reference])
    return outcome


def _choose(analyzer: FaceAnalyzer, cases: Sequence[Case], outcome: Outcome) -> dict[Case, EnrolledFace]:
    photos = {}
    for case in cases:
        data = case.render()
        try:
            photos[case] = Photo(decode_image(data), partial(decode_image, data, full_size=True), case.box_xyxy)
        except MediaError as error:
            outcome.refused[case.name] = error.message
    chosen = {}
    found = analyzer.find_faces([photo.image for photo in photos.values()], retry=True)
    for (case, photo), faces in zip(photos.items(), found, strict=True):
        try:
            chosen[case] = choose_enrolled_face(analyzer, photo, faces)
        except MediaError as error:
            outcome.refused[case.name] = error.message
    return chosen


def _reference(analyzer: FaceAnalyzer, reference: Reference) -> NDArray[np.float32]:
    data = sample(reference[0]).read_bytes()
    photo = Photo(decode_image(data), partial(decode_image, data, full_size=True), _box(reference))
    (faces,) = analyzer.find_faces([photo.image], retry=True)
    return analyzer.embed([choose_enrolled_face(analyzer, photo, faces).face])[0]


def _encoded() -> Iterator[Case]:
    for encoding, photo in zip(encodings(), cycle(PORTRAITS), strict=False):
        yield Case(encoding.name, lambda encode=encoding.encode, photo=photo: encode(portrait(photo)), (photo, 0))


def _sizes() -> Iterator[Case]:
    """From a face that is just large enough to a photograph of 24 megapixels."""
    for photo, face_px in product(PORTRAITS, (36, 48, 80, 400)):
        yield _portrait_case(f"a face of {face_px} px: {photo}", photo, face_px=face_px)
    for photo, width in (("obama.jpg", 3000), ("biden.jpg", 4000)):
        yield Case(f"{width} px wide: {photo}", lambda photo=photo, width=width: _wide(photo, width), (photo, 0))


def _turned() -> Iterator[Case]:
    """Without a word of it in the file."""
    for photo, quarters, face_px in product(PORTRAITS, (1, 2, 3), (60, 200)):
        yield _portrait_case(f"turned {90 * quarters}, {face_px} px: {photo}", photo, face_px=face_px, turn=quarters)
    for quarters in (1, 2, 3):
        yield Case(
            f"whole photograph turned {90 * quarters}",
            lambda quarters=quarters: _jpeg(np.rot90(_pixels("obama3.jpg"), quarters)),
            ("obama3.jpg", 0),
        )


def _close_ups() -> Iterator[Case]:
    for photo, room, quarters in product(PORTRAITS, (0.9, 1.0, 1.3), (0, 1, 3)):
        name = f"close-up of {room} of the face, turned {90 * quarters}: {photo}"
        yield _portrait_case(name, photo, face_px=180, room=room, turn=quarters)


def _small_faces() -> Iterator[Case]:
    """In large pictures, at different places."""
    places = [*product(((1280, 960), (1920, 1080), (3000, 4000)), (40, 60, 90)), ((6000, 4000), 60)]
    for (size, face_px), photo in zip(places, cycle(PORTRAITS), strict=False):
        name = f"a face of {face_px} px in {size[0]}x{size[1]}: {photo}"
        yield Case(name, partial(_far_away, photo, face_px, size), (photo, 0))


def _of_groups() -> Iterator[Case]:
    """One of six people, named by a box; in the picture as it is, as a telephone takes it, and from far away."""
    for face, width in product(range(len(FACES_XYXY[GROUP])), (1280, 4000)):
        box = _box((GROUP, face)) * np.float32(width / 1280)
        yield Case(f"player {face + 1} of {width} px", partial(_wide, GROUP, width), (GROUP, face), box)
    for face in range(len(FACES_XYXY[GROUP])):
        box = _box((GROUP, face)) * np.float32(0.4) + np.tile(np.float32([2000, 1500]), 2)
        yield Case(f"player {face + 1} from far away", _group_from_far, (GROUP, face), box)


def portrait(photo: str, *, face_px: int = 110, room: float = 2.2, turn: int = 0) -> Pixels:
    """A photograph cut to a face and what is around it.

    Args:
        photo: the sample.
        face_px: width of the face.
        room: side of the picture, in heights of the face.
        turn: quarters of a turn, counter-clockwise.

    Returns:
        uint8 (h, w, 3), RGB.
    """
    left, top, right, bottom = FACES_XYXY[photo][0]
    half = (bottom - top) * room / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    whole = _pixels(photo)
    cut = whole[max(0, round(y - half)) : round(y + half), max(0, round(x - half)) : round(x + half)]
    return np.ascontiguousarray(np.rot90(_resized(cut, face_px / (right - left)), turn))


def _portrait_case(name: str, photo: str, **options: float) -> Case:
    return Case(name, lambda: _jpeg(portrait(photo, **options)), (photo, 0))


@cache
def _wide(photo: str, width: int) -> bytes:
    whole = _pixels(photo)
    return _jpeg(_resized(whole, width / whole.shape[1]))


def _far_away(photo: str, face_px: int, size: tuple[int, int]) -> bytes:
    """Somewhere on a meadow."""
    person = portrait(photo, face_px=face_px)
    rng = np.random.default_rng(face_px + size[0])
    ground = _meadow(size).copy()
    x, y = (int(rng.integers(0, room)) for room in (size[0] - person.shape[1], size[1] - person.shape[0]))
    ground[y : y + person.shape[0], x : x + person.shape[1]] = person
    return _jpeg(ground)


@cache
def _group_from_far() -> bytes:
    group = _resized(_pixels(GROUP), 0.4)
    ground = _meadow((4000, 3000)).copy()
    ground[1500 : 1500 + group.shape[0], 2000 : 2000 + group.shape[1]] = group
    return _jpeg(ground)


@cache
def _meadow(size: tuple[int, int]) -> Pixels:
    """Green of all sizes."""
    rng = np.random.default_rng(7)
    ground = np.full((size[1], size[0], 3), (90, 130, 60), np.float32)
    for cells in (8, 60, 400):
        ground += cv2.resize(rng.normal(0, 14, (cells, cells, 3)).astype(np.float32), size)
    return ground.clip(0, 255).astype(np.uint8)


def _box(of: Reference) -> NDArray[np.float32]:
    photo, face = of
    return np.array(FACES_XYXY[photo][face], np.float32)


@cache
def _pixels(photo: str) -> Pixels:
    with Image.open(sample(photo)) as picture:
        return np.asarray(picture.convert("RGB"))


def _resized(pixels: Pixels, scale: float) -> Pixels:
    return np.asarray(
        cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    )


def _jpeg(pixels: Pixels) -> bytes:
    return save(Image.fromarray(np.ascontiguousarray(pixels)), "JPEG", quality=90)
