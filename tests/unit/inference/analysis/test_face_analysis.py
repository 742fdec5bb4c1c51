"""FaceAnalysisService over real gRPC on a loopback port; what is analysed is given by each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from pydantic import SecretStr

from inference.analysis.picture import AnalyzedPicture
from inference.analysis.server import SERVICE_NAME
from inference.analysis.servicers.face_analysis import FaceAnalysisServicer
from inference.errors import MediaError
from inference.faces.alignment import ARCFACE_TEMPLATE_XY
from inference.faces.analyzer import Face
from inference.faces.errors import ImageTooLargeError, UnreadableImageError
from inference.faces.quality import FaceQuality
from inference.sandbox.errors import DecoderCrashedError, DecodingLimitError
from inference.triton.errors import TritonOverloadedError, TritonUnavailableError
from whodex.errors import InternalError, InvalidArgumentError, UnavailableError, WhodexError, from_rpc_error
from whodex.runtime.channel import internal_channel
from whodex.runtime.credentials import internal_credential
from whodex.runtime.embedding import from_proto
from whodex.runtime.server import Listener, Service, running
from whodex.v1 import error_reason_pb2, person_pb2
from whodex.v1.decoder_pb2 import DecoderHost
from whodex.v1.face_analysis_service_pb2 import AnalyzeImageRequest, AnalyzeImageResponse
from whodex.v1.face_analysis_service_pb2_grpc import (
    FaceAnalysisServiceStub,
    add_FaceAnalysisServiceServicer_to_server,
)
from whodex.v1.failure_pb2 import FailureReason

TOKEN = "a-token-of-the-tests"  # noqa: S105 - of these tests only
SPACE = "space-of-the-tests"

Analyze = Callable[[bytes, bool], AnalyzedPicture]


async def call(analyze: Analyze, image: bytes = b"a picture", *, every_face: bool = False) -> AnalyzeImageResponse:
    """Serves one call; raises what a client sees."""

    async def analyze_soon(data: bytes, *, every_face: bool) -> AnalyzedPicture:
        return analyze(data, every_face)

    servicer = FaceAnalysisServicer(analyze_soon, SPACE, DecoderHost(host="here"))
    service = Service(SERVICE_NAME, add_FaceAnalysisServiceServicer_to_server, servicer)
    listener = Listener("127.0.0.1:0", [service], internal_credential(SecretStr(TOKEN)))
    async with running(listener) as port, internal_channel(f"127.0.0.1:{port}", TOKEN) as channel:
        try:
            return await FaceAnalysisServiceStub(channel).AnalyzeImage(
                AnalyzeImageRequest(image=image, every_face=every_face)
            )
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error) from error


def failing(error: Exception) -> Analyze:
    def analyze(_data: bytes, _every_face: bool) -> AnalyzedPicture:  # noqa: FBT001
        raise error

    return analyze


async def test_faces_come_with_boxes_landmarks_quality_and_embeddings(make_quality: Callable[..., FaceQuality]):
    box = np.array([10, 20, 110, 150], np.float32)
    face = Face(box, ARCFACE_TEMPLATE_XY, make_quality(detection_score=0.875), np.zeros((112, 112, 3), np.uint8))
    embedding = np.array([[0.6, 0.8]], np.float32)
    seen: list[tuple[bytes, bool]] = []

    def analyze(*request: Any) -> AnalyzedPicture:
        seen.append(request)
        return AnalyzedPicture(640, 480, [face], embedding)

    response = await call(analyze, every_face=True)
    assert seen == [(b"a picture", True)]
    assert (response.width, response.height) == (640, 480)
    (found,) = response.faces
    assert [found.box.left, found.box.top, found.box.right, found.box.bottom] == [10, 20, 110, 150]
    np.testing.assert_array_equal([(point.x, point.y) for point in found.landmarks], ARCFACE_TEMPLATE_XY)
    expected = person_pb2.FaceQuality(
        face_size_px=100,
        eye_distance_px=45,
        detection_score=0.875,
        sharpness=8,
        blur=0.375,
        yaw_degrees=2,
        pitch_degrees=-4,
        roll_degrees=8,
        luminance=0.5,
        dark_share=0.0625,
        bright_share=0.03125,
        occlusion=0.125,
    )
    assert found.quality == expected
    assert found.embedding.space == SPACE
    np.testing.assert_array_equal(from_proto(found.embedding), embedding[0])


async def test_a_picture_without_faces_is_an_answer():
    response = await call(lambda *_: AnalyzedPicture(8, 8, [], np.empty((0, 0), np.float32)))
    assert len(response.faces) == 0
    assert (response.width, response.height) == (8, 8)


@pytest.mark.parametrize("kind", [UnreadableImageError, ImageTooLargeError])
async def test_a_picture_that_cannot_be_read_is_an_invalid_argument(kind: type[MediaError]):
    with pytest.raises(InvalidArgumentError, match="Upload an intact copy") as refused:
        await call(failing(kind("Upload an intact copy.")))
    assert refused.value.reason == error_reason_pb2.ERROR_REASON_UNREADABLE_IMAGE


@pytest.mark.parametrize("kind", [DecodingLimitError, DecoderCrashedError])
async def test_a_picture_that_breaks_its_decoder_keeps_its_reason(kind: type[MediaError]):
    with pytest.raises(InvalidArgumentError) as refused:
        await call(failing(kind("Upload a smaller copy.")))
    reason = FailureReason.Name(kind.reason).removeprefix("FAILURE_REASON_")
    assert refused.value.reason_name == reason


@pytest.mark.parametrize("kind", [TritonUnavailableError, TritonOverloadedError])
async def test_models_that_are_away_are_unavailable_and_worth_a_retry(kind: type[Exception]):
    with pytest.raises(UnavailableError) as refused:
        await call(failing(kind("arcface: queue is full")))
    assert refused.value.reason == error_reason_pb2.ERROR_REASON_INFERENCE_UNAVAILABLE
    assert refused.value.retry_after_seconds == 1


async def test_a_defect_is_internal_and_says_nothing_of_itself():
    with pytest.raises(InternalError) as refused:
        await call(failing(ZeroDivisionError("secret")))
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("image", [b"", bytes(32 * 1024 * 1024 + 1)])
async def test_limits_of_the_contract_hold(image: bytes):
    with pytest.raises(WhodexError) as refused:
        await call(failing(AssertionError("must not be reached")), image)
    assert refused.value.reason == error_reason_pb2.ERROR_REASON_INVALID_FIELD
