from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex.cli.search import Rate
from whodex.errors import FailedPreconditionError
from whodex.v1 import error_reason_pb2
from whodex.v1.embedding_pb2 import FalseMatchRate, Threshold
from whodex.v1.people_service_pb2 import ListPeopleResponse
from whodex.v1.person_pb2 import Person
from whodex.v1.search_service_pb2 import (
    IdentifiedFace,
    IdentifyFacesResponse,
    SceneMatch,
    SearchScenesRequest,
    SearchScenesResponse,
    VerifyFacesResponse,
)

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

LIBRARY = f"libraries/{uuid4()}"
ADA = Person(name=f"{LIBRARY}/people/{uuid4()}", display_name="Ada")
BO = Person(name=f"{LIBRARY}/people/{uuid4()}", display_name="Bo")
THRESHOLD = Threshold(false_match_rate=FalseMatchRate.FALSE_MATCH_RATE_ONE_IN_1000, similarity=0.25)
MATCH = SceneMatch(
    scene={"index": 4, "start_offset": {"seconds": 10}, "end_offset": {"seconds": 20}},
    video_display_name="party.mp4",
    people=[
        {
            "person": ADA.name,
            "appearances": [
                {
                    "similarity": 0.75,
                    "appearance": {"start_offset": {"seconds": 11}, "end_offset": {"seconds": 13}},
                },
                {"similarity": 0.5},
            ],
        }
    ],
)


@pytest.fixture
def people(api: ScriptedApi) -> None:
    by_name = {person.display_name: person for person in (ADA, BO)}
    api.answers["ListPeople"] = lambda request: ListPeopleResponse(people=[by_name[request.display_name]])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "who.jpg"
    path.write_bytes(b"jpeg")
    return path


@pytest.mark.usefixtures("people")
def test_search_asks_for_all_of_the_people(api: ScriptedApi, whodex: Whodex) -> None:
    whodex("search", "--all-of", "Ada", "--all-of", "Bo", "--false-match-rate", "1e-5")

    assert api.requests("SearchScenes") == [
        SearchScenesRequest(
            parent=api.library,
            all_of=[ADA.name, BO.name],
            false_match_rate=FalseMatchRate.FALSE_MATCH_RATE_ONE_IN_100000,
        )
    ]


@pytest.mark.usefixtures("people")
def test_search_shows_the_evidence_and_the_threshold(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["SearchScenes"] = lambda _request: SearchScenesResponse(matches=[MATCH], threshold=THRESHOLD)

    output = whodex("search", "--all-of", "Ada").stdout

    assert all(text in output for text in ("party.mp4", "0:10.0", "0:20.0", "0.750 at 0:11.0-0:13.0 +1"))
    assert "A match is a similarity of at least 0.250 (false match rate 1e-3)." in output


@pytest.mark.usefixtures("people")
def test_search_json_joins_the_pages(api: ScriptedApi, whodex: Whodex) -> None:
    pages = {
        "": SearchScenesResponse(matches=[MATCH], threshold=THRESHOLD, next_page_token="2"),  # noqa: S106
        "2": SearchScenesResponse(matches=[MATCH], threshold=THRESHOLD),
    }
    api.answers["SearchScenes"] = lambda request: pages[request.page_token]

    result = whodex("search", "--all-of", "Ada", "-o", "json")

    joined = SearchScenesResponse(matches=[MATCH, MATCH], threshold=THRESHOLD)
    assert Parse(result.stdout, SearchScenesResponse()) == joined


@pytest.mark.usefixtures("people")
def test_search_says_when_nothing_was_found(whodex: Whodex) -> None:
    result = whodex("search", "--all-of", "Ada", "--all-of", "Bo")

    assert result.exit_code == 0
    assert "No scene shows Ada and Bo together." in result.stdout


def test_search_without_people_is_a_usage_error(whodex: Whodex) -> None:
    assert whodex("search").exit_code == 2


def test_identify_names_the_candidates_of_each_face(api: ScriptedApi, whodex: Whodex, image: Path) -> None:
    known = IdentifiedFace(
        box={"left": 1, "top": 2, "right": 30, "bottom": 40},
        verdict=IdentifiedFace.VERDICT_KNOWN,
        candidates=[{"person": ADA, "similarity": 0.75, "matches": True}, {"person": BO, "similarity": 0.125}],
    )
    unknown = IdentifiedFace(verdict=IdentifiedFace.VERDICT_UNKNOWN)
    api.answers["IdentifyFaces"] = lambda _request: IdentifyFacesResponse(faces=[known, unknown], threshold=THRESHOLD)

    output = whodex("identify", image).stdout

    assert all(text in output for text in ("1,2,30,40", "KNOWN", "Ada 0.750 *; Bo 0.125", "UNKNOWN"))
    assert api.requests("IdentifyFaces")[0].image == b"jpeg"


def test_identify_says_when_there_is_no_face(whodex: Whodex, image: Path) -> None:
    assert whodex("identify", image).stdout == "No face was found.\n"


def test_verify_gives_verdict_similarity_and_threshold(api: ScriptedApi, whodex: Whodex, image: Path) -> None:
    api.answers["VerifyFaces"] = lambda _request: VerifyFacesResponse(
        verdict=VerifyFacesResponse.VERDICT_SAME_PERSON, similarity=0.5, threshold=THRESHOLD
    )

    assert whodex("verify", image, image).stdout.startswith("SAME_PERSON: similarity 0.500. A match is")


def test_verify_explains_a_picture_without_a_face(api: ScriptedApi, whodex: Whodex, image: Path) -> None:
    def answer(_request: object) -> VerifyFacesResponse:
        raise FailedPreconditionError("The first picture shows no face.", reason=error_reason_pb2.ERROR_REASON_NO_FACE)

    api.answers["VerifyFaces"] = answer

    result = whodex("verify", image, image)

    assert (result.exit_code, result.stderr) == (1, "error: The first picture shows no face. [NO_FACE]\n")


def test_every_rate_of_the_contract_can_be_asked_for() -> None:
    rates = {rate.to_proto() for rate in Rate}

    assert rates == set(FalseMatchRate.values()) - {FalseMatchRate.FALSE_MATCH_RATE_UNSPECIFIED}
