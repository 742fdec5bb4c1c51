import pytest

from whodex.demo.geometry import Box, Window


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (Box(0, 0, 100, 100), 1.0),
        (Box(15, 10, 100, 100), 0.5),
        (Box(10, 15, 20, 20), 0.5),
        (Box(20, 10, 30, 20), 0.0),
        (Box(50, 50, 60, 60), 0.0),
    ],
)
def test_share_of_a_box_within_another(other: Box, share: float) -> None:
    assert Box(10, 10, 20, 20).share_within(other) == pytest.approx(share)


def test_a_box_moves_with_its_picture() -> None:
    assert Box(1, 2, 3, 4).scaled(2, 10, 20) == Box(12, 24, 16, 28)


def test_a_window_is_16_to_9() -> None:
    assert Window(400, 300, 320).box == Box(240, 210, 560, 390)


def test_a_camera_move_begins_and_ends_where_it_should() -> None:
    start, end = Window(100, 100, 160), Window(300, 200, 640)
    assert start.towards(end, 0) == start
    assert start.towards(end, 1) == end
    assert start.towards(end, 0.5) == Window(200, 150, 320)  # the width changes by the same factor twice


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        (Window(400, 300, 320), Window(400, 300, 320)),
        (Window(0, 0, 320), Window(160, 90, 320)),
        (Window(800, 600, 320), Window(640, 510, 320)),
    ],
)
def test_a_window_shows_nothing_beyond_the_picture(window: Window, kept: Window) -> None:
    assert window.kept_within(800, 600) == kept
