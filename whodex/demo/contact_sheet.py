"""The evidence on one page: HTML that needs no other file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

from whodex.demo.comparison import Row
from whodex.demo.truth import Interval, Presence

AXIS_STEP_S = 5


@dataclass(frozen=True, slots=True)
class Card:
    """One appearance of a person.

    Attributes:
        title: of the scene.
        seen: when the person was found.
        truth: when the person is there, if at all.
        problem: what is wrong; empty when nothing is.
        scene: the scene's thumbnail; JPEG.
        best_shot: the best picture of the face; JPEG.
        best_shot_s: when it was taken.
        photo: the nearest reference photo's face; JPEG.
        photo_name: its file name.
        similarity: to the person's query embedding.
        photo_similarity: to that photo.
    """

    title: str
    seen: Interval
    truth: Presence | None
    problem: str
    scene: bytes
    best_shot: bytes
    best_shot_s: float
    photo: bytes
    photo_name: str
    similarity: float
    photo_similarity: float


@dataclass(frozen=True, slots=True)
class PersonSheet:
    """What is shown of one person.

    Attributes:
        name: the person's.
        independent: whether the reference photos are others than the video shows.
        rows: what is true and what was found, scene by scene.
        cards: the appearances, in order of time.
    """

    name: str
    independent: bool
    rows: Sequence[Row]
    cards: Sequence[Card]


@dataclass(frozen=True, slots=True)
class Sheet:
    """The page's content.

    Attributes:
        title: of the video.
        duration_s: of the video.
        threshold: the similarity from which an appearance counts as a person's.
        rate: the false match rate that names the threshold.
        scenes: the scenes found, each with its thumbnail as JPEG.
        people: in the order of the page.
        problems: what is wrong in all; empty when nothing is.
    """

    title: str
    duration_s: float
    threshold: float
    rate: str
    scenes: Sequence[tuple[Interval, bytes]]
    people: Sequence[PersonSheet]
    problems: Sequence[str]


def render_html(sheet: Sheet) -> str:
    """Lay the sheet out as a page."""
    style = (resources.files("whodex.demo") / "contact_sheet.css").read_text(encoding="utf-8")
    independent = [person for person in sheet.people if person.independent]
    same_picture = [person for person in sheet.people if not person.independent]
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{escape(sheet.title)}</title>',
            f"<style>{style}</style></head><body>",
            _heading(sheet),
            _timeline(sheet),
            "<h2>Enrolled from other photographs than the video shows</h2>",
            *(_person(person, sheet.threshold) for person in independent),
            "<h2>Enrolled from the very picture that the video shows</h2>",
            '<p class="faint">Shows that the path works; says nothing of accuracy.</p>',
            *(_person(person, sheet.threshold) for person in same_picture),
            "</body></html>",
        ]
    )


def _heading(sheet: Sheet) -> str:
    verdict = "All that was found matches the truth" if not sheet.problems else "; ".join(sheet.problems)
    state = "wrong" if sheet.problems else ""
    return (
        f"<h1>{escape(sheet.title)}</h1>"
        f'<p class="faint">{sheet.duration_s:.0f} seconds, {len(sheet.scenes)} scenes, {len(sheet.people)} people; '
        f"a match from a similarity of {sheet.threshold:.3f} on (false match rate {sheet.rate})</p>"
        f'<p class="verdict {state}">{escape(verdict)}</p>'
    )


def _timeline(sheet: Sheet) -> str:
    strip = "".join(f'<img alt="" style="{_place(span, sheet)}" src="{_data(jpeg)}">' for span, jpeg in sheet.scenes)
    ticks = "".join(
        f'<span style="left:{100 * second / sheet.duration_s:.2f}%">{second // 60}:{second % 60:02}</span>'
        for second in range(0, int(sheet.duration_s), AXIS_STEP_S)
    )
    lanes = "".join(_lane(person, sheet) for person in sheet.people)
    legend = '<div class="legend"><span><i></i>in the picture</span><span><u></u>found</span></div>'
    return f'<div class="panel"><div class="strip">{strip}</div><div class="axis">{ticks}</div>{lanes}{legend}</div>'


def _lane(person: PersonSheet, sheet: Sheet) -> str:
    truth = "".join(f'<i style="{_place(row.truth.part, sheet)}"></i>' for row in person.rows if row.truth)
    found = "".join(
        f'<u class="{"wrong" if row.problem else ""}" style="{_place(match.seen, sheet)}"></u>'
        for row in person.rows
        for match in row.matches
    )
    return f'<div class="row"><b>{escape(person.name)}</b><div class="lane">{truth}{found}</div></div>'


def _person(person: PersonSheet, threshold: float) -> str:
    missed = [row.scene.title for row in person.rows if not row.matches]
    notes = [f'<p class="faint">Missed: {escape(", ".join(missed))}</p>'] if missed else []
    if not person.rows:
        notes.append('<p class="faint">Never in the video, and found nowhere.</p>')
    cards = "".join(_card(card, threshold) for card in person.cards)
    return f'<h3>{escape(person.name)}</h3>{"".join(notes)}<div class="cards">{cards}</div>'


def _card(card: Card, threshold: float) -> str:
    truth = f"truth {_times(card.truth.whole)}" if card.truth else "truth: not there"
    verdict = f"✗ {card.problem}" if card.problem else "✓"
    return f"""<div class="card {"wrong" if card.problem else ""}">
<img alt="scene" src="{_data(card.scene)}"><div>
<div class="title"><span title="{escape(card.title)}">{escape(card.title)}</span><em>{escape(verdict)}</em></div>
<p class="faint">found {_times(card.seen)} · {truth}</p>
<div class="pair">
<figure><img alt="best shot" src="{_data(card.best_shot)}">
<figcaption>best shot</figcaption><figcaption>at {card.best_shot_s:.1f} s</figcaption></figure>
<figure><img alt="reference photo" src="{_data(card.photo)}">
<figcaption>nearest photo</figcaption>
<figcaption>{card.photo_similarity:.3f}, {escape(card.photo_name)}</figcaption></figure>
</div>
<div class="gauge"><i style="width:{100 * max(0.0, card.similarity):.1f}%"></i>
<u style="left:{100 * threshold:.1f}%"></u></div>
<div class="numbers"><span>similarity <b>{card.similarity:.3f}</b></span>
<span class="faint">threshold {threshold:.3f}</span></div>
</div></div>"""


def _place(span: Interval, sheet: Sheet) -> str:
    left, width = span.start_s / sheet.duration_s, (span.end_s - span.start_s) / sheet.duration_s
    return f"left:{100 * left:.2f}%;width:{100 * width:.2f}%"


def _times(span: Interval) -> str:
    return f"{span.start_s:.1f}-{span.end_s:.1f} s"


def _data(jpeg: bytes) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"
