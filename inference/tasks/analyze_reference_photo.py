from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from inference.faces.advice import photo_warnings
from inference.faces.analyzer import Face, FaceAnalyzer
from inference.faces.decode import DecodedImage
from inference.faces.enrolment import EnrolledFace, Photo, choose_enrolled_face
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


@implements(tasks_pb2.AnalyzeReferencePhotoPayload, describe=lambda payload: payload.photo)
def analyze_reference_photos(
    context: WorkerContext, items: Sequence[PhotoItem]
) -> list[tasks_pb2.AnalyzeReferencePhotoResult]:
    """Finds, measures and embeds one face per photo; the photos of a claim share the models' batches."""
    analyzer = FaceAnalyzer(TritonFaceModels(context.triton, Priority.PHOTO), DETECTOR.input.sizes)
    # Only photos of one library share a process that decodes them.
    photos = [photo for _, of_library in groupby(items, _library) for photo in _decoded(context, items, of_library)]
    found = analyzer.find_faces([photo.image for photo in photos], retry=True)
    chosen = [_choose(analyzer, items, *one) for one in zip(items, photos, found, strict=True)]
    embeddings = analyzer.embed([one.face for one in chosen])
    results = zip(items, photos, chosen, embeddings, strict=True)
    return [_result(context, *one) for one in results]


def _library(item: PhotoItem) -> str:
    return item.payload.photo.partition("/people/")[0]


def _decoded(context: WorkerContext, items: Sequence[PhotoItem], of_library: Iterable[PhotoItem]) -> Iterator[Photo]:
    with context.decoder.photos() as decode:
        for item in of_library:
            image = decode(read_blob(context, item.payload.content_key))
            box = box_from_proto(item.payload.face_box) if item.payload.HasField("face_box") else None
            yield Photo(image, partial(_decode_full_size, context, item), box)
            _progress(items, item, 0.3)


def _decode_full_size(context: WorkerContext, item: PhotoItem) -> DecodedImage:
    return context.decoder.decode_photo(read_blob(context, item.payload.content_key), full_size=True)


def _choose(
    analyzer: FaceAnalyzer, items: Sequence[PhotoItem], item: PhotoItem, photo: Photo, faces: Sequence[Face]
) -> EnrolledFace:
    chosen = choose_enrolled_face(analyzer, photo, faces)
    _progress(items, item, 0.6)
    return chosen


def _progress(items: Sequence[PhotoItem], item: PhotoItem, share: float) -> None:
    """All of them get on: one that takes long must not cost the others their leases."""
    for waiting in items:
        waiting.progress(share if waiting is item else 0.0)


def _result(
    context: WorkerContext, item: PhotoItem, photo: Photo, chosen: EnrolledFace, embedding: NDArray[np.float32]
) -> tasks_pb2.AnalyzeReferencePhotoResult:
    quality = chosen.face.quality
    return tasks_pb2.AnalyzeReferencePhotoResult(
        width=photo.image.width,
        height=photo.image.height,
        face_box=box_to_proto(chosen.face.box_xyxy),
        quality=quality_to_proto(quality),
        weight=quality.weight,
        warnings=photo_warnings(quality),
        embedding=to_proto(embedding, EMBEDDER.space),
        thumbnail=stage_jpeg(context, item, "face.jpg", chosen.thumbnail),
    )
