"""What an enrolment says about photos, with the real models, the real index and pictures of real people."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageFilter

from whodex import Client
from whodex.client.waiting import wait_until
from whodex.demo.samples import pull_samples, sample
from whodex.v1 import failure_pb2
from whodex.v1.person_pb2 import Person, PhotoWarning, ReferencePhoto

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

WAIT_SECONDS = 60


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """Calls in a library of the test's own, whose people look like nobody else's."""
    pull_samples()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("enrolment").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(state_dir=stack.state.root, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


def add(client: Client, person: Person, name: str, *, confirm: bool = False) -> ReferencePhoto:
    """Enrols a sample picture, and waits for all that is to be said about it."""
    photo = client.people.upload_photo(person.name, sample(name), confirm_same_person=confirm)
    return client.people.wait_for_comparison(photo.name, timeout_seconds=WAIT_SECONDS)


def add_picture(client: Client, person: Person, picture: Image.Image, *, quality: int = 90) -> ReferencePhoto:
    data = io.BytesIO()
    picture.convert("RGB").save(data, "JPEG", quality=quality)
    photo = client.people.upload_photo(person.name, data.getvalue())
    return client.people.wait_for_comparison(photo.name, timeout_seconds=WAIT_SECONDS)


def kinds(photo: ReferencePhoto) -> list[PhotoWarning.Kind.ValueType]:
    assert photo.state == ReferencePhoto.STATE_READY, photo.failure
    return [warning.kind for warning in photo.warnings]


def test_a_photo_of_somebody_else_fails_until_it_is_confirmed(client: Client) -> None:
    obama = client.people.create("Barack Obama")
    assert kinds(add(client, obama, "obama.jpg")) == []
    stranger = add(client, obama, "biden.jpg")
    assert stranger.failure.reason == failure_pb2.FAILURE_REASON_DIFFERENT_PERSON
    measured, needed = map(float, re.findall(r"-?\d\.\d{3}", stranger.failure.message))
    assert measured < needed == pytest.approx(0.249)
    # His own other photos are his.
    assert kinds(add(client, obama, "obama2.jpg")) == kinds(add(client, obama, "obama3.jpg")) == []

    client.people.retry_photo(stranger.name, confirm_same_person=True)

    confirmed = client.people.wait_for_photo(stranger.name, timeout_seconds=WAIT_SECONDS)
    assert (confirmed.state, confirmed.same_person_confirmed) == (ReferencePhoto.STATE_READY, True)


def test_a_smaller_copy_is_a_near_duplicate_and_a_different_photo_is_not(client: Client) -> None:
    obama = client.people.create("Barack Obama")
    original = add(client, obama, "obama.jpg")
    with Image.open(sample("obama.jpg")) as picture:
        box = (0.05 * picture.width, 0.05 * picture.height, picture.width, 0.95 * picture.height)
        smaller = picture.crop(tuple(map(round, box))).resize((picture.width // 2, picture.height // 2))
        copy = add_picture(client, obama, smaller, quality=60)
    (warning,) = copy.warnings
    assert (warning.kind, warning.photo) == (PhotoWarning.KIND_NEAR_DUPLICATE, original.name)
    assert "obama.jpg" in warning.message
    assert kinds(add(client, obama, "obama2.jpg")) == []


def test_a_rather_blurred_photo_is_ready_with_advice(client: Client) -> None:
    with Image.open(sample("obama.jpg")) as picture:
        blurred = picture.filter(ImageFilter.GaussianBlur(picture.width / 90))
        photo = add_picture(client, client.people.create("Barack Obama"), blurred)
    (warning,) = photo.warnings
    assert warning.kind == PhotoWarning.KIND_BLURRED
    assert re.fullmatch(r"The face has a sharpness of \d\.\d+, 4 or more is better: focus .*\.", warning.message)


def test_a_look_alike_of_another_person_is_ready_and_named(client: Client) -> None:
    obama, somebody = client.people.create("Barack Obama"), client.people.create("Somebody")
    add(client, obama, "obama.jpg")
    photo = add(client, somebody, "obama2.jpg")
    (warning,) = photo.warnings
    assert (warning.kind, warning.person) == (PhotoWarning.KIND_LOOK_ALIKE, obama.name)
    assert warning.person_display_name == "Barack Obama"
    assert warning.similarity > 0.5
    assert "Barack Obama" in warning.message
    # Somebody else is not.
    assert kinds(add(client, client.people.create("Joe Biden"), "biden.jpg")) == []

    # By the name that the person has now, for as long as there is one.
    obama.display_name = "The President"
    client.people.update(obama, ["display_name"])
    assert client.people.get_photo(photo.name).warnings[0].person_display_name == "The President"
    client.people.delete(obama.name)
    assert kinds(client.people.get_photo(photo.name)) == []


def test_of_two_people_who_are_enrolled_at_once_the_later_one_is_compared_with_the_earlier(client: Client) -> None:
    people = [client.people.create(name) for name in ("First", "Second")]
    with ThreadPoolExecutor(len(people)) as threads:
        photos = list(threads.map(lambda person: add(client, person, "obama3.jpg"), people))
    assert PhotoWarning.KIND_LOOK_ALIKE in [kind for photo in photos for kind in kinds(photo)]


def test_a_watch_sees_the_comparison(client: Client) -> None:
    person = client.people.create("Barack Obama")
    client.people.upload_photo(person.name, sample("obama.jpg"))
    state = wait_until(
        lambda remaining: client.people.watch(person.name, timeout_seconds=remaining),
        lambda state: all(photo.look_alikes_checked for photo in state.photos),
        timeout_seconds=WAIT_SECONDS,
    )
    assert [photo.state for photo in state.photos] == [ReferencePhoto.STATE_READY]
