from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

from whodex.client.connection import Connection
from whodex.client.pages import Pages
from whodex.client.sources import Progress, Source, open_source
from whodex.client.uploads import RESUMABLE_BYTES, OnResume, Uploads
from whodex.client.waiting import wait_until
from whodex.v1.upload_service_pb2 import StartUploadRequest
from whodex.v1.video_pb2 import Appearance, Scene, Video
from whodex.v1.video_service_pb2 import (
    DeleteVideoRequest,
    DeleteVideoResponse,
    GetVideoRequest,
    ListAppearancesRequest,
    ListAppearancesResponse,
    ListScenesRequest,
    ListScenesResponse,
    ListVideosRequest,
    ListVideosResponse,
    UploadVideoRequest,
    VideoMetadata,
    WatchVideoRequest,
    WatchVideoResponse,
)
from whodex.v1.video_service_pb2_grpc import VideoServiceStub

SETTLED_VIDEO_STATES = (Video.STATE_READY, Video.STATE_FAILED)
WAIT_SECONDS = 3600.0


class Videos:
    """The videos of a library, their scenes and the faces that appear in them.

    Every method raises `whodex.errors.WhodexError`; the subclasses and reasons are those of the contract.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stub = VideoServiceStub(connection.channel)
        self._uploads = Uploads(connection)

    def upload(  # noqa: PLR0913 - all but the first by keyword, and each with a default
        self,
        source: Source,
        *,
        display_name: str = "",
        file_name: str | None = None,
        request_id: str = "",
        progress: Progress | None = None,
        on_resume: OnResume | None = None,
    ) -> Video:
        """Stores a video, which a worker then makes READY or FAILED; `wait_for_video` tells which.

        Args:
            source: path or bytes of an MP4 with H.264, at most 50 GiB.
            display_name: a title, up to 200 characters; empty: the file's name.
            file_name: for people; None: the path's own.
            request_id: a UUID; calling again with the same one returns the same video, so that a retry is safe.
            progress: called with the bytes sent and the bytes in all, from another thread.
            on_resume: called with the upload as it stands, each time that a file of 16 MiB or more goes on where it was
                cut off: after an interruption, or when a call before with the same request_id has failed.

        Raises:
            OSError: the file cannot be read.
        """
        with open_source(source, file_name) as opened:
            metadata = VideoMetadata(
                parent=self._connection.library,
                display_name=display_name,
                file_name=opened.file_name,
                size_bytes=opened.size_bytes,
                request_id=request_id,
            )
            if opened.size_bytes >= RESUMABLE_BYTES:
                request = StartUploadRequest(video=metadata)
                return self._uploads.upload(request, opened, progress=progress, on_resume=on_resume).video
            requests = _upload_requests(metadata, opened.chunks(progress))
            return self._connection.upload(self._stub.UploadVideo, requests, opened.size_bytes).video

    def get(self, name: str) -> Video:
        """Returns `libraries/{library}/videos/{video}`."""
        return self._connection.call(self._stub.GetVideo, GetVideoRequest(name=name)).video

    def list(self, *, page_size: int = 0) -> Pages[ListVideosResponse, Video]:
        """Lists videos, oldest first; `page_size` 1 to 1000 in one response, 0: the server's choice."""

        def fetch(page_token: str) -> ListVideosResponse:
            request = ListVideosRequest(parent=self._connection.library, page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListVideos, request)

        return Pages(fetch, lambda page: page.videos)

    def delete(self, name: str) -> DeleteVideoResponse:
        """Deletes a video with its scenes and appearances. A search with the response's token no longer finds it."""
        return self._connection.call(self._stub.DeleteVideo, DeleteVideoRequest(name=name))

    def list_scenes(self, video: str, *, page_size: int = 0) -> Pages[ListScenesResponse, Scene]:
        """Lists the scenes of a READY video in order of time."""

        def fetch(page_token: str) -> ListScenesResponse:
            request = ListScenesRequest(parent=video, page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListScenes, request)

        return Pages(fetch, lambda page: page.scenes)

    def list_appearances(self, video: str, *, page_size: int = 0) -> Pages[ListAppearancesResponse, Appearance]:
        """Lists the appearances of a READY video in order of time."""

        def fetch(page_token: str) -> ListAppearancesResponse:
            request = ListAppearancesRequest(parent=video, page_size=page_size, page_token=page_token)
            return self._connection.call(self._stub.ListAppearances, request)

        return Pages(fetch, lambda page: page.appearances)

    def watch(self, name: str, *, timeout_seconds: float = WAIT_SECONDS) -> Generator[WatchVideoResponse, None, None]:
        """Yields the video now and after each change of state or progress, until no more are taken."""
        return self._connection.stream(self._stub.WatchVideo, WatchVideoRequest(name=name), timeout_seconds)

    def wait_for_video(
        self,
        name: str,
        *,
        timeout_seconds: float = WAIT_SECONDS,
        on_change: Callable[[Video], None] | None = None,
    ) -> Video:
        """Waits until the video is READY or FAILED; look at its state, neither is an error here.

        Raises:
            DeadlineExceededError: it is still on its way.
            NotFoundError: it does not exist, or was deleted meanwhile.
        """

        def videos(remaining: float) -> Iterator[Video]:
            return (response.video for response in self.watch(name, timeout_seconds=remaining))

        return wait_until(
            videos,
            lambda video: video.state in SETTLED_VIDEO_STATES,
            timeout_seconds=timeout_seconds,
            on_change=on_change,
        )


def _upload_requests(metadata: VideoMetadata, chunks: Iterator[bytes]) -> Iterator[UploadVideoRequest]:
    yield UploadVideoRequest(metadata=metadata)
    for chunk in chunks:
        yield UploadVideoRequest(chunk=chunk)
