from __future__ import annotations

from typing import TYPE_CHECKING

from whodex.client import Client
from whodex.v1.people_service_pb2 import ListPeopleRequest, ListPeopleResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

NAMES_AND_NEXT_TOKEN = {"": (["Ada", "Bo"], "2"), "2": ([], "3"), "3": (["Cy"], "")}


def _answer(request: ListPeopleRequest) -> ListPeopleResponse:
    names, token = NAMES_AND_NEXT_TOKEN[request.page_token]
    return ListPeopleResponse(people=[{"display_name": name} for name in names], next_page_token=token)


def test_the_items_of_all_pages_come_in_order_even_over_an_empty_page(api: ScriptedApi, client: Client) -> None:
    api.answers["ListPeople"] = _answer

    assert [person.display_name for person in client.people.list()] == ["Ada", "Bo", "Cy"]


def test_a_page_is_asked_for_only_when_it_is_needed(api: ScriptedApi, client: Client) -> None:
    api.answers["ListPeople"] = _answer
    people = iter(client.people.list(display_name="A", page_size=2))

    next(people)
    next(people)

    request = ListPeopleRequest(parent=api.library, display_name="A", page_size=2)
    assert api.requests("ListPeople") == [request]


def test_the_pages_themselves_can_be_read(api: ScriptedApi, client: Client) -> None:
    api.answers["ListPeople"] = _answer

    assert [page.next_page_token for page in client.people.list().pages()] == ["2", "3", ""]


def test_a_list_can_be_read_twice(api: ScriptedApi, client: Client) -> None:
    api.answers["ListPeople"] = _answer
    people = client.people.list()

    assert len(list(people)) == len(list(people)) == 3
