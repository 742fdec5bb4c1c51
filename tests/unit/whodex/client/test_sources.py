from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from whodex.client import Client
from whodex.client.sources import CHUNK_BYTES
from whodex.v1.geometry_pb2 import Box
from whodex.v1.people_service_pb2 import ReferencePhotoMetadata
from whodex.v1.video_service_pb2 import VideoMetadata

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

PERSON = f"libraries/{uuid4()}/people/{uuid4()}"
CONTENT = bytes(range(256)) * (2 * CHUNK_BYTES // 256) + b"the rest"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "ada.jpg"
    path.write_bytes(CONTENT)
    return path


def test_a_photo_arrives_whole_in_chunks_of_at_most_a_mebibyte(api: ScriptedApi, client: Client, photo: Path) -> None:
    client.people.upload_photo(PERSON, photo)

    (messages,) = api.requests("UploadReferencePhoto")
    chunks = [message.chunk for message in messages[1:]]
    assert b"".join(chunks) == CONTENT
    assert [len(chunk) for chunk in chunks] == [CHUNK_BYTES, CHUNK_BYTES, len(b"the rest")]


def test_the_metadata_of_a_photo_comes_first_and_states_the_size(api: ScriptedApi, client: Client, photo: Path) -> None:
    request_id, box = str(uuid4()), Box(left=1, top=2, right=3, bottom=4)

    client.people.upload_photo(PERSON, photo, face_box=box, request_id=request_id)

    (messages,) = api.requests("UploadReferencePhoto")
    assert messages[0].metadata == ReferencePhotoMetadata(
        parent=PERSON, file_name="ada.jpg", size_bytes=len(CONTENT), face_box=box, request_id=request_id
    )


def test_a_video_states_its_library_title_and_size(api: ScriptedApi, client: Client) -> None:
    request_id = str(uuid4())

    client.videos.upload(b"mp4", display_name="Party", file_name="party.mp4", request_id=request_id)

    (messages,) = api.requests("UploadVideo")
    assert messages[0].metadata == VideoMetadata(
        parent=api.library, display_name="Party", file_name="party.mp4", size_bytes=3, request_id=request_id
    )
    assert [message.chunk for message in messages[1:]] == [b"mp4"]


def test_progress_is_told_after_each_chunk_up_to_the_whole(client: Client, photo: Path) -> None:
    seen: list[tuple[int, int]] = []

    client.people.upload_photo(PERSON, photo, progress=lambda sent, total: seen.append((sent, total)))

    whole = len(CONTENT)
    assert seen == [(CHUNK_BYTES, whole), (2 * CHUNK_BYTES, whole), (whole, whole)]


def test_an_empty_file_is_left_for_the_server_to_refuse(api: ScriptedApi, client: Client, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jpg"
    empty.touch()

    client.people.upload_photo(PERSON, empty)

    assert [len(messages) for messages in api.requests("UploadReferencePhoto")] == [1]


def test_a_file_that_is_not_there_is_an_error_of_the_file_system(client: Client, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        client.videos.upload(tmp_path / "missing.mp4")
