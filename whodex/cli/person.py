"""People and their reference photos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from whodex.cli.erasure import ReceiptOption, WaitOption, finish
from whodex.cli.formats import failure_reason, parse_box, resource_id, state_of, warning_kind
from whodex.cli.output import (
    Output,
    OutputOption,
    merge_pages,
    print_error,
    print_json,
    print_line,
    print_table,
    print_warning,
)
from whodex.cli.resources import find_person, photo_name
from whodex.cli.session import connect
from whodex.cli.transfers import upload_file, wait_progress
from whodex.client import Client
from whodex.errors import DeadlineExceededError, InvalidArgumentError
from whodex.v1.geometry_pb2 import Box
from whodex.v1.people_service_pb2 import (
    CreatePersonResponse,
    GetReferencePhotoResponse,
    ListPeopleResponse,
    RetryReferencePhotoResponse,
    UploadReferencePhotoResponse,
)
from whodex.v1.person_pb2 import Person, ReferencePhoto

app = typer.Typer(no_args_is_help=True, help="People and their reference photos.")

PersonArgument = Annotated[
    str, typer.Argument(metavar="PERSON", help="A name that only one person has, an id, or a resource name.")
]
ConfirmOption = Annotated[
    bool,
    typer.Option(
        "--confirm-same-person", help="It is this person, even if the face does not look like that of the other photos."
    ),
]
SettledOption = Annotated[bool, typer.Option("--wait", help="Until each photo is READY or FAILED.")]
PhotoResponse = UploadReferencePhotoResponse | RetryReferencePhotoResponse | GetReferencePhotoResponse
# The index follows within milliseconds, if it runs.
COMPARISON_SECONDS = 5.0
NOT_COMPARED = (
    "Not compared with the other people of the library yet, the index does not answer. "
    "`whodex person show` tells later; `whodex status` shows the indexer and the scheduler."
)
PEOPLE_COLUMNS = ("Name", "State", "#Ready photos", "Id")
PHOTO_COLUMNS = ("File", "State", "#Size", "#Face px", "#Sharpness", "#Score", "Id")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Up to 200 characters.")],
    description: Annotated[str, typer.Option(help="Free text.")] = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a person without photos."""
    with connect(context) as client:
        person = client.people.create(name, description=description)
    if output is Output.JSON:
        print_json(CreatePersonResponse(person=person))
    else:
        print_table(PEOPLE_COLUMNS, [_person_row(person)])


@app.command("list")
def list_people(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List people, oldest first."""
    with connect(context) as client:
        response = merge_pages(client.people.list().pages(), ListPeopleResponse())
    if output is Output.JSON:
        print_json(response)
    elif response.people:
        print_table(PEOPLE_COLUMNS, map(_person_row, response.people))
    else:
        print_line("Nobody yet. `whodex person create NAME` makes a person.")


@app.command()
def show(context: typer.Context, person: PersonArgument, output: OutputOption = Output.TABLE) -> None:
    """Show a person and their photos."""
    with connect(context) as client:
        name = find_person(client, person).name
        # The first state of a watch: the person and all the photos, as of one moment.
        with closing(client.people.watch(name)) as states:
            state = next(states)
    if output is Output.JSON:
        print_json(state)
        return
    print_table(PEOPLE_COLUMNS, [_person_row(state.person)])
    if state.person.description:
        print_line(state.person.description)
    if state.photos:
        print_table(PHOTO_COLUMNS, map(_photo_row, state.photos))
    for photo in _failed(state.photos):
        print_line(f"{photo.file_name}: {photo.failure.message} [{failure_reason(photo.failure)}]")
    for photo in state.photos:
        for sentence, kind in _warnings(photo):
            print_line(f"{sentence} [{kind}]")


@app.command()
def delete(
    context: typer.Context,
    person: PersonArgument,
    output: OutputOption = Output.TABLE,
    *,
    wait: WaitOption = False,
    receipt: ReceiptOption = None,
) -> None:
    """Delete a person, their photos and embeddings."""
    with connect(context) as client:
        found = find_person(client, person)
        response = client.people.delete(found.name)
        erasure = finish(client, response.erasure, receipt, wait=wait)
    if output is Output.JSON:
        print_json(response)
    else:
        print_line(f"Deleted {found.display_name} ({resource_id(found.name)}). {erasure}")


@app.command("add-photo")
def add_photo(  # noqa: PLR0913 - each is an argument of the command line
    context: typer.Context,
    person: PersonArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    face_box: Annotated[
        Box | None,
        typer.Option(
            parser=parse_box,
            metavar="LEFT,TOP,RIGHT,BOTTOM",
            help="Which face, when a photo shows several; `whodex identify` prints the boxes.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
    *,
    confirm_same_person: ConfirmOption = False,
    wait: SettledOption = False,
) -> None:
    """Upload photos that show a person's face: JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP or GIF, up to 32 MiB each."""
    if face_box and len(files) > 1:
        raise typer.BadParameter("a box belongs to one photo: give one FILE with it", param_hint="--face-box")
    with connect(context) as client:
        name = find_person(client, person).name
        photos = [
            photo
            for file in files
            if (photo := _upload(client, name, file, face_box, confirm_same_person=confirm_same_person))
        ]
        if wait:
            photos = _wait(client, photos)
    response = GetReferencePhotoResponse if wait else UploadReferencePhotoResponse
    _print_photos([response(photo=photo) for photo in photos], output)
    if len(photos) < len(files) or _failed(photos):
        raise typer.Exit(1)


@app.command("retry-photo")
def retry_photo(  # noqa: PLR0913 - each is an argument of the command line
    context: typer.Context,
    person: PersonArgument,
    photos: Annotated[list[str], typer.Argument(metavar="PHOTO", help="An id or a resource name.")],
    output: OutputOption = Output.TABLE,
    *,
    confirm_same_person: ConfirmOption = False,
    wait: SettledOption = False,
) -> None:
    """Process FAILED photos again; `whodex person show` lists them."""
    with connect(context) as client:
        name = find_person(client, person).name
        names = [photo_name(name, photo) for photo in photos]
        retried_photos = [client.people.retry_photo(one, confirm_same_person=confirm_same_person) for one in names]
        if wait:
            retried_photos = _wait(client, retried_photos)
    response = GetReferencePhotoResponse if wait else RetryReferencePhotoResponse
    _print_photos([response(photo=photo) for photo in retried_photos], output)
    if _failed(retried_photos):
        raise typer.Exit(1)


def _print_photos(responses: Sequence[PhotoResponse], output: Output) -> None:
    """Prints photos, and what is to be said about them on standard error."""
    photos = [response.photo for response in responses]
    if output is Output.JSON:
        for response in responses:
            print_json(response)
    elif photos:
        print_table(PHOTO_COLUMNS, map(_photo_row, photos))
    for photo in photos:
        for sentence, kind in _warnings(photo):
            print_warning(sentence, kind)
    for photo in _failed(photos):
        print_error(f"{photo.file_name}: {photo.failure.message}", failure_reason(photo.failure))


def _upload(
    client: Client, person: str, file: Path, face_box: Box | None, *, confirm_same_person: bool
) -> ReferencePhoto | None:
    """None when the server refuses this file: the others are uploaded all the same."""
    try:
        return upload_file(
            f"{person} {face_box} {confirm_same_person}",
            file,
            lambda options: client.people.upload_photo(
                person, file, face_box=face_box, confirm_same_person=confirm_same_person, **options
            ),
        )
    except InvalidArgumentError as error:
        print_error(f"{file}: {error.message}", error.reason_name)
        return None


def _wait(client: Client, photos: Sequence[ReferencePhoto]) -> list[ReferencePhoto]:
    settled: list[ReferencePhoto] = []
    with wait_progress("Processing") as progress:
        for photo in photos:
            progress(len(settled), len(photos))
            settled.append(_compared(client, client.people.wait_for_photo(photo.name)))
    return settled


def _compared(client: Client, photo: ReferencePhoto) -> ReferencePhoto:
    """The photo with what the comparison with other people has found, unless that takes too long."""
    try:
        return client.people.wait_for_comparison(photo.name, timeout_seconds=COMPARISON_SECONDS)
    except DeadlineExceededError:
        return photo


def _warnings(photo: ReferencePhoto) -> list[tuple[str, str]]:
    """Each a sentence and its kind."""
    warnings = [(warning.message, warning_kind(warning)) for warning in photo.warnings]
    if photo.state == ReferencePhoto.STATE_READY and not photo.look_alikes_checked:
        warnings.append((NOT_COMPARED, "LOOK_ALIKES_NOT_CHECKED"))
    return [(f"{photo.file_name}: {message}", kind) for message, kind in warnings]


def _failed(photos: Iterable[ReferencePhoto]) -> list[ReferencePhoto]:
    return [photo for photo in photos if photo.state == ReferencePhoto.STATE_FAILED]


def _person_row(person: Person) -> tuple[str, ...]:
    return (
        person.display_name,
        state_of(person),
        f"{person.ready_photo_count} of {person.photo_count}",
        resource_id(person.name),
    )


def _photo_row(photo: ReferencePhoto) -> tuple[str, ...]:
    quality = photo.quality
    measured = photo.HasField("quality")
    return (
        photo.file_name,
        state_of(photo),
        f"{photo.width}x{photo.height}" if photo.width else "",
        f"{quality.face_size_px:.0f}" if measured else "",
        f"{quality.sharpness:.1f}" if measured else "",
        f"{quality.detection_score:.3f}" if measured else "",
        resource_id(photo.name),
    )
