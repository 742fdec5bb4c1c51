from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from inference.faces.analyzer import FaceAnalyzer
from inference.proto import box_to_proto, quality_to_proto
from inference.tasks.blobs import opened_blob, stage_jpeg
from inference.triton.client import DETECTOR, EMBEDDER, Priority
from inference.triton.face_models import TritonFaceModels
from inference.video.pipeline import analyze_video
from inference.video.results import Appearance, BestShot, Scene
from inference.video.sampling import SampledVideo
from inference.worker.claims import ClaimedItem
from inference.worker.context import WorkerContext
from inference.worker.registry import implements
from whodex.runtime.embedding import to_proto
from whodex.v1 import tasks_pb2, video_pb2

VideoItem = ClaimedItem[tasks_pb2.ProcessVideoPayload]


@implements(tasks_pb2.ProcessVideoPayload, describe=lambda payload: payload.video)
def process_videos(context: WorkerContext, items: Sequence[VideoItem]) -> list[tasks_pb2.ProcessVideoResult]:
    """Finds the scenes of a video and the faces in them; each scene is staged as soon as it is complete."""
    return [_process(context, item) for item in items]


def _process(context: WorkerContext, item: VideoItem) -> tasks_pb2.ProcessVideoResult:
    analyzer = FaceAnalyzer(TritonFaceModels(context.triton, Priority.VIDEO), DETECTOR.input.sizes)
    with (
        opened_blob(context, item, item.payload.content_key) as descriptor,
        context.decoder.open_video(descriptor) as video,
    ):
        part_count = _stage_scenes(context, item, video, analyzer)
        return tasks_pb2.ProcessVideoResult(
            duration=_duration(video.duration_s),
            width=video.info.width,
            height=video.info.height,
            frame_rate=video.frame_rate,
            part_count=part_count,
        )


def _stage_scenes(context: WorkerContext, item: VideoItem, video: SampledVideo, analyzer: FaceAnalyzer) -> int:
    part_count = 0
    for index, scene in enumerate(analyze_video(video, analyzer, on_progress=item.progress)):
        context.claims.stage(item, index, _part(context, item, index, scene))
        part_count = index + 1
    return part_count


def _part(context: WorkerContext, item: VideoItem, index: int, scene: Scene) -> tasks_pb2.ProcessVideoPart:
    return tasks_pb2.ProcessVideoPart(
        start_offset=_duration(scene.start_s),
        end_offset=_duration(scene.end_s),
        thumbnail=stage_jpeg(context, item, f"scene-{index}.jpg", scene.thumbnail),
        appearances=[
            _appearance(context, item, f"face-{index}-{number}", appearance)
            for number, appearance in enumerate(scene.appearances)
        ],
    )


def _appearance(
    context: WorkerContext, item: VideoItem, name: str, appearance: Appearance
) -> tasks_pb2.StagedAppearance:
    boxes = zip(appearance.times_s, appearance.boxes_xyxy, strict=True)
    return tasks_pb2.StagedAppearance(
        start_offset=_duration(appearance.start_s),
        end_offset=_duration(appearance.end_s),
        embedding=to_proto(appearance.embedding, EMBEDDER.space),
        best_shots=[
            _best_shot(context, item, f"{name}-{rank}.jpg", shot) for rank, shot in enumerate(appearance.best_shots)
        ],
        boxes=[video_pb2.TimedBox(offset=_duration(float(time_s)), box=box_to_proto(box)) for time_s, box in boxes],
    )


def _best_shot(context: WorkerContext, item: VideoItem, name: str, shot: BestShot) -> tasks_pb2.StagedBestShot:
    return tasks_pb2.StagedBestShot(
        offset=_duration(shot.time_s),
        box=box_to_proto(shot.box_xyxy),
        quality=quality_to_proto(shot.quality),
        thumbnail=stage_jpeg(context, item, name, shot.thumbnail),
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMicroseconds(round(seconds * 1_000_000))
    return duration
