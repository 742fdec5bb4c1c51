"""The face pipeline with the real models, through face analysis as the api_server calls it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from PIL import Image, ImageDraw, ImageOps

from inference.faces.boxes import iou
from inference.models.manifest import load_manifest
from inference.proto import box_from_proto
from whodex.demo.samples import pull_samples, sample
from whodex.errors import InvalidArgumentError, UnauthenticatedError, from_rpc_error
from whodex.runtime.channel import internal_channel_sync
from whodex.runtime.embedding import from_proto
from whodex.v1 import error_reason_pb2
from whodex.v1.face_analysis_service_pb2 import AnalyzedFace, AnalyzeImageRequest, AnalyzeImageResponse
from whodex.v1.face_analysis_service_pb2_grpc import FaceAnalysisServiceStub
from whodex.v1.person_pb2 import FaceQuality

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

ORIENTATION_TAG = 0x0112
SERVICE = "whodex.v1.FaceAnalysisService"

Analyze = Callable[[bytes], AnalyzeImageResponse]


@pytest.fixture(scope="module")
def channel(stack: Stack) -> Iterator[grpc.Channel]:
    with internal_channel_sync(stack.part_address("analysis"), stack.secrets.internal_token) as channel:
        yield channel


@pytest.fixture(scope="module")
def analyze(channel: grpc.Channel) -> Analyze:
    return partial(call, channel)


@pytest.fixture(scope="module")
def picture() -> Callable[[str], Image.Image]:
    pull_samples()
    return lambda name: Image.open(sample(name)).convert("RGB")


def call(channel: grpc.Channel, image: bytes) -> AnalyzeImageResponse:
    try:
        return FaceAnalysisServiceStub(channel).AnalyzeImage(AnalyzeImageRequest(image=image))
    except grpc.RpcError as error:
        raise from_rpc_error(error) from error


def jpeg(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92, **options)
    return buffer.getvalue()


def similarity(first: AnalyzedFace, second: AnalyzedFace) -> float:
    return float(from_proto(first.embedding) @ from_proto(second.embedding))


def overlap(first: AnalyzedFace, second: AnalyzedFace) -> float:
    return iou(box_from_proto(first.box)[None], box_from_proto(second.box)[None]).item()


def test_it_is_serving(channel: grpc.Channel):
    response = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert response.status == health_pb2.HealthCheckResponse.SERVING


def test_photographs_of_one_person_match_and_of_two_do_not(analyze: Analyze, picture: Callable[[str], Image.Image]):
    threshold = load_manifest("arcface").calibration.threshold_for(1e-3).similarity
    names = ("obama.jpg", "obama2.jpg", "obama3.jpg", "biden.jpg")
    obama, obama2, obama3, biden = (analyze(jpeg(picture(name))).faces[0] for name in names)
    for same in (similarity(obama, obama2), similarity(obama, obama3), similarity(obama2, obama3)):
        assert same > threshold + 0.2
    assert similarity(obama, biden) < threshold - 0.1


def test_everybody_in_a_group_is_found_the_largest_first(analyze: Analyze, picture: Callable[[str], Image.Image]):
    group = picture("t1.jpg")
    response = analyze(jpeg(group))
    assert (response.width, response.height) == group.size
    assert len(response.faces) == 6
    areas = [(face.box.right - face.box.left) * (face.box.bottom - face.box.top) for face in response.faces]
    assert areas == sorted(areas, reverse=True)
    for face in response.faces:
        assert 0 <= face.box.left < face.box.right <= group.width
        assert face.quality.face_size_px == pytest.approx(
            min(face.box.right - face.box.left, face.box.bottom - face.box.top), rel=1e-3
        )
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        assert left_eye.x < right_eye.x
        assert left_eye.y < nose.y < left_mouth.y
        assert left_mouth.x < right_mouth.x


def test_quality_differs_between_faces(analyze: Analyze, picture: Callable[[str], Image.Image]):
    faces = analyze(jpeg(picture("t1.jpg"))).faces
    measured_on_each = [field.name for field in FaceQuality.DESCRIPTOR.fields if not field.name.endswith("_share")]
    for number in measured_on_each:
        assert len({getattr(face.quality, number) for face in faces}) == len(faces), number


def test_a_mirrored_face_is_turned_the_other_way(analyze: Analyze, picture: Callable[[str], Image.Image]):
    upright = picture("obama2.jpg")
    (face,), (mirrored,) = analyze(jpeg(upright)).faces, analyze(jpeg(ImageOps.mirror(upright))).faces
    assert abs(face.quality.yaw_degrees) > 10
    assert mirrored.quality.yaw_degrees == pytest.approx(-face.quality.yaw_degrees, abs=6)
    assert mirrored.quality.pitch_degrees == pytest.approx(face.quality.pitch_degrees, abs=6)


def test_a_tilted_face_is_tilted_by_as_much(analyze: Analyze, picture: Callable[[str], Image.Image]):
    upright = picture("obama.jpg")
    (face,), (tilted,) = analyze(jpeg(upright)).faces, analyze(jpeg(upright.rotate(-15))).faces
    assert tilted.quality.roll_degrees - face.quality.roll_degrees == pytest.approx(15, abs=3)


def test_light_changes_what_is_measured_of_it(analyze: Analyze, picture: Callable[[str], Image.Image]):
    face = picture("biden.jpg")
    dark, plain, bright = (
        analyze(jpeg(face.point(lambda level, gain=gain: level * gain))).faces[0].quality for gain in (0.2, 1, 2.5)
    )
    assert dark.luminance < plain.luminance / 3 < bright.luminance / 3
    assert dark.bright_share == 0
    assert bright.bright_share > plain.bright_share + 0.2


@pytest.mark.parametrize("colour", ["lightblue", "black", "white"])
def test_a_face_behind_a_mask_may_be_covered(analyze: Analyze, picture: Callable[[str], Image.Image], colour: str):
    portrait = picture("obama.jpg")
    (face,) = analyze(jpeg(portrait)).faces
    nose, left, right = face.landmarks[2], face.landmarks[3], face.landmarks[4]
    width = right.x - left.x
    mask = [(left.x - 0.6 * width, nose.y), (right.x + 0.6 * width, nose.y)]
    mask += [(right.x + 0.3 * width, face.box.bottom), (left.x - 0.3 * width, face.box.bottom)]
    ImageDraw.Draw(portrait).polygon(mask, fill=colour)
    (masked,) = analyze(jpeg(portrait)).faces
    assert face.quality.occlusion < 0.5 <= masked.quality.occlusion


def test_a_12_megapixel_photo_gives_the_same_faces_in_its_own_pixels(
    analyze: Analyze, picture: Callable[[str], Image.Image]
):
    group = picture("t1.jpg")
    large = group.resize((4096, 2835), Image.Resampling.LANCZOS)
    small_faces, large_faces = analyze(jpeg(group)).faces, analyze(jpeg(large)).faces
    assert len(large_faces) == 6
    for face in large_faces:
        shrunk = box_from_proto(face.box) / np.float32(4096 / group.width)
        (same,) = [one for one in small_faces if iou(box_from_proto(one.box)[None], shrunk[None]) > 0.5]
        assert similarity(face, same) > 0.9


def test_a_photo_taken_on_its_side_is_the_same_photo(analyze: Analyze, picture: Callable[[str], Image.Image]):
    upright = picture("obama.jpg")
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    on_its_side = jpeg(upright.transpose(Image.Transpose.ROTATE_90), exif=exif)
    (expected,), (face,) = analyze(jpeg(upright)).faces, analyze(on_its_side).faces
    assert overlap(face, expected) > 0.9
    assert similarity(face, expected) > 0.95


@pytest.mark.parametrize("side", [96, 250, 1000])
def test_a_face_that_fills_the_picture_is_found(analyze: Analyze, picture: Callable[[str], Image.Image], side: int):
    whole = picture("obama.jpg")
    (expected,) = analyze(jpeg(whole)).faces
    box = expected.box
    tight = whole.crop((int(box.left), int(box.top), int(box.right), int(box.bottom)))
    (face,) = analyze(jpeg(tight.resize((side, round(side * tight.height / tight.width))))).faces
    assert similarity(face, expected) > 0.7


def test_a_blurred_face_measures_less_sharp_and_keeps_its_size(analyze: Analyze, picture: Callable[[str], Image.Image]):
    sharp = picture("obama.jpg")
    blurred = sharp.reduce(16).resize(sharp.size)
    (before,), (after,) = analyze(jpeg(sharp)).faces, analyze(jpeg(blurred)).faces
    assert after.quality.sharpness < before.quality.sharpness / 2
    assert after.quality.face_size_px == pytest.approx(before.quality.face_size_px, rel=0.2)


def test_a_mirrored_face_is_the_same_person(analyze: Analyze, picture: Callable[[str], Image.Image]):
    face = picture("biden.jpg")
    (first,), (second,) = analyze(jpeg(face)).faces, analyze(jpeg(ImageOps.mirror(face))).faces
    assert similarity(first, second) > 0.7


def test_a_picture_without_a_face_has_none(analyze: Analyze):
    response = analyze(jpeg(Image.radial_gradient("L").resize((800, 600))))
    assert list(response.faces) == []
    assert (response.width, response.height) == (800, 600)


@pytest.mark.parametrize("image", [b"text in a file named .jpg", b"\xff\xd8\xff\xe0 truncated"])
def test_what_is_no_picture_is_an_invalid_argument(analyze: Analyze, image: bytes):
    with pytest.raises(InvalidArgumentError) as refused:
        analyze(image)
    assert refused.value.reason == error_reason_pb2.ERROR_REASON_UNREADABLE_IMAGE


def test_the_internal_credential_is_needed(stack: Stack):
    with (
        internal_channel_sync(stack.part_address("analysis"), "another-token-of-the-tests") as channel,
        pytest.raises(UnauthenticatedError),
    ):
        call(channel, b"a picture")
