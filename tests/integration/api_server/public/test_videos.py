"""Videos: stored with their work, listed with scenes and appearances, watched, deleted."""

from __future__ import annotations

from typing import Any

from whodex.v1 import failure_pb2, tasks_pb2
from whodex.v1.video_pb2 import Video
from whodex.v1.video_service_pb2 import (
    DeleteVideoRequest,
    GetVideoRequest,
    ListAppearancesRequest,
    ListScenesRequest,
    ListVideosRequest,
    WatchVideoRequest,
)

NOT_FOUND = ("NOT_FOUND", "RESOURCE_NOT_FOUND")


async def _get(api: Any, video: Video) -> Video:
    return (await api.caller.videos.GetVideo(GetVideoRequest(name=video.name))).video


async def _process(api: Any, worker: Any, samples: Any, *scenes: list[list[float]]) -> Video:
    """A READY video with scenes of 10 s and one appearance per vector."""
    video = await api.caller.video(api.library)
    (item,) = await worker.claim(worker.videos)
    parts = [samples.video_part(10 * number, *vectors) for number, vectors in enumerate(scenes)]
    await worker.stage(item, *parts)
    await worker.complete((item, samples.video_result(len(parts))))
    return await _get(api, video)


async def test_an_upload_makes_video_work_and_doorbell_at_once(api: Any, rows: Any) -> None:
    video = await api.caller.video(api.library, display_name="Wedding")
    assert (video.state, video.display_name, video.file_name) == (Video.STATE_UPLOADED, "Wedding", "film.mp4")
    assert video.size_bytes == len(api.mp4)
    assert not video.HasField("duration")
    assert await _get(api, video) == video
    work = await rows.one("SELECT task, payload FROM work_items")
    assert await rows.all("SELECT task FROM outbox") == [(work.task,)]
    (blob,) = api.blobs()
    assert blob.read_bytes() == api.mp4
    payload = tasks_pb2.ProcessVideoPayload(video=video.name, content_key=str(blob.relative_to(api.store)))
    assert tasks_pb2.ProcessVideoPayload.FromString(work.payload) == payload


async def test_a_video_without_a_title_is_called_like_its_file(api: Any) -> None:
    assert (await api.caller.video(api.library)).display_name == "film.mp4"
    assert (await api.caller.video(api.library, file_name="")).display_name == "Video"


async def test_a_large_video_arrives_whole(api: Any) -> None:
    data = api.mp4 + bytes(range(256)) * (24 << 12)
    await api.caller.video(api.library, data, size_bytes=len(data))
    (blob,) = api.blobs()
    assert blob.read_bytes() == data


async def test_videos_are_listed_oldest_first_in_pages(api: Any) -> None:
    made = [(await api.caller.video(api.library)).name for _ in range(3)]
    request = ListVideosRequest(parent=api.library, page_size=2)
    first = await api.caller.videos.ListVideos(request)
    request.page_token = first.next_page_token
    second = await api.caller.videos.ListVideos(request)
    assert [video.name for video in [*first.videos, *second.videos]] == made
    assert (len(first.videos), second.next_page_token) == (2, "")


async def test_scenes_and_appearances_of_a_ready_video_are_listed_in_order_of_time(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    video = await _process(api, worker, samples, [[1], [0, 1]], [], [[1]])
    assert (video.state, video.scene_count, video.appearance_count) == (Video.STATE_READY, 3, 3)
    assert (video.duration.seconds, video.width, video.height, video.frame_rate) == (60, 640, 360, 25)
    scenes_request = ListScenesRequest(parent=video.name, page_size=2)
    first = await api.caller.videos.ListScenes(scenes_request)
    scenes_request.page_token = first.next_page_token
    second = await api.caller.videos.ListScenes(scenes_request)
    scenes = [*first.scenes, *second.scenes]
    assert [(scene.index, scene.start_offset.seconds, scene.end_offset.seconds) for scene in scenes] == [
        (0, 0, 10),
        (1, 10, 20),
        (2, 20, 30),
    ]
    assert (scenes[0].thumbnail.media_type, second.next_page_token) == ("image/jpeg", "")
    request = ListAppearancesRequest(parent=video.name, page_size=1)
    appearances = []
    while not appearances or request.page_token:
        page = await api.caller.videos.ListAppearances(request)
        appearances += page.appearances
        request.page_token = page.next_page_token
    assert [appearance.scene for appearance in appearances] == [scenes[0].name, scenes[0].name, scenes[2].name]
    assert len({appearance.name for appearance in appearances}) == 3
    assert appearances[2].start_offset.seconds == 21
    assert appearances[2].best_shots[0].thumbnail.size_bytes == 100
    assert appearances[2].boxes


async def test_a_watch_shows_progress_and_the_failure(api: Any, worker: Any) -> None:
    video = await api.caller.video(api.library)
    watch = aiter(api.caller.videos.WatchVideo(WatchVideoRequest(name=video.name)))
    assert (await anext(watch)).video == video
    (item,) = await worker.claim(worker.videos)
    assert (await anext(watch)).video.state == Video.STATE_PROCESSING
    await worker.heartbeat({item.lease: 0.25})
    assert (await anext(watch)).video.progress == 0.25
    await worker.fail(item, failure_pb2.FAILURE_REASON_NO_VIDEO_STREAM, retryable=False)
    failed = (await anext(watch)).video
    assert (failed.state, failed.failure.reason) == (Video.STATE_FAILED, failure_pb2.FAILURE_REASON_NO_VIDEO_STREAM)
    await api.caller.videos.DeleteVideo(DeleteVideoRequest(name=video.name))
    assert await api.refused(anext(watch)) == NOT_FOUND


async def test_a_deleted_video_leaves_nothing_but_the_deletion_of_its_blobs(
    api: Any, rows: Any, worker: Any, samples: Any
) -> None:
    await rows.space()
    video = await _process(api, worker, samples, [[1], [0, 1]])
    deleted = await api.caller.videos.DeleteVideo(DeleteVideoRequest(name=video.name))
    assert deleted.consistency_token not in ("", video.consistency_token)
    counts = await rows.one(
        "SELECT (SELECT count(*) FROM videos) + (SELECT count(*) FROM scenes) + (SELECT count(*) FROM appearances)"
        " + (SELECT count(*) FROM contents), (SELECT count(*) FROM embedding_changes WHERE vector IS NULL)"
    )
    assert counts == (0, 2)
    work = await rows.one("SELECT task, payload FROM work_items")
    # The file, the scene's thumbnail and one of each face.
    assert len(tasks_pb2.DeleteBlobsPayload.FromString(work.payload).content_keys) == 4


async def test_deleting_a_video_stops_its_processing(api: Any, worker: Any, samples: Any) -> None:
    video = await api.caller.video(api.library)
    (item,) = await worker.claim(worker.videos)
    await api.caller.videos.DeleteVideo(DeleteVideoRequest(name=video.name))
    assert await worker.heartbeat({item.lease: 0.5}) == [item.lease]
    assert await worker.complete((item, samples.video_result(0))) == [item.lease]
