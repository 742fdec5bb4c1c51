from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_server.paging import DEFAULT_PAGE_SIZE, cut, make_token, page_size, read_place, read_token, uuid_place
from whodex.errors import InvalidArgumentError
from whodex.v1 import error_reason_pb2
from whodex.v1.people_service_pb2 import ListPeopleRequest, ListReferencePhotosRequest

PARENT = "libraries/01890000-0000-7000-8000-000000000001"


def _refused(request: ListPeopleRequest | ListReferencePhotosRequest) -> bool:
    with pytest.raises(InvalidArgumentError) as caught:
        read_token(request)
    return caught.value.reason == error_reason_pb2.ERROR_REASON_PAGE_TOKEN_INVALID


@given(st.binary(max_size=200), st.integers(0, 1000), st.integers(0, 1000))
def test_a_token_brings_its_place_back_whatever_the_page_size(place: bytes, size: int, other_size: int) -> None:
    token = make_token(ListPeopleRequest(parent=PARENT, page_size=size), place)
    assert read_token(ListPeopleRequest(parent=PARENT, page_size=other_size, page_token=token)) == place


def test_without_a_token_the_list_starts_at_its_beginning() -> None:
    assert read_token(ListPeopleRequest(parent=PARENT)) is None


def test_a_token_of_another_request_is_refused() -> None:
    token = make_token(ListPeopleRequest(parent=PARENT, display_name="Ada"), b"place")
    assert _refused(ListPeopleRequest(parent=PARENT, page_token=token))
    assert _refused(ListPeopleRequest(parent=PARENT, display_name="Eve", page_token=token))
    # The same fields of another method.
    same_fields = make_token(ListPeopleRequest(parent=PARENT), b"place")
    assert _refused(ListReferencePhotosRequest(parent=PARENT, page_token=same_fields))


@given(st.integers(0, 27), st.integers(1, 255))
def test_a_token_with_any_byte_changed_is_refused(position: int, change: int) -> None:
    token = base64.urlsafe_b64decode(make_token(ListPeopleRequest(parent=PARENT), bytes(16)) + "==")
    damaged = bytearray(token)
    damaged[position] ^= change
    text = base64.urlsafe_b64encode(damaged).decode().rstrip("=")
    assert _refused(ListPeopleRequest(parent=PARENT, page_token=text))


@given(st.text(min_size=1, max_size=60))
def test_what_is_no_token_is_refused(text: str) -> None:
    assert _refused(ListPeopleRequest(parent=PARENT, page_token=text))


def test_a_page_size_of_zero_means_the_default() -> None:
    assert page_size(ListPeopleRequest()) == DEFAULT_PAGE_SIZE
    assert page_size(ListPeopleRequest(page_size=7)) == 7


def test_only_a_page_with_something_behind_it_has_a_token() -> None:
    request = ListPeopleRequest(parent=PARENT, page_size=2)
    rows, token = cut([1, 2], request, lambda row: bytes([row]))
    assert (rows, token) == ([1, 2], "")
    rows, token = cut([1, 2, 3], request, lambda row: bytes([row]))
    assert rows == [1, 2]
    request.page_token = token
    assert read_token(request) == b"\x02"


def test_a_token_with_a_place_of_another_kind_is_refused():
    request = ListPeopleRequest(parent=PARENT)
    request.page_token = make_token(request, b"no id")
    with pytest.raises(InvalidArgumentError) as caught:
        read_place(request, uuid_place)
    assert caught.value.reason_name == "PAGE_TOKEN_INVALID"
