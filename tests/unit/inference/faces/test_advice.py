from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from inference.faces.advice import (
    GOOD_SHARPNESS,
    GOOD_YAW_DEGREES,
    MAX_BRIGHT_SHARE,
    MIN_FACE_SIZE_PX,
    MIN_LUMINANCE,
    MIN_SHARPNESS,
    photo_warnings,
    refusal,
)
from inference.faces.exposure import Exposure
from inference.faces.pose import Pose
from inference.faces.quality import FaceQuality
from whodex.v1 import failure_pb2
from whodex.v1.person_pb2 import PhotoWarning

MakeQuality = Callable[..., FaceQuality]


def lit(luminance: float = 0.5, dark_share: float = 0, bright_share: float = 0) -> Exposure:
    return Exposure(luminance, dark_share, bright_share)


@pytest.mark.parametrize(
    ("measured", "reason", "numbers", "advice"),
    [
        ({"face_size_px": 31.9}, failure_pb2.FAILURE_REASON_FACE_TOO_SMALL, ("31 px", "32"), "move closer"),
        ({"sharpness": 1.749}, failure_pb2.FAILURE_REASON_FACE_NOT_SHARP, ("1.74", "1.75"), "hold the camera still"),
        (
            {"sharpness": 1.2, "eye_distance_px": 14},
            failure_pb2.FAILURE_REASON_FACE_NOT_SHARP,
            ("1.2", "1.75"),
            "move closer",
        ),
        (
            {"exposure": lit(luminance=0.0399)},
            failure_pb2.FAILURE_REASON_FACE_BADLY_EXPOSED,
            ("0.03", "0.04"),
            "in more light",
        ),
        (
            {"exposure": lit(luminance=0.99, bright_share=0.903)},
            failure_pb2.FAILURE_REASON_FACE_BADLY_EXPOSED,
            ("91 %", "90 %"),
            "in less light",
        ),
    ],
)
def test_a_refusal_names_what_was_measured_what_is_needed_and_what_to_do(
    make_quality: MakeQuality, measured: dict[str, Any], reason: int, numbers: tuple[str, str], advice: str
):
    error = refusal(make_quality(**measured))
    assert error is not None
    assert error.reason == reason
    for part in (*numbers, advice):
        assert part in error.message


@pytest.mark.parametrize(
    "measured",
    [
        {},
        {"face_size_px": MIN_FACE_SIZE_PX},
        {"sharpness": MIN_SHARPNESS},
        {"exposure": lit(luminance=MIN_LUMINANCE)},
        {"exposure": lit(luminance=0.95, bright_share=MAX_BRIGHT_SHARE)},
        # Neither a head that is turned away nor one that is covered is refused: most are recognised.
        {"pose": Pose(yaw=60, pitch=-40, roll=90)},
        {"occlusion": 1.0},
    ],
)
def test_what_can_be_recognised_is_not_refused(make_quality: MakeQuality, measured: dict[str, Any]):
    assert refusal(make_quality(**measured)) is None


@pytest.mark.parametrize(
    ("measured", "kind", "parts"),
    [
        ({"eye_distance_px": 17.9}, PhotoWarning.KIND_LOW_RESOLUTION, ("17 px", "18", "move closer")),
        ({"sharpness": 3.999}, PhotoWarning.KIND_BLURRED, ("3.99", "4", "hold the camera still")),
        ({"pose": Pose(yaw=-31.4, pitch=0, roll=0)}, PhotoWarning.KIND_TURNED_AWAY, ("31 degrees", "25", "camera")),
        ({"pose": Pose(yaw=0, pitch=26, roll=0)}, PhotoWarning.KIND_TURNED_AWAY, ("looks up by 26", "25", "height")),
        ({"pose": Pose(yaw=0, pitch=-26, roll=0)}, PhotoWarning.KIND_TURNED_AWAY, ("looks down by 26", "25")),
        ({"exposure": lit(luminance=0.08)}, PhotoWarning.KIND_BADLY_EXPOSED, ("0.08", "0.1", "more light")),
        ({"exposure": lit(bright_share=0.6)}, PhotoWarning.KIND_BADLY_EXPOSED, ("60 %", "50", "flash")),
        ({"exposure": lit(dark_share=0.4)}, PhotoWarning.KIND_BADLY_EXPOSED, ("40 %", "30", "from the front")),
        ({"occlusion": 0.75}, PhotoWarning.KIND_OCCLUDED, ("0.75", "0.5", "mask")),
    ],
)
def test_a_warning_names_what_was_measured_what_is_better_and_what_to_do(
    make_quality: MakeQuality, measured: dict[str, Any], kind: int, parts: tuple[str, ...]
):
    (warning,) = photo_warnings(make_quality(**measured))
    assert warning.kind == kind
    for part in parts:
        assert part in warning.message


def test_several_flaws_are_several_warnings(make_quality: MakeQuality):
    warnings = photo_warnings(make_quality(sharpness=2, pose=Pose(yaw=40, pitch=0, roll=0), occlusion=0.9))
    assert [warning.kind for warning in warnings] == [
        PhotoWarning.KIND_BLURRED,
        PhotoWarning.KIND_TURNED_AWAY,
        PhotoWarning.KIND_OCCLUDED,
    ]


def test_about_a_good_photo_there_is_nothing_to_say(make_quality: MakeQuality):
    at_the_limits = make_quality(sharpness=GOOD_SHARPNESS, pose=Pose(yaw=GOOD_YAW_DEGREES - 0.1, pitch=-24, roll=180))
    assert photo_warnings(make_quality()) == photo_warnings(at_the_limits) == []
