"""One picture of each format, from the client to READY and to its person, through every real part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from tests.pictures.control_set import FACES_XYXY
from tests.pictures.encodings import Encoding, Pixels, encodings, save
from whodex import Client
from whodex.demo.samples import pull_samples, sample
from whodex.errors import InvalidArgumentError
from whodex.runtime.pictures import PictureFormat
from whodex.v1.geometry_pb2 import Box
from whodex.v1.person_pb2 import Person, ReferencePhoto
from whodex.v1.search_service_pb2 import IdentifiedFace, VerifyFacesResponse

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

WAIT_SECONDS = 60
NAMES = (
    "jpeg CMYK, inverted as Adobe does",
    "png 16 bit with alpha",
    "webp",
    "heic of tiles, as telephones store it",
    "avif Display P3",
    "tiff float",
    "bmp",
    "gif animated",
)
PLAIN = {encoding.name: encoding for encoding in encodings()}


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """Opens a library of this module's own."""
    pull_samples()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("pictures").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


@pytest.fixture(scope="module")
def person(client: Client) -> Person:
    """Somebody whom the pictures show, enrolled from another photograph."""
    person = client.people.create("Barack Obama")
    client.people.upload_photo(person.name, sample("obama3.jpg"))
    return client.people.wait_for_person(person.name).person


def portrait(encoding: Encoding) -> bytes:
    return encoding.encode(np.asarray(Image.fromarray(pixels("obama.jpg")).reduce(2)))


def pixels(name: str) -> Pixels:
    with Image.open(sample(name)) as picture:
        return np.asarray(picture.convert("RGB"))


def jpeg(picture: Pixels) -> bytes:
    return save(Image.fromarray(picture), "JPEG", quality=92)


def corners(box: Box) -> tuple[float, ...]:
    return box.left, box.top, box.right, box.bottom


def test_every_format_is_here() -> None:
    assert {PLAIN[name].format for name in NAMES} == set(PictureFormat)


@pytest.mark.parametrize("name", NAMES)
def test_a_reference_photo_of_any_format_becomes_ready(client: Client, name: str) -> None:
    data = portrait(PLAIN[name])
    person = client.people.create(name)
    uploaded = client.people.upload_photo(person.name, data, file_name="named like another.jpg")
    photo = client.people.wait_for_photo(uploaded.name, timeout_seconds=WAIT_SECONDS)
    assert photo.state == ReferencePhoto.STATE_READY, photo.failure
    assert photo.original.media_type == PLAIN[name].format.value
    assert client.contents.download(photo.original.name) == data
    assert photo.thumbnail.media_type == "image/jpeg"


@pytest.mark.parametrize("name", NAMES)
def test_a_query_picture_of_any_format_shows_its_person(client: Client, person: Person, name: str) -> None:
    data = portrait(PLAIN[name])
    (face,) = client.search.identify(data, consistency_token=person.consistency_token).faces
    assert face.verdict == IdentifiedFace.VERDICT_KNOWN
    compared = client.search.verify(data, sample("obama3.jpg").read_bytes())
    assert compared.verdict == VerifyFacesResponse.VERDICT_SAME_PERSON


def test_a_photo_stored_on_its_side_shows_its_person(client: Client, person: Person) -> None:
    lying = jpeg(np.rot90(pixels("obama.jpg")))
    (face,) = client.search.identify(lying, consistency_token=person.consistency_token).faces
    assert face.verdict == IdentifiedFace.VERDICT_KNOWN
    # The box is that of the picture as it is: turned by a quarter, counter-clockwise, 910 pixels wide before.
    left, top, right, bottom = FACES_XYXY["obama.jpg"][0]
    assert corners(face.box) == pytest.approx((top, 910 - right, bottom, 910 - left), abs=12)

    photo = client.people.upload_photo(client.people.create("Lying").name, lying)
    photo = client.people.wait_for_photo(photo.name, timeout_seconds=WAIT_SECONDS)
    assert photo.state == ReferencePhoto.STATE_READY, photo.failure
    (in_thumbnail,) = client.search.identify(client.contents.download(photo.thumbnail.name)).faces
    assert in_thumbnail.quality.detection_score > 0.99
    assert in_thumbnail.box.bottom - in_thumbnail.box.top > in_thumbnail.box.right - in_thumbnail.box.left


def test_people_far_away_in_a_large_picture_are_found_and_can_be_enrolled(client: Client) -> None:
    """As a telephone takes it: 12 megapixels, the faces 45 pixels wide, 7 on the detector's canvas."""
    group = np.asarray(Image.fromarray(pixels("t1.jpg")).resize((512, 354), Image.Resampling.LANCZOS))
    ground = np.full((3000, 4000, 3), (90, 130, 60), np.uint8)
    ground[2000:2354, 1500:2012] = group
    picture = jpeg(ground)

    faces = client.search.identify(picture).faces
    assert len(faces) == 6

    person = client.people.create("Far away")
    photo = client.people.upload_photo(person.name, picture, face_box=faces[3].box)
    photo = client.people.wait_for_photo(photo.name, timeout_seconds=WAIT_SECONDS)
    assert photo.state == ReferencePhoto.STATE_READY, photo.failure
    assert corners(photo.face_box) == pytest.approx(corners(faces[3].box), abs=2)


def test_a_photo_is_no_video_although_both_are_the_same_kind_of_file(client: Client, person: Person) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        client.videos.upload(portrait(PLAIN["heic"]), file_name="film.mp4")
    assert refused.value.reason_name == "UNSUPPORTED_FORMAT"
    with pytest.raises(InvalidArgumentError) as refused:
        client.people.upload_photo(person.name, b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(200))
    assert refused.value.reason_name == "UNSUPPORTED_FORMAT"
