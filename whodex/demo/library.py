"""Fills a library with the cast and the video, and asks it who is where: the demo as a user of the client."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whodex.client import Client
from whodex.demo.cast import Member
from whodex.demo.comparison import Match
from whodex.demo.errors import DemoError
from whodex.demo.geometry import Box
from whodex.demo.render import SampleVideo
from whodex.demo.samples import sample
from whodex.demo.steps import Advance
from whodex.demo.truth import Interval
from whodex.v1 import embedding_pb2, geometry_pb2, person_pb2, search_service_pb2, video_pb2

WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """An appearance that was found, with what shows that it is right.

    Attributes:
        match: who and when.
        scene: the scene it lies in.
        appearance: the match as the search gave it.
    """

    match: Match
    scene: video_pb2.Scene
    appearance: search_service_pb2.AppearanceMatch


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What the search for one person gave.

    Attributes:
        evidence: in order of time.
        threshold: what a similarity was compared with.
    """

    evidence: tuple[Evidence, ...]
    threshold: embedding_pb2.Threshold


def enrol(client: Client, cast: tuple[Member, ...], advance: Advance) -> dict[str, str]:
    """Create the people and upload their photos.

    Returns:
        The resource name of each by the key of the cast.
    """
    total = sum(len(member.photos) for member in cast)
    done = 0
    people = {}
    for member in cast:
        person = client.people.create(member.display_name)
        people[member.key] = person.name
        for photo in member.photos:
            client.people.upload_photo(person.name, sample(photo.sample), face_box=_to_proto(photo.face))
            done += 1
            advance(done, total)
    return people


def wait_for_people(client: Client, people: Mapping[str, str], advance: Advance) -> None:
    """Wait until every photo is READY.

    Raises:
        DemoError: one is FAILED.
    """
    for done, person in enumerate(people.values(), start=1):
        state = client.people.wait_for_person(person, timeout_seconds=WAIT_SECONDS)
        for photo in state.photos:
            if photo.state != person_pb2.ReferencePhoto.STATE_READY:
                raise DemoError(f"{state.person.display_name}, {photo.file_name}: {photo.failure.message}")
        advance(done, len(people))


def upload_video(client: Client, video: SampleVideo, advance: Advance) -> str:
    """Upload the video; returns its resource name."""
    return client.videos.upload(video.path, display_name="Sample video", progress=advance).name


def wait_for_video(client: Client, name: str, advance: Advance) -> video_pb2.Video:
    """Wait until the video is READY.

    Raises:
        DemoError: it is FAILED.
    """

    def show(video: video_pb2.Video) -> None:
        advance(video.progress, 1.0)

    video = client.videos.wait_for_video(name, timeout_seconds=WAIT_SECONDS, on_change=show)
    if video.state != video_pb2.Video.STATE_READY:
        raise DemoError(f"The video failed: {video.failure.message}")
    return video


def list_spans(client: Client, video: video_pb2.Video) -> list[Interval]:
    """The scenes of a video in order of time."""
    return [span_of(scene) for scene in client.videos.list_scenes(video.name)]


def search(client: Client, key: str, person: str, video: video_pb2.Video) -> SearchResult:
    """Find a person in the video.

    Args:
        client: of the library.
        key: the person's key in the cast.
        person: the person's resource name.
        video: the search sees it as this state of it does.
    """
    pages = list(client.search.scenes([person], consistency_token=video.consistency_token).pages())
    evidence = [
        Evidence(Match(key, _seen(found.appearance), found.similarity), match.scene, found)
        for page in pages
        for match in page.matches
        for found in match.people[0].appearances
    ]
    return SearchResult(tuple(sorted(evidence, key=lambda one: one.match.seen.start_s)), pages[0].threshold)


def search_together(client: Client, people: list[str], video: video_pb2.Video) -> list[Interval]:
    """The scenes in which all of the people appear, in order of time."""
    return [span_of(match.scene) for match in client.search.scenes(people, consistency_token=video.consistency_token)]


def identify(client: Client, picture: str, people: Mapping[str, str]) -> list[tuple[str | None, float]]:
    """Say who is in a sample picture.

    Returns:
        For each face, the largest first, the key of the cast, or None for somebody unknown, and the similarity
        to the most similar person.
    """
    keys = {name: key for key, name in people.items()}
    response = client.search.identify(sample(picture).read_bytes())
    known = search_service_pb2.IdentifiedFace.VERDICT_KNOWN
    return [
        (keys[face.candidates[0].person.name] if face.verdict == known else None, face.candidates[0].similarity)
        for face in response.faces
    ]


def _to_proto(box: Box | None) -> geometry_pb2.Box | None:
    if box is None:
        return None
    return geometry_pb2.Box(left=box.left, top=box.top, right=box.right, bottom=box.bottom)


def span_of(scene: video_pb2.Scene) -> Interval:
    """From when to when a scene lasts."""
    return Interval(scene.start_offset.ToTimedelta().total_seconds(), scene.end_offset.ToTimedelta().total_seconds())


def _seen(appearance: video_pb2.Appearance) -> Interval:
    return Interval(
        appearance.start_offset.ToTimedelta().total_seconds(), appearance.end_offset.ToTimedelta().total_seconds()
    )
