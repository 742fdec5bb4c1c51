import cv2
import numpy as np
import pytest

from inference.video.thumbnails import REEL_CAPACITY, SCENE_WIDTH_PX, Reel, jpeg, shrink


def numbered(index: int) -> np.ndarray:
    return np.full((9, 16, 3), (index // 256, index % 256, 0), np.uint8)


def test_a_thumbnail_is_a_jpeg_of_the_same_picture() -> None:
    picture = np.zeros((90, 160, 3), np.uint8)
    picture[:, :80] = (200, 30, 30)
    decoded = cv2.imdecode(np.frombuffer(jpeg(picture), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == picture.shape
    assert np.abs(decoded.astype(int) - picture).mean() < 3


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1080, 1920), (180, 320)), ((180, 320), (180, 320)), ((40, 30), (40, 30)), ((4, 9000), (1, 320))],
)
def test_shrinks_to_the_width_and_never_enlarges(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shrink(np.zeros((*size, 3), np.uint8), SCENE_WIDTH_PX).shape[:2] == expected


@pytest.mark.parametrize("count", [1, 2, 16, 17, 100, 1000])
def test_the_middle_of_a_scene_of_any_length_is_at_hand(count: int) -> None:
    reel = Reel()
    for index in range(count):
        reel.offer(index, numbered(index))
    middle = (count - 1) / 2
    high, low, _ = reel.nearest(middle)[0, 0].tolist()
    assert abs(256 * high + low - middle) <= max(0.5, count / REEL_CAPACITY)


def test_the_reel_stays_small() -> None:
    reel = Reel()
    for index in range(10_000):
        reel.offer(index, numbered(index))
    assert len(reel._pictures) <= REEL_CAPACITY
