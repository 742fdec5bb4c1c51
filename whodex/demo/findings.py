"""All that the library says of the sample video, compared with the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whodex.cli.formats import RATES
from whodex.client import Client
from whodex.demo import library
from whodex.demo.cast import CAST, QUERIES, Member
from whodex.demo.comparison import Row, compare_person, compare_scenes
from whodex.demo.contact_sheet import Card, PersonSheet, Sheet
from whodex.demo.library import Evidence, SearchResult
from whodex.demo.steps import Advance
from whodex.demo.truth import Interval, TrueScene
from whodex.v1 import video_pb2
from whodex.v1.embedding_pb2 import Threshold

TOGETHER = ("biden", "obama")
"""Who is searched for in one scene."""


@dataclass(frozen=True, slots=True)
class PersonFinding:
    """What was found of one person.

    Attributes:
        member: the person.
        rows: beside the truth, scene by scene.
        result: what the search gave.
    """

    member: Member
    rows: Sequence[Row]
    result: SearchResult


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found, and what is wrong with it.

    Attributes:
        people: one by one.
        together: the scenes in which all of `TOGETHER` are.
        pictures: by file name, who was identified in them, and what is wrong with that.
        problems: what is wrong in all, a line each.
    """

    people: Sequence[PersonFinding]
    together: Sequence[Interval]
    pictures: Mapping[str, tuple[Sequence[tuple[str | None, float]], str]]
    problems: Sequence[str]

    @property
    def threshold(self) -> Threshold:
        """What similarities were compared with; the same for all."""
        return self.people[0].result.threshold


def gather(
    client: Client, video: video_pb2.Video, people: Mapping[str, str], truth: Sequence[TrueScene], advance: Advance
) -> Findings:
    """Ask for everybody, and compare.

    Args:
        client: of the library.
        video: the video, READY.
        people: resource names by the keys of the cast.
        truth: what the video shows.
        advance: is told how far it is.
    """
    found = []
    for number, member in enumerate(CAST, start=1):
        result = library.search(client, member.key, people[member.key], video)
        rows = compare_person(member.key, truth, [evidence.match for evidence in result.evidence])
        found.append(PersonFinding(member, rows, result))
        advance(number, len(CAST) + len(QUERIES))
    pictures = {}
    for number, (picture, expected) in enumerate(QUERIES.items(), start=len(CAST) + 1):
        faces = library.identify(client, picture, people)
        pictures[picture] = (faces, "" if [key for key, _ in faces] == list(expected) else "somebody else is there")
        advance(number, len(CAST) + len(QUERIES))
    together = library.search_together(client, [people[key] for key in TOGETHER], video)
    problems = [
        *_scene_problems(truth, library.list_spans(client, video)),
        *(_row_problem(finding.member, row) for finding in found for row in finding.rows if row.problem),
        *_together_problems(truth, together),
        *(f"{picture}: {problem}" for picture, (_, problem) in pictures.items() if problem),
    ]
    return Findings(found, together, pictures, problems)


def make_sheet(client: Client, video: video_pb2.Video, findings: Findings, advance: Advance) -> Sheet:
    """Fetch the pictures of the evidence.

    Args:
        client: of the library.
        video: the video.
        findings: what was found in it.
        advance: is told how far it is.
    """
    scenes = [
        (library.span_of(scene), client.contents.download(scene.thumbnail.name))
        for scene in client.videos.list_scenes(video.name)
    ]
    people = []
    for number, finding in enumerate(findings.people, start=1):
        cards = [_card(client, finding, evidence) for evidence in finding.result.evidence]
        member = finding.member
        people.append(PersonSheet(member.display_name, member.independent, finding.rows, cards))
        advance(number, len(findings.people))
    return Sheet(
        title=f"Who is in the {video.display_name.lower()}?",
        duration_s=video.duration.ToTimedelta().total_seconds(),
        threshold=findings.threshold.similarity,
        rate=RATES[findings.threshold.false_match_rate],
        scenes=scenes,
        people=people,
        problems=findings.problems,
    )


def _card(client: Client, finding: PersonFinding, evidence: Evidence) -> Card:
    row = next(row for row in finding.rows if evidence.match in row.matches)
    photo = client.people.get_photo(evidence.appearance.nearest_photo)
    best_shot = evidence.appearance.appearance.best_shots[0]
    return Card(
        title=row.scene.title,
        seen=evidence.match.seen,
        truth=row.truth,
        problem=row.problem,
        scene=client.contents.download(evidence.scene.thumbnail.name),
        best_shot=client.contents.download(best_shot.thumbnail.name),
        best_shot_s=best_shot.offset.ToTimedelta().total_seconds(),
        photo=client.contents.download(photo.thumbnail.name),
        photo_name=photo.file_name,
        similarity=evidence.match.similarity,
        photo_similarity=evidence.appearance.nearest_photo_similarity,
    )


def _scene_problems(truth: Sequence[TrueScene], found: Sequence[Interval]) -> list[str]:
    problem = compare_scenes(truth, found)
    return [problem] if problem else []


def _row_problem(member: Member, row: Row) -> str:
    return f"{member.display_name} in scene {row.scene_index} ({row.scene.title}): {row.problem}"


def _together_problems(truth: Sequence[TrueScene], found: Sequence[Interval]) -> list[str]:
    expected = [scene.span for scene in truth if all(scene.presence(person) for person in TOGETHER)]
    problem = compare_scenes([TrueScene("", span, ()) for span in expected], found)
    return [f"{' and '.join(TOGETHER)} together: {problem}"] if problem else []
