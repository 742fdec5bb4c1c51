"""The Python client against every real part."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from PIL import Image

from whodex import Client
from whodex.demo.samples import pull_samples, sample
from whodex.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError, OutOfRangeError
from whodex.v1.person_pb2 import Person, ReferencePhoto

if TYPE_CHECKING:
    from tests.integration.conftest import Stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """Opens a library of this module's own."""
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("client").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


@pytest.fixture(scope="module")
def portrait() -> Path:
    pull_samples()
    return sample("obama.jpg")


@pytest.fixture(scope="module")
def photo(client: Client, portrait: Path) -> ReferencePhoto:
    """READY."""
    person = client.people.create("Barack Obama")
    uploaded = client.people.upload_photo(person.name, portrait)
    return client.people.wait_for_photo(uploaded.name, timeout_seconds=60)


def test_a_photo_becomes_ready_and_its_person_with_it(client: Client, photo: ReferencePhoto) -> None:
    person = client.people.get(photo.name.partition("/photos/")[0])

    assert photo.state == ReferencePhoto.STATE_READY, photo.failure
    assert (person.state, person.ready_photo_count) == (Person.STATE_READY, 1)


def test_downloads_are_the_bytes_that_were_uploaded(
    client: Client, photo: ReferencePhoto, portrait: Path, tmp_path: Path
) -> None:
    client.contents.download_to(photo.original.name, tmp_path / "copy.jpg")

    assert (tmp_path / "copy.jpg").read_bytes() == portrait.read_bytes()
    assert client.contents.download(photo.original.name, offset=100, limit=50) == portrait.read_bytes()[100:150]
    with pytest.raises(OutOfRangeError):
        client.contents.download(photo.original.name, offset=10**9)


def test_a_thumbnail_is_a_picture(client: Client, photo: ReferencePhoto) -> None:
    with Image.open(io.BytesIO(client.contents.download(photo.thumbnail.name))) as thumbnail:
        assert thumbnail.format == "JPEG"
        assert thumbnail.width > 0


def test_repeating_an_upload_makes_no_second_photo(client: Client, portrait: Path) -> None:
    person = client.people.create("Once")
    request_id = str(uuid4())

    first = client.people.upload_photo(person.name, portrait, request_id=request_id)
    again = client.people.upload_photo(person.name, portrait, request_id=request_id)

    assert first.name == again.name
    assert len(list(client.people.list_photos(person.name))) == 1


def test_a_request_id_belongs_to_one_request(client: Client) -> None:
    request_id = str(uuid4())
    client.people.create("First", request_id=request_id)

    with pytest.raises(AlreadyExistsError) as caught:
        client.people.create("Second", request_id=request_id)

    assert caught.value.reason_name == "REQUEST_ID_REUSED"


def test_pages_join_into_one_list(client: Client) -> None:
    names = [client.people.create(f"Page {number}").name for number in range(3)]

    listed = [person.name for person in client.people.list(page_size=1)]

    assert [name for name in listed if name in names] == names


def test_a_damaged_page_token_is_refused(client: Client) -> None:
    client.people.create("Somebody")
    pages = client.people.list(page_size=1)

    with pytest.raises(InvalidArgumentError) as caught:
        pages._fetch("no such token")

    assert caught.value.reason_name == "PAGE_TOKEN_INVALID"


def test_an_update_changes_what_the_mask_names_alone(client: Client) -> None:
    person = client.people.create("Ada", description="a countess")

    changed = client.people.update(Person(name=person.name, display_name="Ada Lovelace"), ["display_name"])

    assert (changed.display_name, changed.description) == ("Ada Lovelace", "a countess")


def test_the_names_of_another_library_look_as_if_they_did_not_exist(stack: Stack, client: Client) -> None:
    person = client.people.create("Ada")

    with Client(state_dir=stack.state.root) as other, pytest.raises(NotFoundError):
        other.people.get(person.name)


def test_a_deleted_person_is_found_no_more(client: Client, portrait: Path) -> None:
    person = client.people.create("Soon gone")
    client.people.wait_for_photo(client.people.upload_photo(person.name, portrait).name)

    token = client.people.delete(person.name).consistency_token
    faces = client.search.identify(portrait.read_bytes(), consistency_token=token).faces

    assert person.name not in [candidate.person.name for candidate in faces[0].candidates]
    with pytest.raises(NotFoundError):
        client.people.wait_for_person(person.name)


def test_a_person_can_be_searched_for_as_soon_as_the_token_says_so(client: Client, portrait: Path) -> None:
    person = client.people.create("Just now")
    client.people.upload_photo(person.name, portrait)
    state = client.people.wait_for_person(person.name)

    faces = client.search.identify(
        portrait.read_bytes(), consistency_token=state.person.consistency_token, max_candidates=100
    ).faces

    assert person.name in [candidate.person.name for candidate in faces[0].candidates]
