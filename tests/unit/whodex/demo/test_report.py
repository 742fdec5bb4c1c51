from rich.console import Console, RenderableType

from whodex.demo.cast import CAST
from whodex.demo.comparison import Match, Row
from whodex.demo.report import conclusion, identification_table, people_table
from whodex.demo.truth import Interval, Presence, TrueScene

OBAMA, BIDEN, *_ = CAST
WHOLE, PART = Interval(1.0, 4.0), Interval(0.5, 4.0)
SCENE = TrueScene("A speech", Interval(0, 4), (Presence("obama", WHOLE, PART),))


def text(what: RenderableType) -> str:
    console = Console(width=140, force_terminal=False)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


def test_a_person_found_is_beside_the_truth() -> None:
    match = Match("obama", Interval(0.9, 4.0), 0.815)
    rows = [Row("obama", 3, SCENE, SCENE.presences[0], (match,), "")]
    table = text(people_table("People", [(OBAMA, rows)], 0.292))
    for cell in (
        "Barack Obama",
        "3 A speech",
        "1.0 -  4.0 s",
        "partly  0.5 -  4.0 s",
        "0.9 -  4.0 s",
        "0.815",
        "≥ 0.292",
        "✓",
    ):
        assert cell in table


def test_a_person_missed_is_marked() -> None:
    rows = [Row("obama", 3, SCENE, SCENE.presences[0], (), "missed")]
    assert "✗ missed" in text(people_table("People", [(OBAMA, rows)], 0.292))


def test_a_person_who_is_nowhere_has_a_line() -> None:
    table = text(people_table("People", [(BIDEN, [])], 0.292))
    assert "never" in table
    assert "nowhere" in table


def test_somebody_unknown_is_called_so() -> None:
    faces = [("obama", 0.81), (None, 0.12)]
    table = text(identification_table({"group.jpg": (faces, "")}, {"obama": "Barack Obama"}))
    assert "Barack Obama 0.81, UNKNOWN 0.12" in table


def test_the_conclusion_names_every_problem() -> None:
    assert text(conclusion([])).strip() == "All that was found matches the truth."
    assert text(conclusion(["this", "that"])).split("\n")[:2] == ["✗ this", "✗ that"]
