from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from inference.faces.advice import photo_warnings
from inference.faces.analyzer import Face, FaceAnalyzer
from inference.faces.decode import DecodedImage
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
    # Only photos of one library share a process that decodes them.
    images = [image for _, of_library in groupby(items, _library) for image in _decoded(context, items, of_library)]
    found = analyzer.find_faces(images, retry_padded=True)
    chosen = [_choose(*one) for one in zip(items, images, found, strict=True)]
    embeddings = analyzer.embed([one.face for one in chosen])
    return [_result(context, one, embedding) for one, embedding in zip(chosen, embeddings, strict=True)]


def _library(item: PhotoItem) -> str:
    return item.payload.photo.partition("/people/")[0]


def _decoded(
    context: WorkerContext, items: Sequence[PhotoItem], of_library: Iterable[PhotoItem]
) -> Iterator[DecodedImage]:
    with context.decoder.photos() as decode:
        for item in of_library:
            yield decode(read_blob(context, item.payload.content_key))
            # All of them get on: one that is slow to decode must not cost the others their leases.
            for waiting in items:
                waiting.progress(0.3 if waiting is item else 0.0)


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
