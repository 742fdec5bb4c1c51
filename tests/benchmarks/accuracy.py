"""`make bench-accuracy DATA=FOLDER`: who is recognised, and who is taken for somebody else.

FOLDER holds a folder of photographs for each person, at least 4 of them. The first 3, by name, are enrolled, the others
are identified, through the real stack. As in Labeled Faces in the Wild, a photograph shows the person in its middle;
other people in it do not count.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from inference.faces.decode import decode_image
from tests.benchmarks.face_recognition import accuracy as peer
from tests.benchmarks.report import Row, publish
from tests.benchmarks.stack import client_of, running_stack
from whodex import Client
from whodex.v1.embedding_pb2 import FALSE_MATCH_RATE_ONE_IN_1000, Threshold
from whodex.v1.geometry_pb2 import Box
from whodex.v1.person_pb2 import Person, ReferencePhoto
from whodex.v1.search_service_pb2 import IdentifiedFace

ENROLLED_PER_PERSON = 3
MOST_CANDIDATES = 100
FALSE_MATCH_RATE = 1e-3
RANK1_TARGET = 0.99
FALSE_MATCHES_TARGET = 5
"""Times the number that the rate promises: 3 of 630 comparisons, where chance gives more once in 250 runs."""
MIDDLE = (0.3, 0.25, 0.7, 0.75)
"""Where the person's face is in a photograph, as shares of its width and height: left, top, right, bottom."""


@dataclass(frozen=True)
class Identification:
    """What was said of one photograph.

    Attributes:
        photo: the file.
        person: who it shows.
        similarities: to each person of the library, by display name; empty when no face was found.
    """

    photo: Path
    person: str
    similarities: Mapping[str, float]

    @property
    def first(self) -> str | None:
        """Who is most similar."""
        return max(self.similarities, key=self.similarities.__getitem__, default=None)

    @property
    def others(self) -> list[float]:
        """The similarities to the other people."""
        return [similarity for name, similarity in self.similarities.items() if name != self.person]


def main() -> None:
    """Enrols and identifies on a stack of its own."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.accuracy", description=__doc__)
    parser.add_argument("data", type=Path, help="a folder with a folder of photographs for each person")
    photos = photos_by_person(parser.parse_args().data)
    references = {name: files[:ENROLLED_PER_PERSON] for name, files in photos.items()}
    probes = {name: files[ENROLLED_PER_PERSON:] for name, files in photos.items()}
    with running_stack() as state, client_of(state) as client:
        people, refused = enrol(client, references)
        found, threshold = identify(client, people, probes)
    publish("accuracy", [*rows(found, threshold, refused), *peer.measure(references, probes)])


def photos_by_person(data: Path) -> dict[str, list[Path]]:
    """The photographs by person, both in the order of their names.

    Raises:
        SystemExit: a person has too few, or there is nobody.
    """
    folders = sorted(entry for entry in data.iterdir() if entry.is_dir()) if data.is_dir() else []
    photos = {folder.name: sorted(folder.glob("*.jpg")) for folder in folders}
    if not photos or min(len(files) for files in photos.values()) <= ENROLLED_PER_PERSON:
        raise SystemExit(f"{data} must hold folders with more than {ENROLLED_PER_PERSON} .jpg photographs each.")
    return photos


def enrol(client: Client, photos: Mapping[str, Sequence[Path]]) -> tuple[list[Person], list[str]]:
    """Uploads the photographs and waits for all of them.

    Returns:
        The people, and a sentence for each photograph that was refused.
    """
    people = [client.people.create(name) for name in photos]
    uploaded = [
        client.people.upload_photo(person.name, file, face_box=middle_of(file))
        for person in people
        for file in photos[person.display_name]
    ]
    settled = [client.people.wait_for_photo(photo.name) for photo in uploaded]
    refused = [
        f"{photo.file_name}: {photo.failure.message}" for photo in settled if photo.state == ReferencePhoto.STATE_FAILED
    ]
    return [client.people.get(person.name) for person in people], refused


def identify(
    client: Client, people: Sequence[Person], photos: Mapping[str, Sequence[Path]]
) -> tuple[list[Identification], Threshold]:
    """Identifies the photographs once the index knows everybody."""
    any_photo = next(iter(photos.values()))[0].read_bytes()
    for person in people:
        known = client.search.identify(any_photo, consistency_token=person.consistency_token)
    found = [_identify(client, name, file) for name, files in photos.items() for file in files]
    return found, known.threshold


def _identify(client: Client, person: str, file: Path) -> Identification:
    response = client.search.identify(
        file.read_bytes(), false_match_rate=FALSE_MATCH_RATE_ONE_IN_1000, max_candidates=MOST_CANDIDATES
    )
    face = _in_the_middle(response.faces, file)
    candidates = face.candidates if face else ()
    return Identification(file, person, {one.person.display_name: one.similarity for one in candidates})


def _in_the_middle(faces: Sequence[IdentifiedFace], file: Path) -> IdentifiedFace | None:
    middle = middle_of(file)

    def distance(face: IdentifiedFace) -> float:
        return abs(face.box.left + face.box.right - middle.left - middle.right) + abs(
            face.box.top + face.box.bottom - middle.top - middle.bottom
        )

    return min(faces, key=distance, default=None)


def middle_of(file: Path) -> Box:
    """The box where a photograph shows its person."""
    image = decode_image(file.read_bytes())
    left, top, right, bottom = MIDDLE
    return Box(left=left * image.width, top=top * image.height, right=right * image.width, bottom=bottom * image.height)


def rows(found: Sequence[Identification], threshold: Threshold, refused: Sequence[str]) -> list[Row]:
    """The figures of a run."""
    right = sum(one.first == one.person for one in found)
    recognised = sum(one.similarities.get(one.person, -1) >= threshold.similarity for one in found)
    others = [similarity for one in found for similarity in one.others]
    false_matches = sum(similarity >= threshold.similarity for similarity in others)
    allowed = round(FALSE_MATCHES_TARGET * FALSE_MATCH_RATE * len(others))
    wrong = [str(one.photo.name) for one in found if one.first != one.person]
    return [
        Row(
            "rank1",
            right / len(found),
            "share",
            target=f"at least {RANK1_TARGET}",
            ok=right / len(found) >= RANK1_TARGET and not refused,
            note="; ".join([f"{right} of {len(found)} photographs", *wrong, *refused]),
        ),
        Row(
            "false_matches",
            false_matches,
            "comparisons",
            reference=FALSE_MATCH_RATE * len(others),
            target=f"at most {allowed}",
            ok=false_matches <= allowed,
            note=f"of {len(others)} with other people, at the manifest's threshold {threshold.similarity:.3f}"
            f" for FMR 1e-3; most similar {max(others, default=-1):.3f}",
        ),
        Row(
            "true_matches",
            recognised / len(found),
            "share",
            note=f"{recognised} of {len(found)} at the same threshold; least similar"
            f" {min(one.similarities.get(one.person, -1) for one in found):.3f}",
        ),
    ]


if __name__ == "__main__":
    main()
