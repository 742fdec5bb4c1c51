import pytest

from whodex.demo.comparison import Match, compare_person, compare_scenes
from whodex.demo.truth import Interval, Presence, TrueScene

TRUTH = (
    TrueScene("both", Interval(0, 4), (Presence("ann", Interval(0, 4), Interval(0, 4)),)),
    TrueScene("nobody", Interval(4, 8), ()),
    TrueScene("ann comes", Interval(8, 12), (Presence("ann", Interval(10, 12), Interval(9.5, 12)),)),
)
RIGHT = [Match("ann", Interval(0, 4), 0.8), Match("ann", Interval(9.7, 12), 0.8)]


def problems(matches: list[Match]) -> list[str]:
    return [row.problem for row in compare_person("ann", TRUTH, matches)]


def test_what_matches_the_truth_has_no_problem() -> None:
    assert problems(RIGHT) == ["", ""]


def test_rows_say_which_scene_they_are_about() -> None:
    rows = compare_person("ann", TRUTH, RIGHT)
    assert [(row.scene_index, row.scene.title, len(row.matches)) for row in rows] == [
        (0, "both", 1),
        (2, "ann comes", 1),
    ]


def test_another_person_has_no_rows() -> None:
    assert compare_person("bob", TRUTH, RIGHT) == []


def test_a_person_who_was_not_found_is_missed() -> None:
    assert problems(RIGHT[:1]) == ["", "missed"]


def test_a_person_who_was_found_where_they_are_not() -> None:
    assert problems([*RIGHT, Match("ann", Interval(5, 6), 0.3)]) == ["", "not there", ""]


@pytest.mark.parametrize(
    ("seen", "problem"),
    [
        (Interval(9.5, 12), ""),
        (Interval(10.2, 12), ""),
        (Interval(9.2, 12), "begins elsewhere"),
        (Interval(10.5, 12), "begins elsewhere"),
        (Interval(9.7, 11.5), "ends elsewhere"),
        (Interval(9.7, 12.5), "ends elsewhere"),
    ],
)
def test_a_face_may_be_found_from_its_edge_on_and_must_be_once_it_is_whole(seen: Interval, problem: str) -> None:
    assert problems([RIGHT[0], Match("ann", seen, 0.8)]) == ["", problem]


def test_two_appearances_in_a_scene_count_together() -> None:
    assert problems([Match("ann", Interval(0, 1.5), 0.8), Match("ann", Interval(2, 4), 0.8), RIGHT[1]]) == ["", ""]


def test_scenes_match_to_the_frame() -> None:
    assert compare_scenes(TRUTH, [Interval(0, 4), Interval(4, 8), Interval(8, 12)]) == ""
    assert compare_scenes(TRUTH, [Interval(0, 4.04), Interval(4.04, 8), Interval(8, 12)]) == (
        "scenes 0, 1 begin or end elsewhere"
    )
    assert compare_scenes(TRUTH, [Interval(0, 8), Interval(8, 12)]) == "2 scenes were found, 3 are there"
