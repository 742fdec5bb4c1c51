from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex.v1.failure_pb2 import FAILURE_REASON_NO_VIDEO_STREAM
from whodex.v1.video_pb2 import Appearance, Scene, Video
from whodex.v1.video_service_pb2 import (
    GetVideoRequest,
    GetVideoResponse,
    ListAppearancesResponse,
    ListScenesResponse,
    ListVideosResponse,
    UploadVideoResponse,
    WatchVideoResponse,
)

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

ID = str(uuid4())
NAME = f"libraries/{uuid4()}/videos/{ID}"
UPLOADED = Video(name=NAME, display_name="party.mp4", file_name="party.mp4", state=Video.STATE_UPLOADED)
READY = Video(
    name=NAME,
    display_name="party.mp4",
    state=Video.STATE_READY,
    size_bytes=3 * 1024 * 1024,
    duration={"seconds": 62, "nanos": 500_000_000},
    width=640,
    height=360,
    frame_rate=25,
    scene_count=2,
)
FAILED = Video(
    name=NAME,
    file_name="party.mp4",
    state=Video.STATE_FAILED,
    failure={"reason": FAILURE_REASON_NO_VIDEO_STREAM, "message": "The file holds no video."},
)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "party.mp4"
    path.write_bytes(b"mp4")
    return path


def test_add_uploads_each_file(api: ScriptedApi, whodex: Whodex, video: Path) -> None:
    api.answers["UploadVideo"] = lambda _messages: UploadVideoResponse(video=UPLOADED)

    result = whodex("video", "add", video, video)

    assert result.exit_code == 0
    assert result.stdout.count("UPLOADED") == 2
    assert [messages[0].metadata.file_name for messages in api.requests("UploadVideo")] == ["party.mp4"] * 2


def test_waiting_prints_the_video_as_it_ends(api: ScriptedApi, whodex: Whodex, video: Path) -> None:
    api.answers["UploadVideo"] = lambda _messages: UploadVideoResponse(video=UPLOADED)
    api.answers["WatchVideo"] = lambda _request: [WatchVideoResponse(video=UPLOADED), WatchVideoResponse(video=READY)]

    result = whodex("video", "add", video, "--wait", "--output", "json")

    assert result.exit_code == 0
    assert Parse(result.stdout, GetVideoResponse()).video == READY


def test_a_video_that_fails_prints_its_sentence(api: ScriptedApi, whodex: Whodex, video: Path) -> None:
    api.answers["UploadVideo"] = lambda _messages: UploadVideoResponse(video=UPLOADED)
    api.answers["WatchVideo"] = lambda _request: [WatchVideoResponse(video=FAILED)]

    result = whodex("video", "add", video, "--wait")

    assert result.exit_code == 1
    assert result.stderr == "error: party.mp4: The file holds no video. [NO_VIDEO_STREAM]\n"


def test_list_shows_what_is_known_of_each_video(api: ScriptedApi, whodex: Whodex) -> None:
    processing = Video(name=NAME, display_name="next.mp4", state=Video.STATE_PROCESSING, progress=0.25)
    api.answers["ListVideos"] = lambda _request: ListVideosResponse(videos=[READY, processing])

    lines = whodex("video", "list").stdout.splitlines()

    (ready,) = [line for line in lines if "party.mp4" in line]
    assert all(text in ready for text in ("READY", "1:02.5", ID))
    (unfinished,) = [line for line in lines if "next.mp4" in line]
    assert "PROCESSING 25%" in unfinished


def test_show_counts_the_appearances_of_each_scene(api: ScriptedApi, whodex: Whodex) -> None:
    scenes = [
        Scene(name=f"{NAME}/scenes/{uuid4()}", index=index, start_offset={"seconds": 30 * index}) for index in (0, 1)
    ]
    appearances = [Appearance(scene=scenes[number].name) for number in (0, 1, 1)]
    api.answers["GetVideo"] = lambda _request: GetVideoResponse(video=READY)
    api.answers["ListScenes"] = lambda _request: ListScenesResponse(scenes=scenes)
    api.answers["ListAppearances"] = lambda _request: ListAppearancesResponse(appearances=appearances)

    output = whodex("video", "show", NAME).stdout

    rows = [line.split() for line in output.splitlines()]
    assert ["0", "0:00.0", "0:00.0", "1"] in rows
    assert ["1", "0:30.0", "0:00.0", "2"] in rows
    assert "3.0 MiB, 640x360, 25 frames/s" in output


def test_a_video_can_be_named_by_its_id(api: ScriptedApi, whodex: Whodex) -> None:
    whodex("video", "show", ID, "-o", "json")

    assert api.requests("GetVideo") == [GetVideoRequest(name=f"{api.library}/videos/{ID}")]


def test_what_is_neither_name_nor_id_is_refused(whodex: Whodex) -> None:
    result = whodex("video", "delete", "party.mp4")

    assert result.exit_code == 1
    assert '"party.mp4" is neither an id nor a resource name' in result.stderr


def test_delete_prints_the_response(api: ScriptedApi, whodex: Whodex) -> None:
    result = whodex("video", "delete", NAME, "--output", "json")

    assert json.loads(result.stdout) == {"consistencyToken": "", "erasure": ""}
    assert api.requests("DeleteVideo")[0].name == NAME
