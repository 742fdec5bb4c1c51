"""What was found beside what is true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whodex.demo.truth import Interval, Presence, TrueScene

FRAME_TOLERANCE_S: Final = 0.021
"""A cut is found to the frame: half a frame of 25 a second, for rounding."""
SAMPLE_TOLERANCE_S: Final = 0.25
"""A face is looked for five times a second; a quarter of a second is one sample and rounding."""


@dataclass(frozen=True, slots=True)
class Match:
    """An appearance that the search gave for a person.

    Attributes:
        person: the person's name in the truth.
        seen: when.
        similarity: to the person's query embedding.
    """

    person: str
    seen: Interval
    similarity: float


@dataclass(frozen=True, slots=True)
class Row:
    """A person in a scene: what is true, what was found.

    Attributes:
        person: the person's name in the truth.
        scene_index: of the true scene, from 0.
        scene: the true scene.
        truth: when the person is in it, if at all.
        matches: what was found there.
        problem: what is wrong; empty when nothing is.
    """

    person: str
    scene_index: int
    scene: TrueScene
    truth: Presence | None
    matches: tuple[Match, ...]
    problem: str


def compare_scenes(truth: Sequence[TrueScene], found: Sequence[Interval]) -> str:
    """What is wrong with the scenes that were found, in order of time; empty when nothing is."""
    if len(truth) != len(found):
        return f"{len(found)} scenes were found, {len(truth)} are there"
    off = [
        index
        for index, (scene, span) in enumerate(zip(truth, found, strict=True))
        if not _near(scene.span.start_s, span.start_s, FRAME_TOLERANCE_S)
        or not _near(scene.span.end_s, span.end_s, FRAME_TOLERANCE_S)
    ]
    return f"scenes {', '.join(map(str, off))} begin or end elsewhere" if off else ""


def compare_person(person: str, truth: Sequence[TrueScene], matches: Sequence[Match]) -> list[Row]:
    """Compare every scene in which a person is, or was found."""
    rows = []
    for index, scene in enumerate(truth):
        here = tuple(match for match in matches if match.person == person and _middle_within(match.seen, scene.span))
        presence = scene.presence(person)
        if presence or here:
            rows.append(Row(person, index, scene, presence, here, _problem(presence, here)))
    return rows


def _problem(presence: Presence | None, matches: Sequence[Match]) -> str:
    if presence is None:
        return "not there"
    if not matches:
        return "missed"
    start_s = min(match.seen.start_s for match in matches)
    end_s = max(match.seen.end_s for match in matches)
    if not _between(presence.part.start_s, start_s, presence.whole.start_s):
        return "begins elsewhere"
    if not _between(presence.whole.end_s, end_s, presence.part.end_s):
        return "ends elsewhere"
    return ""


def _middle_within(seen: Interval, span: Interval) -> bool:
    return span.start_s <= (seen.start_s + seen.end_s) / 2 < span.end_s


def _near(a: float, b: float, tolerance: float) -> bool:
    return abs(a - b) <= tolerance


def _between(earliest: float, time: float, latest: float) -> bool:
    return earliest - SAMPLE_TOLERANCE_S <= time <= latest + SAMPLE_TOLERANCE_S
