"""In which scenes is somebody, and who is in a picture?"""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from whodex.cli.formats import RATES, corners, offset, threshold_line
from whodex.cli.output import Output, OutputOption, merge_pages, print_json, print_line, print_table
from whodex.cli.resources import find_person
from whodex.cli.session import connect
from whodex.v1.embedding_pb2 import FalseMatchRate
from whodex.v1.person_pb2 import Person
from whodex.v1.search_service_pb2 import (
    IdentifiedFace,
    PersonCandidate,
    PersonInScene,
    SceneMatch,
    SearchScenesResponse,
    VerifyFacesResponse,
)


class Rate(enum.StrEnum):
    """A false match rate as it is written on the command line."""

    ONE_IN_100 = "1e-2"
    ONE_IN_1000 = "1e-3"
    ONE_IN_10000 = "1e-4"
    ONE_IN_100000 = "1e-5"

    def to_proto(self) -> FalseMatchRate.ValueType:
        """The same rate in the contract."""
        return next(rate for rate, text in RATES.items() if text == self.value)


RateOption = Annotated[
    Rate,
    typer.Option(
        "--false-match-rate", help="How often two different people may be taken for one: names the threshold."
    ),
]
FACE_COLUMNS = ("#Face", "Box", "Verdict", "Candidates (* matches)")


def search(
    context: typer.Context,
    all_of: Annotated[
        list[str],
        typer.Option("--all-of", metavar="PERSON", help="Somebody who must appear; give it again for each person."),
    ],
    false_match_rate: RateOption = Rate.ONE_IN_1000,
    output: OutputOption = Output.TABLE,
) -> None:
    """Find every scene in which all of the people appear."""
    with connect(context) as client:
        people = [find_person(client, who) for who in all_of]
        matches = client.search.scenes(
            [person.name for person in people],
            false_match_rate=false_match_rate.to_proto(),
        )
        response = merge_pages(matches.pages(), SearchScenesResponse())
    if output is Output.JSON:
        print_json(response)
    else:
        _print_matches(people, response)


def identify(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(metavar="IMAGE", exists=True, dir_okay=False, readable=True)],
    false_match_rate: RateOption = Rate.ONE_IN_1000,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say of each face in a picture who of the library it is, or that it is nobody."""
    with connect(context) as client:
        response = client.search.identify(image.read_bytes(), false_match_rate=false_match_rate.to_proto())
    if output is Output.JSON:
        print_json(response)
    elif response.faces:
        print_table(FACE_COLUMNS, (_face_row(number, face) for number, face in enumerate(response.faces, 1)))
        print_line(threshold_line(response.threshold))
    else:
        print_line("No face was found.")


def verify(
    context: typer.Context,
    first: Annotated[Path, typer.Argument(metavar="A", exists=True, dir_okay=False, readable=True)],
    second: Annotated[Path, typer.Argument(metavar="B", exists=True, dir_okay=False, readable=True)],
    false_match_rate: RateOption = Rate.ONE_IN_1000,
    output: OutputOption = Output.TABLE,
) -> None:
    """Say whether two pictures, with one face each, show the same person."""
    with connect(context) as client:
        response = client.search.verify(
            first.read_bytes(), second.read_bytes(), false_match_rate=false_match_rate.to_proto()
        )
    if output is Output.JSON:
        print_json(response)
        return
    verdict = VerifyFacesResponse.Verdict.Name(response.verdict).removeprefix("VERDICT_")
    print_line(f"{verdict}: similarity {response.similarity:.3f}. {threshold_line(response.threshold)}")


def _print_matches(people: list[Person], response: SearchScenesResponse) -> None:
    names = [person.display_name for person in people]
    if response.matches:
        print_table(("Video", "#Scene", "#From", "#To", *names), map(_match_row, response.matches))
    else:
        print_line(f"No scene shows {' and '.join(names)}{' together' if len(names) > 1 else ''}.")
    print_line(threshold_line(response.threshold))


def _match_row(match: SceneMatch) -> tuple[str, ...]:
    scene = match.scene
    return (
        match.video_display_name,
        str(scene.index),
        offset(scene.start_offset),
        offset(scene.end_offset),
        *map(_evidence, match.people),
    )


def _evidence(person: PersonInScene) -> str:
    """The most similar appearance and when it is seen."""
    best = person.appearances[0]
    span = f"{offset(best.appearance.start_offset)}-{offset(best.appearance.end_offset)}"
    more = f" +{len(person.appearances) - 1}" if len(person.appearances) > 1 else ""
    return f"{best.similarity:.3f} at {span}{more}"


def _face_row(number: int, face: IdentifiedFace) -> tuple[str, ...]:
    verdict = IdentifiedFace.Verdict.Name(face.verdict).removeprefix("VERDICT_")
    return (str(number), corners(face.box), verdict, "; ".join(map(_candidate, face.candidates)))


def _candidate(candidate: PersonCandidate) -> str:
    return f"{candidate.person.display_name} {candidate.similarity:.3f}{' *' if candidate.matches else ''}"
