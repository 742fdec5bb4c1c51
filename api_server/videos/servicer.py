"""VideoService: converts, calls, converts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from grpc.aio import ServicerContext

from api_server import audit, feed, names
from api_server.access.authorization import authorized_ids
from api_server.database.engine import Database
from api_server.database.notifications import NotificationHub
from api_server.libraries import libraries
from api_server.paging import cut, page_size, read_place, uuid_place
from api_server.uploads.stream import first_message
from api_server.videos import videos
from api_server.videos.conversion import to_appearance, to_scene, to_video
from api_server.videos.upload import VideoUploader
from api_server.videos.watch import watch
from whodex.runtime.store import ObjectStore
from whodex.v1 import video_service_pb2 as pb
from whodex.v1.audit_pb2 import AUDIT_ACTION_DELETE
from whodex.v1.video_service_pb2_grpc import VideoServiceServicer

Context = ServicerContext[Any, Any]
_INDEX_BYTES = 4


class VideoServicer(VideoServiceServicer):
    """Videos, their scenes and the faces in them."""

    def __init__(self, database: Database, store: ObjectStore, hub: NotificationHub) -> None:
        self._database = database
        self._hub = hub
        self._uploader = VideoUploader(database, store)

    async def UploadVideo(
        self, request_iterator: AsyncIterator[pb.UploadVideoRequest], context: Context
    ) -> pb.UploadVideoResponse:
        """Stores a video and orders its processing."""
        metadata = (await first_message(request_iterator)).metadata
        (library_id,) = authorized_ids(metadata.parent, names.LIBRARY)
        row = await self._uploader.upload(library_id, metadata, request_iterator)
        return pb.UploadVideoResponse(video=to_video(row))

    async def GetVideo(self, request: pb.GetVideoRequest, context: Context) -> pb.GetVideoResponse:
        """Returns a video."""
        library_id, video_id = authorized_ids(request.name, names.VIDEO)
        async with self._database.reads() as session:
            row = await videos.get(session, library_id, video_id)
        return pb.GetVideoResponse(video=to_video(row))

    async def ListVideos(self, request: pb.ListVideosRequest, context: Context) -> pb.ListVideosResponse:
        """Lists videos."""
        (library_id,) = authorized_ids(request.parent, names.LIBRARY)
        after = read_place(request, uuid_place)
        async with self._database.reads() as session:
            rows = await videos.list_page(session, library_id, after=after, limit=page_size(request) + 1)
            if not rows:
                await libraries.get(session, library_id)
        page, token = cut(rows, request, lambda row: row.id.bytes)
        return pb.ListVideosResponse(videos=map(to_video, page), next_page_token=token)

    async def DeleteVideo(self, request: pb.DeleteVideoRequest, context: Context) -> pb.DeleteVideoResponse:
        """Deletes a video with its scenes and appearances."""
        library_id, video_id = authorized_ids(request.name, names.VIDEO)
        async with self._database.transaction() as session:
            deleted = await videos.delete_whole(session, library_id, video_id)
            await audit.append(session, AUDIT_ACTION_DELETE, library_id, request.name)
        return pb.DeleteVideoResponse(
            consistency_token=feed.make_consistency_token(deleted.position), erasure=deleted.erasure(library_id)
        )

    async def ListScenes(self, request: pb.ListScenesRequest, context: Context) -> pb.ListScenesResponse:
        """Lists the scenes of a video."""
        library_id, video_id = authorized_ids(request.parent, names.VIDEO)
        after = read_place(request, int.from_bytes)
        async with self._database.reads() as session:
            await videos.get(session, library_id, video_id)
            rows = await videos.list_scenes(session, video_id, after=after, limit=page_size(request) + 1)
        page, token = cut(rows, request, lambda row: row.scene_index.to_bytes(_INDEX_BYTES))
        return pb.ListScenesResponse(scenes=map(to_scene, page), next_page_token=token)

    async def ListAppearances(self, request: pb.ListAppearancesRequest, context: Context) -> pb.ListAppearancesResponse:
        """Lists the appearances in a video."""
        library_id, video_id = authorized_ids(request.parent, names.VIDEO)
        after = read_place(request, videos.unpack_appearance_place)
        async with self._database.reads() as session:
            await videos.get(session, library_id, video_id)
            rows = await videos.list_appearances(session, video_id, after=after, limit=page_size(request) + 1)
        page, token = cut(rows, request, videos.appearance_place)
        return pb.ListAppearancesResponse(appearances=map(to_appearance, page), next_page_token=token)

    async def WatchVideo(self, request: pb.WatchVideoRequest, context: Context) -> AsyncIterator[pb.WatchVideoResponse]:
        """Streams a video now and after each change."""
        library_id, video_id = authorized_ids(request.name, names.VIDEO)
        async with aclosing(watch(self._database, self._hub, library_id, video_id)) as states:
            async for video in states:
                yield pb.WatchVideoResponse(video=video)
