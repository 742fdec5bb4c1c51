"""Rows of videos, scenes and appearances as messages."""

from __future__ import annotations

from api_server import feed, names
from api_server.contents.conversion import to_content
from api_server.database.rows import AnyRow
from api_server.database.schema import MediaState
from api_server.failures import to_failure
from api_server.timestamps import to_duration, to_timestamp
from whodex.v1 import video_pb2
from whodex.v1.video_pb2 import Appearance, Scene, Video

_VIDEO_STATES = {
    MediaState.UPLOADED: Video.STATE_UPLOADED,
    MediaState.PROCESSING: Video.STATE_PROCESSING,
    MediaState.READY: Video.STATE_READY,
    MediaState.FAILED: Video.STATE_FAILED,
}


def to_video(row: AnyRow) -> Video:
    """Converts a row of `videos.VIDEO_COLUMNS`."""
    return Video(
        name=names.name(names.VIDEO, row.library_id, row.id),
        display_name=row.display_name,
        file_name=row.file_name,
        state=_VIDEO_STATES[row.state],
        failure=to_failure(row),
        progress=row.progress,
        size_bytes=row.size_bytes,
        duration=None if row.duration_us is None else to_duration(row.duration_us),
        width=row.width,
        height=row.height,
        frame_rate=row.frame_rate,
        scene_count=row.scene_count,
        appearance_count=row.appearance_count,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        consistency_token=feed.make_consistency_token(feed.FeedPosition(row.epoch, row.embedding_sequence)),
    )


def to_scene(row: AnyRow) -> Scene:
    """Converts a row with the columns of a scene and of its thumbnail; its index is named scene_index."""
    return Scene(
        name=names.name(names.SCENE, row.library_id, row.video_id, row.id),
        index=row.scene_index,
        start_offset=to_duration(row.start_us),
        end_offset=to_duration(row.end_us),
        thumbnail=to_content(row.library_id, row.thumbnail_id, row.thumbnail_media_type, row.thumbnail_size_bytes),
    )


def to_appearance(row: AnyRow) -> Appearance:
    """Converts a row with the columns of an appearance; best shots and boxes are in its record."""
    appearance = video_pb2.Appearance.FromString(row.record)
    appearance.name = names.name(names.APPEARANCE, row.library_id, row.video_id, row.id)
    appearance.scene = names.name(names.SCENE, row.library_id, row.video_id, row.scene_id)
    return appearance
