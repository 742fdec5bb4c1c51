"""What the sample video shows, known to the frame because it is rendered. Times are seconds, ends exclusive."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of the video.

    Attributes:
        start_s: inclusive.
        end_s: exclusive.
    """

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Presence:
    """Somebody in a scene. A face that comes into the picture is found somewhere between its edge and all of it.

    Attributes:
        person: who, a key of the cast.
        whole: from when to when all of the face is in the picture.
        part: from when to when any of it is.
    """

    person: str
    whole: Interval
    part: Interval


@dataclass(frozen=True, slots=True)
class TrueScene:
    """One shot.

    Attributes:
        title: what it shows.
        span: from when to when.
        presences: who is in it, each at most once.
    """

    title: str
    span: Interval
    presences: tuple[Presence, ...]

    def presence(self, person: str) -> Presence | None:
        """When a person is in it, if at all."""
        return next((presence for presence in self.presences if presence.person == person), None)
