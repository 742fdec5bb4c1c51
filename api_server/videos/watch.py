"""A video, now and after each change."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from uuid import UUID

from api_server.database.engine import Database
from api_server.database.notifications import Channel, NotificationHub
from api_server.videos import videos
from api_server.videos.conversion import to_video
from whodex.v1.video_pb2 import Video


async def watch(
    database: Database, hub: NotificationHub, library_id: UUID, video_id: UUID
) -> AsyncGenerator[Video, None]:
    """Yields each state that differs from the one before, for as long as it is read.

    Raises:
        NotFoundError: there is no such video, or no longer.
    """
    shown: Video | None = None
    with hub.subscribe(Channel.RESOURCES, str(video_id)) as subscription:
        while True:
            async with database.reads() as session:
                video = to_video(await videos.get(session, library_id, video_id))
            if video != shown:
                yield video
                shown = video
            await subscription.changed()
