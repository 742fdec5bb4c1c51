"""Who is enrolled, from which photographs."""

from __future__ import annotations

from dataclasses import dataclass

from whodex.demo.geometry import Box
from whodex.demo.stages import PLAYER_FACES


@dataclass(frozen=True, slots=True)
class Photo:
    """A reference photo.

    Attributes:
        sample: the sample picture.
        face: which face, where it shows several.
    """

    sample: str
    face: Box | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A person who is enrolled.

    Attributes:
        key: the person's name in the truth.
        display_name: the person's name in the library.
        photos: the reference photos.
        independent: whether the video shows the person in other photographs than these. To find somebody in the
            very picture that they are enrolled from shows that the path works, and says nothing of accuracy.
    """

    key: str
    display_name: str
    photos: tuple[Photo, ...]
    independent: bool = False


def _player(number: int, description: str) -> Member:
    key = f"player_{number}"
    return Member(key, f"Player {number} ({description})", (Photo("t1.jpg", PLAYER_FACES[key]),))


CAST = (
    Member("obama", "Barack Obama", (Photo("obama.jpg"), Photo("obama3.jpg")), independent=True),
    Member("biden", "Joe Biden", (Photo("biden.jpg"),)),
    Member("hanks", "Tom Hanks", (Photo("Tom_Hanks_54745.png"),)),
    _player(1, "far left"),
    _player(2, "standing"),
    _player(6, "never shown"),
)
"""Of the six players three stay unknown, two of them because this model finds them alike (0.37, over the threshold of
FMR 1e-3): enrolling one of them would find the other, too."""

QUERIES = {
    "obama2.jpg": ("obama",),
    "t1.jpg": ("player_1", None, None, "player_2", None, "player_6"),
}
"""Pictures to identify, with who they show, the largest face first; None is somebody unknown."""
