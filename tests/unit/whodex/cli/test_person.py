from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex.cli import person as person_commands
from whodex.errors import InvalidArgumentError, NotFoundError, UnavailableError
from whodex.v1 import error_reason_pb2
from whodex.v1.failure_pb2 import FAILURE_REASON_DIFFERENT_PERSON, FAILURE_REASON_NO_FACE, Failure
from whodex.v1.geometry_pb2 import Box
from whodex.v1.people_service_pb2 import (
    CreatePersonResponse,
    GetPersonRequest,
    GetPersonResponse,
    ListPeopleRequest,
    ListPeopleResponse,
    RetryReferencePhotoRequest,
    RetryReferencePhotoResponse,
    UploadReferencePhotoResponse,
    WatchPersonResponse,
)
from whodex.v1.person_pb2 import Person, PhotoWarning, ReferencePhoto

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

LIBRARY = f"libraries/{uuid4()}"
ADA = Person(name=f"{LIBRARY}/people/{uuid4()}", display_name="Ada", state=Person.STATE_READY, photo_count=3)
BLURRED = PhotoWarning(kind=PhotoWarning.KIND_BLURRED, message="Rather blurred.")
OTHER_ADA = Person(name=f"{LIBRARY}/people/{uuid4()}", display_name="Ada", description="the one from Paris")


def _people(*people: Person) -> Callable[[ListPeopleRequest], ListPeopleResponse]:
    return lambda request: ListPeopleResponse(
        people=[person for person in people if request.display_name in ("", person.display_name)]
    )


def _photo(number: int, state: ReferencePhoto.State, **fields: Any) -> ReferencePhoto:
    known = {"look_alikes_checked": state == ReferencePhoto.STATE_READY} | fields
    return ReferencePhoto(name=f"{ADA.name}/photos/{number}", file_name=f"{number}.jpg", state=state, **known)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "ada.jpg"
    path.write_bytes(b"jpeg")
    return path


def test_create_prints_the_person(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["CreatePerson"] = lambda _request: CreatePersonResponse(person=ADA)

    result = whodex("person", "create", "Ada", "--description", "a countess")

    assert result.exit_code == 0
    assert "Ada" in result.stdout
    (request,) = api.requests("CreatePerson")
    assert (request.display_name, request.description) == ("Ada", "a countess")


def test_json_is_the_response_and_nothing_else(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["CreatePerson"] = lambda _request: CreatePersonResponse(person=ADA)

    result = whodex("person", "create", "Ada", "--output", "json")

    assert Parse(result.stdout, CreatePersonResponse()) == CreatePersonResponse(person=ADA)
    assert json.loads(result.stdout)["person"]["displayName"] == "Ada"


def test_a_list_holds_all_pages_and_is_an_object_even_when_it_is_empty(api: ScriptedApi, whodex: Whodex) -> None:
    assert json.loads(whodex("person", "list", "--output", "json").stdout) == {"people": [], "nextPageToken": ""}

    first = ListPeopleResponse(people=[ADA], next_page_token="more")  # noqa: S106 - no password
    api.answers["ListPeople"] = lambda request: _people(OTHER_ADA)(request) if request.page_token else first

    result = whodex("person", "list", "--output", "json")

    assert Parse(result.stdout, ListPeopleResponse()) == ListPeopleResponse(people=[ADA, OTHER_ADA])


def test_a_list_shows_state_and_id(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["ListPeople"] = _people(ADA)

    (row,) = [line for line in whodex("person", "list").stdout.splitlines() if "Ada" in line]

    assert "READY" in row
    assert ADA.name.rpartition("/")[2] in row


@pytest.mark.parametrize("who", [ADA.name, ADA.name.rpartition("/")[2]])
def test_a_person_can_be_a_resource_name_or_an_id(api: ScriptedApi, whodex: Whodex, who: str) -> None:
    whodex("--library", LIBRARY, "person", "delete", who)

    assert api.requests("GetPerson") == [GetPersonRequest(name=ADA.name)]


def test_a_person_can_be_a_display_name_that_is_unique(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["ListPeople"] = _people(ADA)

    assert whodex("person", "delete", "Ada").exit_code == 0
    assert api.requests("DeletePerson")[0].name == ADA.name


def test_an_ambiguous_name_lists_the_candidates_and_changes_nothing(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["ListPeople"] = _people(ADA, OTHER_ADA)

    result = whodex("person", "delete", "Ada")

    assert result.exit_code == 1
    assert '2 people are called "Ada"' in result.stderr
    assert "AMBIGUOUS_NAME" in result.stderr
    for person in (ADA, OTHER_ADA):
        assert person.name.rpartition("/")[2] in result.stderr
    assert "the one from Paris" in result.stderr
    assert not api.requests("DeletePerson")


def test_an_unknown_name_says_where_to_look(whodex: Whodex) -> None:
    result = whodex("person", "show", "Bo")

    assert result.exit_code == 1
    assert 'Nobody is called "Bo". See `whodex person list`.' in result.stderr


def test_show_prints_photos_with_their_quality_and_failures(api: ScriptedApi, whodex: Whodex) -> None:
    ready = _photo(1, ReferencePhoto.STATE_READY, quality={"face_size_px": 120, "sharpness": 8.3, "detection_score": 1})
    failed = _photo(2, ReferencePhoto.STATE_FAILED, failure=Failure(reason=FAILURE_REASON_NO_FACE, message="No face."))
    api.answers["ListPeople"] = _people(ADA)
    api.answers["WatchPerson"] = lambda _request: [WatchPersonResponse(person=ADA, photos=[ready, failed])]

    result = whodex("person", "show", "Ada")

    assert all(text in result.stdout for text in ("1.jpg", "120", "8.3", "2.jpg: No face. [NO_FACE]"))


def test_show_prints_warnings(api: ScriptedApi, whodex: Whodex) -> None:
    ready = _photo(1, ReferencePhoto.STATE_READY, warnings=[BLURRED])
    api.answers["ListPeople"] = _people(ADA)
    api.answers["WatchPerson"] = lambda _request: [WatchPersonResponse(person=ADA, photos=[ready])]

    assert "1.jpg: Rather blurred. [BLURRED]" in whodex("person", "show", "Ada").stdout


def _settles_as(api: ScriptedApi, *photos: ReferencePhoto) -> None:
    uploads = iter(photos)
    api.answers["ListPeople"] = _people(ADA)
    api.answers["UploadReferencePhoto"] = lambda _messages: UploadReferencePhotoResponse(
        photo={"name": next(uploads).name, "state": ReferencePhoto.STATE_UPLOADED}
    )
    api.answers["WatchPerson"] = lambda _request: [WatchPersonResponse(person=ADA, photos=photos)]


def test_add_photo_does_not_wait_unless_told_to(api: ScriptedApi, whodex: Whodex, photo: Path) -> None:
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY))

    result = whodex("person", "add-photo", "Ada", photo)

    assert result.exit_code == 0
    assert "UPLOADED" in result.stdout
    assert not api.requests("WatchPerson")


def test_waiting_for_a_photo_that_fails_prints_its_sentence(api: ScriptedApi, whodex: Whodex, photo: Path) -> None:
    failure = Failure(reason=FAILURE_REASON_NO_FACE, message="No face was found; use a photo that shows one.")
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY), _photo(2, ReferencePhoto.STATE_FAILED, failure=failure))

    result = whodex("person", "add-photo", "Ada", photo, photo, "--wait", "-o", "json")

    assert result.exit_code == 1
    assert [json.loads(line)["photo"]["state"] for line in result.stdout.splitlines()] == [
        "STATE_READY",
        "STATE_FAILED",
    ]
    assert "2.jpg: No face was found; use a photo that shows one. [NO_FACE]" in result.stderr


def test_warnings_of_a_photo_that_is_ready_are_no_failure(api: ScriptedApi, whodex: Whodex, photo: Path) -> None:
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY, warnings=[BLURRED]))

    result = whodex("person", "add-photo", "Ada", photo, "--wait", "-o", "json")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["photo"]["warnings"][0]["kind"] == "KIND_BLURRED"
    assert result.stderr == "warning: 1.jpg: Rather blurred. [BLURRED]\n"


def test_waiting_goes_on_until_the_photo_is_compared_with_other_people(
    api: ScriptedApi, whodex: Whodex, photo: Path
) -> None:
    alike = PhotoWarning(kind=PhotoWarning.KIND_LOOK_ALIKE, message="Looks like Eve.", person_display_name="Eve")
    ready = _photo(1, ReferencePhoto.STATE_READY, look_alikes_checked=False)
    _settles_as(api, ready)
    compared = _photo(1, ReferencePhoto.STATE_READY, warnings=[alike])
    api.answers["WatchPerson"] = lambda _request: [
        WatchPersonResponse(person=ADA, photos=[state]) for state in (ready, compared)
    ]

    result = whodex("person", "add-photo", "Ada", photo, "--wait")

    assert result.exit_code == 0
    assert result.stderr == "warning: 1.jpg: Looks like Eve. [LOOK_ALIKE]\n"


def test_a_photo_that_is_not_compared_in_time_says_so(
    api: ScriptedApi, whodex: Whodex, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(person_commands, "COMPARISON_SECONDS", 0.01)
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY, look_alikes_checked=False))

    result = whodex("person", "add-photo", "Ada", photo, "--wait")

    assert result.exit_code == 0
    assert "[LOOK_ALIKES_NOT_CHECKED]" in result.stderr
    assert "[LOOK_ALIKES_NOT_CHECKED]" in whodex("person", "show", "Ada").stdout


@pytest.mark.parametrize("options", [(), ("--confirm-same-person",)])
def test_an_upload_confirms_the_person_only_when_told_to(
    api: ScriptedApi, whodex: Whodex, photo: Path, options: tuple[str, ...]
) -> None:
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY))

    assert whodex("person", "add-photo", "Ada", photo, *options).exit_code == 0
    (messages,) = api.requests("UploadReferencePhoto")
    assert messages[0].metadata.confirm_same_person is bool(options)


@pytest.mark.parametrize("options", [(), ("--confirm-same-person",)])
def test_photos_are_retried_by_their_ids(api: ScriptedApi, whodex: Whodex, options: tuple[str, ...]) -> None:
    ids = [str(uuid4()) for _ in range(2)]
    api.answers["ListPeople"] = _people(ADA)
    api.answers["RetryReferencePhoto"] = lambda request: RetryReferencePhotoResponse(
        photo={"name": request.name, "state": ReferencePhoto.STATE_UPLOADED}
    )

    result = whodex("person", "retry-photo", "Ada", ids[0], f"{ADA.name}/photos/{ids[1]}", *options)

    assert result.exit_code == 0
    assert result.stdout.count("UPLOADED") == 2
    assert api.requests("RetryReferencePhoto") == [
        RetryReferencePhotoRequest(name=f"{ADA.name}/photos/{id_}", confirm_same_person=bool(options)) for id_ in ids
    ]


def test_waiting_for_a_retried_photo_prints_how_it_ends(api: ScriptedApi, whodex: Whodex) -> None:
    failure = Failure(reason=FAILURE_REASON_DIFFERENT_PERSON, message="Another face.")
    failed = ReferencePhoto(
        name=f"{ADA.name}/photos/{uuid4()}", file_name="1.jpg", state=ReferencePhoto.STATE_FAILED, failure=failure
    )
    _settles_as(api, failed)
    api.answers["RetryReferencePhoto"] = lambda request: RetryReferencePhotoResponse(photo={"name": request.name})

    result = whodex("person", "retry-photo", "Ada", failed.name, "--wait")

    assert result.exit_code == 1
    assert result.stderr == "error: 1.jpg: Another face. [DIFFERENT_PERSON]\n"


@pytest.mark.parametrize("photo", ["ada.jpg", f"{OTHER_ADA.name}/photos/{uuid4()}"])
def test_what_is_no_photo_of_the_person_is_not_retried(api: ScriptedApi, whodex: Whodex, photo: str) -> None:
    api.answers["ListPeople"] = _people(ADA)

    result = whodex("person", "retry-photo", "Ada", photo)

    assert result.exit_code == 1
    assert "neither an id nor a resource name" in result.stderr
    assert not api.requests("RetryReferencePhoto")


def test_a_face_is_chosen_by_its_box(api: ScriptedApi, whodex: Whodex, photo: Path) -> None:
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY))

    assert whodex("person", "add-photo", "Ada", photo, "--face-box", "1,2,30.5,40").exit_code == 0
    (messages,) = api.requests("UploadReferencePhoto")
    assert messages[0].metadata.face_box == Box(left=1, top=2, right=30.5, bottom=40)


@pytest.mark.parametrize(
    "arguments", [["--face-box", "1,2,3"], ["--face-box", "1,2,3,x"], ["--face-box", "1,2,3,4", __file__]]
)
def test_a_box_that_is_none_or_is_for_several_photos_is_a_usage_error(
    api: ScriptedApi, whodex: Whodex, photo: Path, arguments: list[str]
) -> None:
    assert whodex("person", "add-photo", "Ada", photo, *arguments).exit_code == 2
    assert not api.calls


def test_a_refused_file_does_not_keep_the_others_back(api: ScriptedApi, whodex: Whodex, photo: Path) -> None:
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY))
    accept = api.answers["UploadReferencePhoto"]

    def answer(messages: list[Any]) -> UploadReferencePhotoResponse:
        if len(messages) == 1:
            raise InvalidArgumentError("The file is empty.", reason=error_reason_pb2.ERROR_REASON_UPLOAD_EMPTY)
        return accept(messages)

    api.answers["UploadReferencePhoto"] = answer
    empty = photo.with_name("empty.jpg")
    empty.touch()

    result = whodex("person", "add-photo", "Ada", empty, photo)

    assert result.exit_code == 1
    assert f"{empty}: The file is empty. [UPLOAD_EMPTY]" in result.stderr
    assert "UPLOADED" in result.stdout


def test_an_upload_is_repeated_under_the_same_request_id(api: ScriptedApi, whodex: Whodex, photo: Path) -> None:
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY))
    accept = api.answers["UploadReferencePhoto"]

    def answer(messages: list[Any]) -> UploadReferencePhotoResponse:
        if len(api.requests("UploadReferencePhoto")) == 1:
            raise UnavailableError("Stopping.", reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE)
        return accept(messages)

    api.answers["UploadReferencePhoto"] = answer

    assert whodex("person", "add-photo", "Ada", photo).exit_code == 0
    first, second = (messages[0].metadata.request_id for messages in api.requests("UploadReferencePhoto"))
    assert first == second != ""


def test_a_file_that_is_not_there_is_a_usage_error(api: ScriptedApi, whodex: Whodex, tmp_path: Path) -> None:
    result = whodex("person", "add-photo", "Ada", tmp_path / "missing.jpg")

    assert result.exit_code == 2
    assert not api.calls


def test_an_error_is_one_sentence_with_its_reason(api: ScriptedApi, whodex: Whodex) -> None:
    def answer(_request: GetPersonRequest) -> GetPersonResponse:
        raise NotFoundError("There is no such person.", reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND)

    api.answers["GetPerson"] = answer

    result = whodex("person", "show", ADA.name)

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "error: There is no such person. [RESOURCE_NOT_FOUND]\n"


def test_a_name_cannot_command_the_terminal(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["ListPeople"] = _people(Person(name=ADA.name, display_name="[red]\x1b[2JAda[/]"))

    output = whodex("person", "list").stdout

    assert "\x1b" not in output
    assert "[red]" in output


def test_waiting_goes_on_through_a_restart_of_the_server(api: ScriptedApi, whodex: Whodex, photo: Path) -> None:
    _settles_as(api, _photo(1, ReferencePhoto.STATE_READY))
    settled = api.answers["WatchPerson"]

    def answer(request: Any) -> Iterator[WatchPersonResponse]:
        if len(api.requests("WatchPerson")) == 1:
            yield WatchPersonResponse(person=ADA, photos=[_photo(1, ReferencePhoto.STATE_PROCESSING)])
            raise UnavailableError("Stopping.", reason=error_reason_pb2.ERROR_REASON_STORAGE_UNAVAILABLE)
        yield from settled(request)

    api.answers["WatchPerson"] = answer

    assert "READY" in whodex("person", "add-photo", "Ada", photo, "--wait").stdout
