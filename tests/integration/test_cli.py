"""The command line in processes of its own, against every real part."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from PIL import Image

from whodex.client import Client
from whodex.demo.samples import pull_samples, sample
from whodex.runtime.tasks import declared_tasks

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

Run = Callable[..., subprocess.CompletedProcess[str]]

FRAME_RATE = 25


@pytest.fixture(scope="module")
def whodex(stack: Stack) -> Iterator[Run]:
    """Runs commands in a library of this module's own, found by its key in the environment as a user would set it."""
    with Client(state_dir=stack.state.root) as client, pytest.MonkeyPatch.context() as environment:
        library = client.libraries.create("command line").name
        environment.setenv("WHODEX_LIBRARY", library)
        environment.setenv("WHODEX_API_KEY", client.libraries.create_key(library, "tests").secret)
        yield stack.whodex
        client.libraries.delete(library, force=True)


@pytest.fixture(scope="module")
def obama(whodex: Run) -> str:
    """The display name of somebody who is READY."""
    pull_samples()
    assert whodex("person", "create", "Barack Obama").returncode == 0
    photos = [sample("obama.jpg"), sample("obama2.jpg")]
    added = whodex("person", "add-photo", "Barack Obama", *photos, "--wait")
    assert added.returncode == 0, added.stderr
    return "Barack Obama"


@pytest.fixture(scope="module")
def video(whodex: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A READY video of two scenes: two seconds of Obama, then two seconds of Biden."""
    pull_samples()
    path = tmp_path_factory.mktemp("video") / "two-presidents.mp4"
    _render(path, [sample("obama3.jpg"), sample("biden.jpg")])
    added = whodex("video", "add", path, "--wait", "--output", "json")
    assert added.returncode == 0, added.stderr
    found: dict[str, Any] = json.loads(added.stdout)["video"]
    return found


def _render(path: Path, pictures: list[Path], seconds_each: int = 2) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FRAME_RATE, width=640, height=480, pix_fmt="yuv420p")
        for number in range(len(pictures) * seconds_each * FRAME_RATE):
            picture = pictures[number // (seconds_each * FRAME_RATE)]
            frame = av.VideoFrame.from_ndarray(_frame(picture), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _frame(picture: Path) -> np.ndarray:
    with Image.open(picture) as opened:
        return np.asarray(opened.convert("RGB").resize((640, 480)))


def test_a_person_is_created_listed_shown_and_deleted(whodex: Run) -> None:
    created = json.loads(whodex("person", "create", "Grace Hopper", "--output", "json").stdout)["person"]
    assert created["state"] == "STATE_NEEDS_PHOTOS"

    listed = json.loads(whodex("person", "list", "-o", "json").stdout)["people"]
    assert created["name"] in [person["name"] for person in listed]

    shown = json.loads(whodex("person", "show", "Grace Hopper", "-o", "json").stdout)
    assert (shown["person"]["name"], shown["photos"]) == (created["name"], [])

    assert whodex("person", "delete", created["name"]).returncode == 0
    gone = whodex("person", "show", created["name"])
    assert gone.returncode == 1
    assert "[RESOURCE_NOT_FOUND]" in gone.stderr


def test_a_shared_name_has_to_be_told_apart(whodex: Run) -> None:
    twins = [json.loads(whodex("person", "create", "Twin", "-o", "json").stdout)["person"]["name"] for _ in range(2)]

    result = whodex("person", "show", "Twin")

    assert result.returncode == 1
    assert "[AMBIGUOUS_NAME]" in result.stderr
    for name in twins:
        assert name.rpartition("/")[2] in result.stderr
        assert whodex("person", "show", name.rpartition("/")[2]).returncode == 0


def test_photos_show_their_measured_quality(whodex: Run, obama: str) -> None:
    photos = json.loads(whodex("person", "show", obama, "-o", "json").stdout)["photos"]

    assert [photo["state"] for photo in photos] == ["STATE_READY", "STATE_READY"]
    for number in ("faceSizePx", "sharpness", "detectionScore"):
        first, second = (photo["quality"][number] for photo in photos)
        assert first > 0
        assert first != second


def test_a_photo_that_fails_says_why_and_the_other_one_counts(whodex: Run) -> None:
    pull_samples()
    whodex("person", "create", "Some Player")

    result = whodex("person", "add-photo", "Some Player", sample("t1.jpg"), sample("Tom_Hanks_54745.png"), "--wait")

    assert result.returncode == 1
    assert re.search(r"error: t1\.jpg: .+ \[SEVERAL_FACES\]", result.stderr)
    person = json.loads(whodex("person", "show", "Some Player", "-o", "json").stdout)["person"]
    assert (person["photoCount"], person["readyPhotoCount"]) == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [("empty.jpg", b"", "UPLOAD_EMPTY"), ("letter.jpg", b"Dear Sir or Madam,\n", "UNSUPPORTED_FORMAT")],
)
def test_a_file_that_is_no_photo_is_refused_and_leaves_nothing(
    whodex: Run, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    person = json.loads(whodex("person", "create", name, "-o", "json").stdout)["person"]["name"]
    file = tmp_path / name
    file.write_bytes(content)

    result = whodex("person", "add-photo", person, file, "--wait")

    assert result.returncode == 1
    assert f"[{reason}]" in result.stderr
    assert "Traceback" not in result.stderr
    assert json.loads(whodex("person", "show", person, "-o", "json").stdout)["photos"] == []


def test_a_video_that_is_none_fails_with_a_sentence(whodex: Run, tmp_path: Path) -> None:
    file = tmp_path / "broken.mp4"
    file.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(1000))

    result = whodex("video", "add", file, "--wait")

    assert result.returncode == 1
    assert re.search(r"error: broken\.mp4: .+ \[UNREADABLE_VIDEO\]", result.stderr)


def test_a_video_is_listed_and_shown_with_its_scenes(whodex: Run, video: dict[str, Any]) -> None:
    identifier = video["name"].rpartition("/")[2]

    assert video["state"] == "STATE_READY"
    assert identifier in whodex("video", "list").stdout
    shown = whodex("video", "show", identifier).stdout
    assert "0:02.0" in shown
    assert video["sceneCount"] == 2


def test_a_search_finds_the_scene_of_the_person_and_no_other(whodex: Run, obama: str, video: dict[str, Any]) -> None:
    found = json.loads(whodex("search", "--all-of", obama, "-o", "json").stdout)

    assert [(match["video"], match["scene"]["index"]) for match in found["matches"]] == [(video["name"], 0)]
    best = found["matches"][0]["people"][0]["appearances"][0]
    assert best["similarity"] >= found["threshold"]["similarity"]
    table = whodex("search", "--all-of", obama).stdout
    assert "two-presidents.mp4" in table
    assert "A match is a similarity of at least" in table


def test_a_search_for_somebody_without_photos_says_what_is_missing(whodex: Run) -> None:
    whodex("person", "create", "Nobody Yet")

    result = whodex("search", "--all-of", "Nobody Yet")

    assert (result.returncode, result.stdout) == (1, "")
    assert "[PERSON_NOT_READY]" in result.stderr


def test_identify_tells_who_is_known_and_who_is_not(whodex: Run, obama: str) -> None:
    known = json.loads(whodex("identify", sample("obama3.jpg"), "-o", "json").stdout)["faces"]
    unknown = json.loads(whodex("identify", sample("biden.jpg"), "-o", "json").stdout)["faces"]

    assert [face["verdict"] for face in known] == ["VERDICT_KNOWN"]
    assert known[0]["candidates"][0]["person"]["displayName"] == obama
    assert [face["verdict"] for face in unknown] == ["VERDICT_UNKNOWN"]


def test_verify_compares_two_pictures(whodex: Run) -> None:
    pull_samples()

    assert whodex("verify", sample("obama.jpg"), sample("obama3.jpg")).stdout.startswith("SAME_PERSON: ")
    assert whodex("verify", sample("obama.jpg"), sample("biden.jpg")).stdout.startswith("DIFFERENT_PEOPLE: ")
    several = whodex("verify", sample("obama.jpg"), sample("t1.jpg"))
    assert several.returncode == 1
    assert "[SEVERAL_FACES]" in several.stderr


def test_a_revoked_key_opens_nothing(stack: Stack, whodex: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    created = json.loads(whodex("key", "create", "short-lived", "-o", "json").stdout)
    monkeypatch.setenv("WHODEX_API_KEY", created["secret"])
    assert stack.whodex("person", "list").returncode == 0

    assert whodex("key", "revoke", created["apiKey"]["name"]).returncode == 0

    refused = stack.whodex("person", "list")
    assert refused.returncode == 1
    assert "[CREDENTIALS_INVALID]" in refused.stderr


def test_a_library_is_created_listed_and_deleted(whodex: Run) -> None:
    library = json.loads(whodex("library", "create", "Short-lived", "-o", "json").stdout)["library"]["name"]

    assert library.rpartition("/")[2] in whodex("library", "list").stdout
    assert whodex("library", "delete", library).returncode == 0
    assert library.rpartition("/")[2] not in whodex("library", "list").stdout


def test_the_doctor_finds_nothing_wrong(whodex: Run) -> None:
    result = whodex("doctor")

    assert result.returncode == 0, result.stdout
    assert all(task in result.stdout for task in declared_tasks())
    # The workers and the face analysis of the stack share a machine.
    assert result.stdout.count(f"decoders on {socket.gethostname()}: locked down") == 1


def test_the_smoke_test_runs_every_declared_task(whodex: Run) -> None:
    result = whodex("smoke", "--output", "json")

    outcomes = [json.loads(line) for line in result.stdout.splitlines()]
    assert {outcome["task"] for outcome in outcomes} == set(declared_tasks())
    assert all(outcome["passed"] for outcome in outcomes), outcomes
    assert result.returncode == 0
