from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from inference.errors import MediaError
from inference.faces.analyzer import Face
from inference.faces.errors import (
    FaceNotAtBoxError,
    FaceNotSharpError,
    FaceTooSmallError,
    NoFaceError,
    SeveralFacesError,
)
from inference.faces.selection import choose_face
from whodex.v1 import failure_pb2

MakeFace = Callable[..., Face]

LEFT = (10, 10, 110, 130)
RIGHT = (210, 10, 310, 130)


def boxed(*box_xyxy: float) -> np.ndarray:
    return np.array(box_xyxy, np.float32)


def test_the_only_face_is_chosen(make_face: MakeFace):
    face = make_face()
    assert choose_face([face]) is face


def test_faces_in_the_background_that_cannot_be_recognised_do_not_count(make_face: MakeFace):
    face = make_face(LEFT)
    background = [make_face(RIGHT, sharpness=1.0), make_face((200, 200, 220, 225), face_size_px=20)]
    assert choose_face([*background, face]) is face


def test_a_box_names_one_of_several_faces(make_face: MakeFace):
    left, right = make_face(LEFT), make_face(RIGHT)
    assert choose_face([left, right], boxed(190, 0, 330, 150)) is right
    assert choose_face([left, right], boxed(*LEFT)) is left


def test_a_box_around_head_and_shoulders_is_near_enough(make_face: MakeFace):
    face = make_face((100, 60, 200, 180))
    assert choose_face([face], boxed(40, 0, 260, 300)) is face


@pytest.mark.parametrize(
    ("faces", "box", "error", "reason"),
    [
        ([], None, NoFaceError, failure_pb2.FAILURE_REASON_NO_FACE),
        ([], LEFT, NoFaceError, failure_pb2.FAILURE_REASON_NO_FACE),
        ([{}, {}], None, SeveralFacesError, failure_pb2.FAILURE_REASON_SEVERAL_FACES),
        ([{}], (900, 900, 950, 950), FaceNotAtBoxError, failure_pb2.FAILURE_REASON_FACE_NOT_AT_BOX),
        # The corner of a box may touch a face that was not meant.
        ([{"box_xyxy": LEFT}], (100, 120, 300, 300), FaceNotAtBoxError, failure_pb2.FAILURE_REASON_FACE_NOT_AT_BOX),
        ([{"face_size_px": 31}], None, FaceTooSmallError, failure_pb2.FAILURE_REASON_FACE_TOO_SMALL),
        ([{"sharpness": 1.7}], None, FaceNotSharpError, failure_pb2.FAILURE_REASON_FACE_NOT_SHARP),
        (
            [{"box_xyxy": LEFT}, {"box_xyxy": RIGHT, "sharpness": 1}],
            RIGHT,
            FaceNotSharpError,
            failure_pb2.FAILURE_REASON_FACE_NOT_SHARP,
        ),
    ],
)
def test_a_refusal_says_why(
    make_face: MakeFace, faces: list[dict[str, object]], box: object, error: type[MediaError], reason: int
):
    with pytest.raises(error) as refused:
        choose_face([make_face(**one) for one in faces], None if box is None else np.array(box, np.float32))
    assert refused.value.reason == reason
    assert refused.value.message.endswith(".")
