from html.parser import HTMLParser

from whodex.demo.comparison import Match, Row
from whodex.demo.contact_sheet import Card, PersonSheet, Sheet, render_html
from whodex.demo.truth import Interval, Presence, TrueScene

PRESENCE = Presence("ann", Interval(0, 4), Interval(0, 4))
SCENE = TrueScene("A <b>title</b>", Interval(0, 4), (PRESENCE,))
MATCH = Match("ann", Interval(0.1, 4), 0.812)


def card(problem: str = "") -> Card:
    return Card(
        title=SCENE.title,
        seen=MATCH.seen,
        truth=PRESENCE,
        problem=problem,
        scene=b"scene",
        best_shot=b"best",
        best_shot_s=1.2,
        photo=b"photo",
        photo_name="ann.jpg",
        similarity=MATCH.similarity,
        photo_similarity=0.77,
    )


def sheet(problem: str = "") -> Sheet:
    ann = PersonSheet("Ann & Co", True, [Row("ann", 0, SCENE, PRESENCE, (MATCH,), problem)], [card(problem)])
    nobody = PersonSheet("Nobody", False, [], [])
    problems = [problem] if problem else []
    return Sheet("Who is it?", 8.0, 0.292, "1e-3", [(SCENE.span, b"thumbnail")], [ann, nobody], problems)


class Outline(HTMLParser):
    """Collects the pictures and the text, and checks that every element is closed."""

    VOID = frozenset({"img", "meta"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in {"src", "href"}]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_the_page_is_well_formed_and_needs_no_other_file() -> None:
    outline = Outline(render_html(sheet()))
    assert outline.open == []
    assert len(outline.sources) == 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in outline.sources)


def test_names_are_text() -> None:
    text = Outline(render_html(sheet())).text
    assert "A <b>title</b>" in text
    assert "Ann & Co" in text


def test_a_card_says_what_decided() -> None:
    text = Outline(render_html(sheet())).text
    assert "similarity 0.812 threshold 0.292" in text
    assert "from a similarity of 0.292 on (false match rate 1e-3)" in text
    assert "best shot at 1.2 s" in text
    assert "nearest photo 0.770, ann.jpg" in text
    assert "found 0.1-4.0 s · truth 0.0-4.0 s" in text


def test_the_verdict_is_on_the_page() -> None:
    assert "All that was found matches the truth" in Outline(render_html(sheet())).text
    wrong = Outline(render_html(sheet("begins elsewhere"))).text
    assert "matches the truth" not in wrong
    assert wrong.count("begins elsewhere") == 2


def test_somebody_who_is_never_there_is_said_to_be_found_nowhere() -> None:
    assert "Never in the video, and found nowhere." in Outline(render_html(sheet())).text
