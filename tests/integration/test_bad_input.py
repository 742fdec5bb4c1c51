"""Bad pictures, videos and uploads, from the client to the failure on the resource, through every real part."""

from __future__ import annotations

import io
import json
import re
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from api_server.database.engine import Database
from api_server.scheduler.garbage import collect_garbage
from whodex import Client
from whodex.client.uploads import RESUMABLE_BYTES
from whodex.demo.samples import pull_samples, sample
from whodex.errors import DeadlineExceededError, InvalidArgumentError, NotFoundError
from whodex.runtime.store import ObjectStore
from whodex.stack import postgres
from whodex.v1.failure_pb2 import Failure, FailureReason
from whodex.v1.geometry_pb2 import Box
from whodex.v1.person_pb2 import Person, ReferencePhoto
from whodex.v1.video_pb2 import Video

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

WAIT_SECONDS = 60
FRAME_RATE = 25
MIB = 1 << 20


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """Opens a library of this module's own."""
    pull_samples()
    with Client(state_dir=stack.state.root) as admin:
        library = admin.libraries.create("bad input").name
        key = admin.libraries.create_key(library, "tests").secret
        with Client(stack.address, library=library, api_key=key) as client:
            yield client
        admin.libraries.delete(library, force=True)


@pytest.fixture
def person(client: Client) -> Person:
    return client.people.create("Somebody")


# Pictures.


def half_a_photo() -> bytes:
    whole = sample("obama.jpg").read_bytes()
    return whole[: len(whole) // 2]


def enormous_picture() -> bytes:
    """A PNG of 50,000x50,000 pixels in a few bytes: 7.5 GB, were it decoded."""
    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1))) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    # PNG, https://www.w3.org/TR/png-3/#5Chunk-layout
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def nobody() -> bytes:
    return jpeg(Image.radial_gradient("L").resize((800, 600)))


def six_people() -> bytes:
    return sample("t1.jpg").read_bytes()


def small_face() -> bytes:
    canvas = Image.new("RGB", (256, 256), "grey")
    with Image.open(sample("obama.jpg")) as portrait:
        portrait.thumbnail((72, 72))
        canvas.paste(portrait, (90, 90))
    return jpeg(canvas)


def blurred_face() -> bytes:
    with Image.open(sample("obama.jpg")) as portrait:
        return jpeg(portrait.filter(ImageFilter.GaussianBlur(portrait.width / 50)))


def dark_face() -> bytes:
    with Image.open(sample("obama.jpg")) as portrait:
        return jpeg(portrait.convert("RGB").point(lambda level: level * 0.06))


def jpeg(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.convert("RGB").save(data, "JPEG", quality=95)
    return data.getvalue()


@pytest.mark.parametrize(
    ("picture", "failure"),
    [
        (half_a_photo, "UNREADABLE_IMAGE: .* upload an intact copy"),
        (enormous_picture, "IMAGE_TOO_LARGE: .* upload a smaller version"),
        (nobody, "NO_FACE: .* upload a photo that shows the face"),
        (six_people, "SEVERAL_FACES: .* say which one by its box"),
        (small_face, r"FACE_TOO_SMALL: The face is \d+ px wide, at least 32 are needed: move closer"),
        (
            dark_face,
            r"FACE_BADLY_EXPOSED: .* luminance of 0.0\d, at least 0.04 is needed: take the photo",
        ),
        (blurred_face, r"FACE_NOT_SHARP: .* sharpness of [\d.]+, at least 1.75 is needed: focus"),
    ],
)
def test_a_photo_that_cannot_be_used_says_why_and_what_to_do(
    stack: Stack, client: Client, person: Person, picture: Callable[[], bytes], failure: str
) -> None:
    photo = upload(client, person, picture())

    assert photo.state == ReferencePhoto.STATE_FAILED
    check_failure(photo.failure, failure)
    assert not photo.HasField("thumbnail")
    assert blobs_of_work(stack, photo.name) == []
    assert client.people.get(person.name).state == Person.STATE_NEEDS_PHOTOS


def test_one_of_several_faces_is_named_by_its_box(client: Client, person: Person) -> None:
    faces = [face.box for face in client.search.identify(six_people()).faces]
    assert len(faces) == 6

    photo = upload(client, person, six_people(), face_box=faces[3])

    assert photo.state == ReferencePhoto.STATE_READY, photo.failure
    assert corners(photo.face_box) == pytest.approx(corners(faces[3]), abs=2)
    assert client.people.get(person.name).state == Person.STATE_READY


def test_a_box_without_a_face_is_said_so(client: Client, person: Person) -> None:
    photo = upload(client, person, six_people(), face_box=Box(left=0, top=0, right=5, bottom=5))

    assert photo.state == ReferencePhoto.STATE_FAILED
    check_failure(photo.failure, "FACE_NOT_AT_BOX: .* give the box of one of them")


def test_a_failed_photo_goes_with_its_bytes(stack: Stack, client: Client, person: Person) -> None:
    before = stored(stack)
    photo = upload(client, person, half_a_photo())
    made = stored(stack) - before
    assert len(made) == 1

    client.people.delete_photo(photo.name)

    deadline = time.monotonic() + WAIT_SECONDS
    while left := {path for path in made if path.exists()}:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


def corners(box: Box) -> tuple[float, ...]:
    return box.left, box.top, box.right, box.bottom


def upload(client: Client, person: Person, picture: bytes, face_box: Box | None = None) -> ReferencePhoto:
    """Uploads a photo and waits until it is READY or FAILED."""
    photo = client.people.upload_photo(person.name, picture, face_box=face_box)
    return client.people.wait_for_photo(photo.name, timeout_seconds=WAIT_SECONDS)


# Videos.


def sound_alone(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48_000)
        for number in range(20):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 48_000, 1024 * number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def truncated_before_its_index(path: Path) -> None:
    render(path, noise(FRAME_RATE))
    halve(path)


def truncated_after_its_index(path: Path) -> None:
    render(path, noise(FRAME_RATE), options={"movflags": "faststart"})
    halve(path)


def in_another_codec(path: Path) -> None:
    render(path, noise(5), codec="mpeg4")


def damaged_in_its_second_scene(path: Path) -> None:
    with Image.open(sample("obama.jpg")) as portrait:
        still = np.asarray(portrait.convert("RGB").resize((320, 240)))
    render(path, [still] * 2 * FRAME_RATE + noise(4 * FRAME_RATE), options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    start = len(content) * 3 // 4
    content[start : start + 50_000] = np.random.default_rng(0).bytes(50_000)
    path.write_bytes(content)


def halve(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def noise(count: int) -> list[NDArray[np.uint8]]:
    """Frames that compress badly, so that every part of the file is theirs."""
    return list(np.random.default_rng(0).integers(0, 255, (count, 240, 320, 3), np.uint8))


def render(
    path: Path, frames: list[NDArray[np.uint8]], codec: str = "libx264", options: dict[str, str] | None = None
) -> None:
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=FRAME_RATE, width=320, height=240, pix_fmt="yuv420p")
        for number, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize(
    ("make", "failure"),
    [
        (sound_alone, "NO_VIDEO_STREAM: .* upload a file with pictures in it"),
        (truncated_before_its_index, "UNREADABLE_VIDEO: .* upload the whole file again"),
        (truncated_after_its_index, "UNREADABLE_VIDEO: .* upload the whole file again"),
        (in_another_codec, "UNSUPPORTED_VIDEO_CODEC: .* convert it to H.264"),
    ],
)
def test_a_video_that_cannot_be_used_says_why_and_what_to_do(
    stack: Stack, client: Client, tmp_path: Path, make: Callable[[Path], None], failure: str
) -> None:
    make(tmp_path / "video.mp4")

    video = process(client, tmp_path / "video.mp4")

    assert video.state == Video.STATE_FAILED
    check_failure(video.failure, failure)
    assert blobs_of_work(stack, video.name) == []


async def test_the_scenes_before_the_damage_are_neither_shown_nor_kept(
    stack: Stack, client: Client, tmp_path: Path
) -> None:
    damaged_in_its_second_scene(tmp_path / "video.mp4")

    video = process(client, tmp_path / "video.mp4")

    assert video.state == Video.STATE_FAILED
    check_failure(video.failure, r"UNREADABLE_VIDEO: The video is damaged after \d\.\d\d s; export it again")
    assert (video.scene_count, video.appearance_count) == (0, 0)
    assert list(client.videos.list_scenes(video.name)) == []
    assert blobs_of_work(stack, video.name) != []
    await collect_all_garbage(stack)
    assert blobs_of_work(stack, video.name) == []


def process(client: Client, path: Path) -> Video:
    """Uploads a video and waits until it is READY or FAILED."""
    video = client.videos.upload(path)
    return client.videos.wait_for_video(video.name, timeout_seconds=WAIT_SECONDS)


async def collect_all_garbage(stack: Stack) -> None:
    """Does what the scheduler does every hour, without the grace of an hour."""
    store = ObjectStore.from_url(stack.state.folder("objects").as_uri())
    url = postgres.url(stack.ports["postgres"], stack.secrets.database_password)
    async with aclosing(Database.from_url(url, application="tests")) as database:
        await collect_garbage(database.system, store, timedelta(0))


# Uploads.


def too_large_a_photo(client: Client, person: str) -> None:
    client.people.upload_photo(person, b"\xff\xd8\xff" + bytes(32 * MIB))


def large_text_named_like_a_video(client: Client, _: str) -> None:
    client.videos.upload(b"Dear Sir or Madam,\n" * MIB, file_name="film.mp4")


@pytest.mark.parametrize(
    ("send", "reason"),
    [(too_large_a_photo, "UPLOAD_TOO_LARGE"), (large_text_named_like_a_video, "UNSUPPORTED_FORMAT")],
)
def test_a_refusal_reaches_the_caller_while_chunks_are_on_their_way(
    stack: Stack, client: Client, person: Person, send: Callable[[Client, str], None], reason: str
) -> None:
    before, videos = stored(stack), len(list(client.videos.list()))

    with pytest.raises(InvalidArgumentError) as caught:
        send(client, person.name)

    assert caught.value.reason_name == reason
    assert stored(stack) - before == set()
    assert len(list(client.videos.list())) == videos
    assert list(client.people.list_photos(person.name)) == []


class DiskPulledOutError(OSError):
    """The file cannot be read any further."""


def test_an_upload_that_stops_half_way_leaves_nothing(stack: Stack, client: Client, person: Person) -> None:
    before, videos = stored(stack), len(list(client.videos.list()))
    # As much as goes without being resumable (what is left of a resumable upload is there to go on from), and more than
    # the store buffers, so that some of it is on disk by then.
    film = b"\0\0\0\x18ftypmp42" + bytes(RESUMABLE_BYTES - MIB)

    def stop(sent: int, total: int) -> None:
        if sent > total / 2:
            raise DiskPulledOutError

    with pytest.raises(DiskPulledOutError):
        client.videos.upload(film, progress=stop)
    with pytest.raises(DiskPulledOutError):
        client.people.upload_photo(person.name, b"\xff\xd8\xff" + bytes(3 * MIB), progress=stop)

    deadline = time.monotonic() + WAIT_SECONDS
    while left := stored(stack) - before:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
    assert len(list(client.videos.list())) == videos
    assert list(client.people.list_photos(person.name)) == []


def test_a_photo_for_a_person_of_another_library_is_not_stored(stack: Stack, person: Person) -> None:
    before = stored(stack)

    with Client(state_dir=stack.state.root) as other, pytest.raises(NotFoundError):
        other.people.upload_photo(person.name, sample("obama.jpg"))

    assert stored(stack) - before == set()


def test_a_deadline_that_passes_is_said_so(stack: Stack, client: Client) -> None:
    hurried = Client(stack.address, library=client.library, api_key=client.configuration.api_key, timeout_seconds=0.001)

    with hurried, pytest.raises(DeadlineExceededError) as caught:
        hurried.search.identify(six_people())

    assert caught.value.reason_name == "DEADLINE_PASSED"
    assert len(client.search.identify(six_people()).faces) == 6


# What the tests look at.


def check_failure(failure: Failure, expected: str) -> None:
    """Programs get the reason, people a sentence that ends in what to do; no retry was tried, and none would help."""
    reason = FailureReason.Name(failure.reason).removeprefix("FAILURE_REASON_")
    assert re.fullmatch(rf"{expected}[^.]*\.", f"{reason}: {failure.message}")
    assert (failure.retryable, failure.attempts) == (False, 1)


def stored(stack: Stack) -> set[Path]:
    """Every file in the object store."""
    return {path for path in stack.state.folder("objects").rglob("*") if path.is_file()}


def blobs_of_work(stack: Stack, resource: str) -> list[Path]:
    """What workers have written for a resource and is still there."""
    lines = [json.loads(line) for line in stack.log("api_server").splitlines() if line.startswith("{")]
    items = {line["work_item"] for line in lines if line.get("resource") == resource and "work_item" in line}
    assert len(items) == 1
    return [path for path in stored(stack) if items & set(path.parts)]
