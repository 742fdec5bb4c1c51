from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.faces.advice import photo_warnings
from inference.faces.analyzer import Face, FaceAnalyzer
from inference.faces.decode import DecodedImage, decode_image
from inference.faces.selection import choose_face
from inference.faces.thumbnail import face_thumbnail
from inference.proto import box_from_proto, box_to_proto, quality_to_proto
from inference.tasks.blobs import read_blob, stage_jpeg
from inference.triton.client import DETECTOR, EMBEDDER, Priority
from inference.triton.face_models import TritonFaceModels
from inference.worker.claims import ClaimedItem
from inference.worker.context import WorkerContext
from inference.worker.registry import implements
from whodex.runtime.embedding import to_proto
from whodex.v1 import tasks_pb2

PhotoItem = ClaimedItem[tasks_pb2.AnalyzeReferencePhotoPayload]


@dataclass(frozen=True)
class _Chosen:
    item: PhotoItem
    image: DecodedImage
    face: Face


@implements(tasks_pb2.AnalyzeReferencePhotoPayload, describe=lambda payload: payload.photo)
def analyze_reference_photos(
    context: WorkerContext, items: Sequence[PhotoItem]
) -> list[tasks_pb2.AnalyzeReferencePhotoResult]:
    """Finds, measures and embeds one face per photo; the photos of a claim share the models' batches."""
    analyzer = FaceAnalyzer(TritonFaceModels(context.triton, Priority.PHOTO), DETECTOR.input.sizes)
    images = [_read(context, item) for item in items]
    found = analyzer.find_faces(images, retry_padded=True)
    chosen = [_choose(*one) for one in zip(items, images, found, strict=True)]
    embeddings = analyzer.embed([one.face for one in chosen])
    return [_result(context, one, embedding) for one, embedding in zip(chosen, embeddings, strict=True)]


def _read(context: WorkerContext, item: PhotoItem) -> DecodedImage:
    image = decode_image(read_blob(context, item.payload.content_key))
    item.progress(0.3)
    return image


def _choose(item: PhotoItem, image: DecodedImage, faces: Sequence[Face]) -> _Chosen:
    box = box_from_proto(item.payload.face_box) if item.payload.HasField("face_box") else None
    face = choose_face(faces, box)
    item.progress(0.6)
    return _Chosen(item, image, face)


def _result(
    context: WorkerContext, chosen: _Chosen, embedding: NDArray[np.float32]
) -> tasks_pb2.AnalyzeReferencePhotoResult:
    quality = chosen.face.quality
    thumbnail = face_thumbnail(chosen.image, chosen.face.box_xyxy)
    return tasks_pb2.AnalyzeReferencePhotoResult(
        width=chosen.image.width,
        height=chosen.image.height,
        face_box=box_to_proto(chosen.face.box_xyxy),
        quality=quality_to_proto(quality),
        weight=quality.weight,
        warnings=photo_warnings(quality),
        embedding=to_proto(embedding, EMBEDDER.space),
        thumbnail=stage_jpeg(context, chosen.item, "face.jpg", thumbnail),
    )
