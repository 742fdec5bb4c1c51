"""The api_server's public services over real gRPC, on a database and an object store of the test's own.

The indexer and face analysis are not there: what needs them is tested with the whole stack.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import grpc.aio
import pytest

from api_server.server import Resources, public_listener, resources
from api_server.settings import ServerSettings
from whodex.errors import from_rpc_error
from whodex.runtime.channel import internal_channel
from whodex.runtime.server import running
from whodex.v1 import library_service_pb2, people_service_pb2, upload_service_pb2, video_service_pb2
from whodex.v1.audit_service_pb2_grpc import AuditServiceStub
from whodex.v1.content_service_pb2_grpc import ContentServiceStub
from whodex.v1.erasure_service_pb2_grpc import ErasureServiceStub
from whodex.v1.library_service_pb2_grpc import LibraryServiceStub
from whodex.v1.people_service_pb2_grpc import PeopleServiceStub
from whodex.v1.person_pb2 import Person, ReferencePhoto
from whodex.v1.search_service_pb2_grpc import SearchServiceStub
from whodex.v1.upload_pb2 import Upload
from whodex.v1.upload_service_pb2_grpc import UploadServiceStub
from whodex.v1.video_pb2 import Video
from whodex.v1.video_service_pb2_grpc import VideoServiceStub

ADMIN_KEY = "the-admin-key-of-the-tests"
# Nothing but the signatures is looked at before a worker decodes a file.
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8
MP4 = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 8
NOWHERE = "127.0.0.1:9"


class Caller:
    """The stubs of one credential."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        # The generated types tell aio stubs from sync ones by the channel, which is more than a test needs.
        self.libraries: Any = LibraryServiceStub(channel)
        self.people: Any = PeopleServiceStub(channel)
        self.videos: Any = VideoServiceStub(channel)
        self.audit: Any = AuditServiceStub(channel)
        self.erasures: Any = ErasureServiceStub(channel)
        self.contents: Any = ContentServiceStub(channel)
        self.search: Any = SearchServiceStub(channel)
        self.uploads: Any = UploadServiceStub(channel)

    async def person(self, library: str, display_name: str = "Ada") -> Person:
        """A new person."""
        request = people_service_pb2.CreatePersonRequest(parent=library, display_name=display_name)
        return (await self.people.CreatePerson(request)).person

    async def photo(self, person: str, data: bytes = JPEG, *, chunk_bytes: int = 1 << 20, **metadata: Any) -> Any:
        """Uploads a photo."""
        message = people_service_pb2.UploadReferencePhotoRequest
        first = people_service_pb2.ReferencePhotoMetadata(parent=person, file_name="ada.jpg", **metadata)
        messages = [message(metadata=first), *(message(chunk=chunk) for chunk in _chunks(data, chunk_bytes))]
        photo: ReferencePhoto = (await self.people.UploadReferencePhoto(iter(messages))).photo
        return photo

    async def video(self, library: str, data: bytes = MP4, *, chunk_bytes: int = 1 << 20, **metadata: Any) -> Any:
        """Uploads a video."""
        message = video_service_pb2.UploadVideoRequest
        first = video_service_pb2.VideoMetadata(parent=library, **({"file_name": "film.mp4"} | metadata))
        messages = [message(metadata=first), *(message(chunk=chunk) for chunk in _chunks(data, chunk_bytes))]
        video: Video = (await self.videos.UploadVideo(iter(messages))).video
        return video

    async def start_video(self, library: str, size_bytes: int, *, sha256: bytes = b"", **metadata: Any) -> Any:
        """Starts a resumable upload of a video."""
        video = {"parent": library, "file_name": "film.mp4", "size_bytes": size_bytes} | metadata
        request = upload_service_pb2.StartUploadRequest(video=video, sha256=sha256)
        upload: Upload = (await self.uploads.StartUpload(request)).upload
        return upload

    async def start_photo(self, person: str, size_bytes: int, **metadata: Any) -> Any:
        """Starts a resumable upload of a photo."""
        photo = {"parent": person, "file_name": "ada.jpg", "size_bytes": size_bytes} | metadata
        request = upload_service_pb2.StartUploadRequest(reference_photo=photo)
        upload: Upload = (await self.uploads.StartUpload(request)).upload
        return upload

    async def write(self, upload: str, offset: int, data: bytes, *, chunk_bytes: int = 1 << 20) -> Any:
        """Writes bytes to an upload."""
        message = upload_service_pb2.WriteUploadRequest
        start = message(start=upload_service_pb2.WriteStart(name=upload, offset=offset))
        messages = [start, *(message(chunk=chunk) for chunk in _chunks(data, chunk_bytes))]
        written: Upload = (await self.uploads.WriteUpload(iter(messages))).upload
        return written

    async def upload(self, name: str) -> Any:
        """An upload as it stands."""
        upload: Upload = (await self.uploads.GetUpload(upload_service_pb2.GetUploadRequest(name=name))).upload
        return upload

    async def finish(self, upload: str, sha256: bytes = b"") -> Any:
        """Finishes an upload; returns the video or the photo."""
        request = upload_service_pb2.FinishUploadRequest(name=upload, sha256=sha256)
        response = await self.uploads.FinishUpload(request)
        return getattr(response, response.WhichOneof("resource"))

    async def cancel(self, upload: str) -> None:
        """Cancels an upload."""
        await self.uploads.CancelUpload(upload_service_pb2.CancelUploadRequest(name=upload))


@dataclass
class Api:
    """A running server.

    Attributes:
        address: where it listens.
        store: the directory of its object store.
        admin: calls with the admin key.
        library: the name of a library.
        caller: calls with a key of that library.
    """

    jpeg: ClassVar[bytes] = JPEG
    mp4: ClassVar[bytes] = MP4
    unknown_id: ClassVar[str] = "00000000-0000-7000-8000-000000000000"

    address: str
    store: Path
    admin: Caller
    library: str
    caller: Caller

    def blobs(self) -> list[Path]:
        """Every file in the object store."""
        return [path for path in self.store.rglob("*") if path.is_file()]

    async def refused(self, call: Awaitable[Any]) -> tuple[str, str]:
        """Returns the names of the code and the reason that a call ends in."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        error = from_rpc_error(caught.value)
        assert error.message
        return error.code.name, error.reason_name

    async def new_library(self) -> tuple[str, str]:
        """Another library: its name and a key."""
        create = library_service_pb2.CreateLibraryRequest(display_name="Library")
        library = (await self.admin.libraries.CreateLibrary(create)).library.name
        create_key = library_service_pb2.CreateApiKeyRequest(parent=library, display_name="Key")
        return library, (await self.admin.libraries.CreateApiKey(create_key)).secret


@pytest.fixture
def server_settings(database_url: str, tmp_path: Path) -> ServerSettings:
    """The settings of a server on the test's own database and store."""
    return ServerSettings.model_validate(
        {
            "database_url": database_url,
            "store_url": (tmp_path / "objects").as_uri(),
            "api_listen": "127.0.0.1:0",
            "internal_listen": "127.0.0.1:0",
            "indexer_address": NOWHERE,
            "analysis_address": NOWHERE,
            "internal_token": "the-internal-token-of-the-tests",
            "admin_key": ADMIN_KEY,
        }
    )


@pytest.fixture
async def server_parts(server_settings: ServerSettings) -> AsyncIterator[Resources]:
    """What the server's services share."""
    async with resources(server_settings) as parts:
        yield parts


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[str, str], Caller]]:
    """Makes callers from address and key, and closes their channels."""
    channels = []

    def call(address: str, key: str) -> Caller:
        channels.append(internal_channel(address, key))
        return Caller(channels[-1])

    yield call
    for channel in channels:
        await channel.close()


@pytest.fixture
async def api(
    server_settings: ServerSettings, server_parts: Resources, connect: Callable[[str, str], Caller]
) -> AsyncIterator[Api]:
    """A running server with one library."""
    async with running(public_listener(server_settings, server_parts)) as port:
        address = f"127.0.0.1:{port}"
        admin = connect(address, ADMIN_KEY)
        api = Api(address, Path(server_settings.store_url.removeprefix("file://")), admin, "", admin)
        api.library, key = await api.new_library()
        api.caller = connect(address, key)
        yield api


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))
