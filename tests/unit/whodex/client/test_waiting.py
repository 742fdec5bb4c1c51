from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from whodex.client import Client
from whodex.errors import DeadlineExceededError, NotFoundError, UnavailableError
from whodex.v1 import error_reason_pb2
from whodex.v1.people_service_pb2 import WatchPersonRequest, WatchPersonResponse
from whodex.v1.person_pb2 import ReferencePhoto
from whodex.v1.video_pb2 import Video
from whodex.v1.video_service_pb2 import WatchVideoRequest, WatchVideoResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

PERSON = f"libraries/{uuid4()}/people/{uuid4()}"
FIRST, SECOND = (f"{PERSON}/photos/{uuid4()}" for _ in range(2))
VIDEO = f"libraries/{uuid4()}/videos/{uuid4()}"
UPLOADED, PROCESSING = ReferencePhoto.STATE_UPLOADED, ReferencePhoto.STATE_PROCESSING
READY, FAILED = ReferencePhoto.STATE_READY, ReferencePhoto.STATE_FAILED


def _person(first: ReferencePhoto.State, second: ReferencePhoto.State) -> WatchPersonResponse:
    photos = [ReferencePhoto(name=FIRST, state=first), ReferencePhoto(name=SECOND, state=second)]
    return WatchPersonResponse(person={"name": PERSON}, photos=photos)


STATES = [_person(UPLOADED, UPLOADED), _person(READY, PROCESSING), _person(READY, FAILED)]


def test_a_photo_is_waited_for_until_it_is_settled_whatever_the_others_do(api: ScriptedApi, client: Client) -> None:
    api.answers["WatchPerson"] = lambda _request: STATES

    assert client.people.wait_for_photo(FIRST).state == READY
    assert client.people.wait_for_photo(SECOND).state == FAILED
    assert api.requests("WatchPerson") == [WatchPersonRequest(name=PERSON)] * 2


def test_a_person_is_waited_for_until_all_photos_are_settled(api: ScriptedApi, client: Client) -> None:
    api.answers["WatchPerson"] = lambda _request: STATES
    seen: list[WatchPersonResponse] = []

    assert client.people.wait_for_person(PERSON, on_change=seen.append) == STATES[-1]
    assert seen == STATES


def test_a_photo_that_is_deleted_meanwhile_is_not_found(api: ScriptedApi, client: Client) -> None:
    api.answers["WatchPerson"] = lambda _request: [STATES[0], WatchPersonResponse(person={"name": PERSON})]

    with pytest.raises(NotFoundError, match=FIRST):
        client.people.wait_for_photo(FIRST)


def test_a_video_shows_its_progress_until_it_is_settled(api: ScriptedApi, client: Client) -> None:
    videos = [
        Video(name=VIDEO, state=Video.STATE_PROCESSING, progress=0.5),
        Video(name=VIDEO, state=Video.STATE_READY, progress=1),
    ]
    api.answers["WatchVideo"] = lambda _request: [WatchVideoResponse(video=video) for video in videos]
    seen: list[float] = []

    assert client.videos.wait_for_video(VIDEO, on_change=lambda video: seen.append(video.progress)) == videos[-1]
    assert seen == [0.5, 1]


def test_a_watch_that_the_server_breaks_off_is_opened_again(api: ScriptedApi, client: Client) -> None:
    def restarting(_request: WatchVideoRequest) -> Iterator[WatchVideoResponse]:
        if len(api.requests("WatchVideo")) == 1:
            yield WatchVideoResponse(video={"state": Video.STATE_PROCESSING})
            raise UnavailableError("Stopping.", reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE)
        yield WatchVideoResponse(video={"state": Video.STATE_READY})

    api.answers["WatchVideo"] = restarting

    assert client.videos.wait_for_video(VIDEO, timeout_seconds=10).state == Video.STATE_READY


def test_waiting_ends_at_its_deadline(api: ScriptedApi, client: Client) -> None:
    def stuck(_request: WatchVideoRequest) -> Iterator[WatchVideoResponse]:
        yield WatchVideoResponse(video={"state": Video.STATE_PROCESSING})
        time.sleep(0.5)

    api.answers["WatchVideo"] = stuck

    with pytest.raises(DeadlineExceededError, match=r"Not finished within 0\.2 s"):
        client.videos.wait_for_video(VIDEO, timeout_seconds=0.2)
