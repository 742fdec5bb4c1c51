from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from inference.analysis.picture import AnalyzedPicture
from inference.errors import MediaError
from inference.faces.analyzer import Face
from inference.proto import box_to_proto, quality_to_proto
from inference.triton.errors import TritonTransientError
from whodex.errors import InvalidArgumentError, UnavailableError
from whodex.runtime.embedding import to_proto
from whodex.v1 import decoder_pb2, error_reason_pb2, failure_pb2, geometry_pb2
from whodex.v1.face_analysis_service_pb2 import (
    AnalyzedFace,
    AnalyzeImageRequest,
    AnalyzeImageResponse,
    GetDecoderRequest,
    GetDecoderResponse,
)
from whodex.v1.face_analysis_service_pb2_grpc import FaceAnalysisServiceServicer

_REASONS = {
    failure_pb2.FAILURE_REASON_DECODING_LIMIT_EXCEEDED: error_reason_pb2.ERROR_REASON_DECODING_LIMIT_EXCEEDED,
    failure_pb2.FAILURE_REASON_DECODER_CRASHED: error_reason_pb2.ERROR_REASON_DECODER_CRASHED,
}


class Analyze(Protocol):
    """Finds and embeds the faces in the bytes of a picture."""

    def __call__(self, data: bytes, /, *, every_face: bool) -> Awaitable[AnalyzedPicture]:
        """See `inference.analysis.picture.analyze_picture`."""


class FaceAnalysisServicer(FaceAnalysisServiceServicer):
    """The RPCs of FaceAnalysisService.

    Args:
        analyze: finds and embeds the faces in the bytes of a picture.
        space: the id of the embedding space that it embeds into.
        decoder_host: how pictures are decoded here.
    """

    def __init__(self, analyze: Analyze, space: str, decoder_host: decoder_pb2.DecoderHost) -> None:
        self._analyze = analyze
        self._space = space
        self._decoder_host = decoder_host

    async def AnalyzeImage(
        self,
        request: AnalyzeImageRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> AnalyzeImageResponse:
        """Finds, measures and embeds the faces in a picture."""
        with _errors_of_the_wire():
            picture = await self._analyze(request.image, every_face=request.every_face)
        faces = zip(picture.faces, picture.embeddings, strict=True)
        return AnalyzeImageResponse(
            faces=[_to_proto(face, embedding, self._space) for face, embedding in faces],
            width=picture.width,
            height=picture.height,
        )

    async def GetDecoder(
        self,
        _request: GetDecoderRequest,
        _context: grpc.aio.ServicerContext[Any, Any],
    ) -> GetDecoderResponse:
        """Says how pictures are decoded here."""
        return GetDecoderResponse(host=self._decoder_host)


@contextmanager
def _errors_of_the_wire() -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        reason = _REASONS.get(error.reason, error_reason_pb2.ERROR_REASON_UNREADABLE_IMAGE)
        raise InvalidArgumentError(error.message, reason=reason) from error
    except TritonTransientError as error:
        raise UnavailableError(
            f"The face models do not answer ({error}). Try again in a moment.",
            reason=error_reason_pb2.ERROR_REASON_INFERENCE_UNAVAILABLE,
            retry_after_seconds=1,
        ) from error


def _to_proto(face: Face, embedding: NDArray[np.float32], space: str) -> AnalyzedFace:
    return AnalyzedFace(
        box=box_to_proto(face.box_xyxy),
        landmarks=[geometry_pb2.Point(x=float(x), y=float(y)) for x, y in face.landmarks_xy],
        quality=quality_to_proto(face.quality),
        embedding=to_proto(embedding, space),
    )
