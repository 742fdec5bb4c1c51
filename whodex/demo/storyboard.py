"""The shots of the sample video: group shots, zooms, pans, people who come and go, stretches without a face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from whodex.demo import stages
from whodex.demo.geometry import Window
from whodex.demo.stages import Stage

FRAME_RATE = 25


@dataclass(frozen=True, slots=True)
class Shot:
    """One camera move in front of one picture.

    Attributes:
        title: what it shows.
        stage: makes the picture.
        start: what the camera sees first.
        end: what it sees last.
        frame_count: how long it lasts.
    """

    title: str
    stage: Callable[[], Stage]
    start: Window
    end: Window
    frame_count: int


def _table_detail() -> Stage:
    return stages.detail("t1.jpg")


def _flag_detail() -> Stage:
    return stages.detail("obama2.jpg")


def _arms_detail() -> Stage:
    return stages.detail("biden.jpg")


STORYBOARD = (
    Shot("Chips on the table", _table_detail, Window(330, 690, 560), Window(800, 700, 560), 100),
    Shot("Obama speaks", stages.podium, Window(640, 360, 1240), Window(640, 300, 760), 125),
    Shot("The card game", stages.card_table, Window(520, 340, 1030), Window(545, 340, 1010), 150),
    Shot("The flag", _flag_detail, Window(150, 84, 290), Window(470, 76, 270), 75),
    Shot("Biden in the office", stages.office, Window(640, 230, 700), Window(640, 360, 1240), 125),
    Shot("Split screen", stages.split_screen, Window(640, 360, 1270), Window(640, 340, 1120), 125),
    Shot("Folded arms", _arms_detail, Window(485, 1090, 900), Window(430, 1010, 640), 75),
    Shot("Portrait of Hanks", stages.film_portrait, Window(640, 360, 1240), Window(640, 360, 1000), 100),
    Shot("The camera finds Obama", stages.podium_at_the_side, Window(640, 360, 1200), Window(2080, 330, 900), 125),
    Shot("A player, closer", stages.card_table, Window(330, 300, 640), Window(180, 330, 355), 100),
    Shot("Obama, black and white", stages.podium_in_black_and_white, Window(700, 340, 900), Window(560, 340, 900), 100),
)
