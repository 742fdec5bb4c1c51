"""Libraries; to create, list, limit or delete them takes the admin key."""

from __future__ import annotations

from typing import Annotated

import typer

from whodex.cli.erasure import ReceiptOption, WaitOption, finish
from whodex.cli.errors import CommandError
from whodex.cli.formats import moment, resource_id
from whodex.cli.limits import LIMIT_COLUMNS, limit_rows, parse_limits
from whodex.cli.output import Output, OutputOption, merge_pages, print_json, print_line, print_table
from whodex.cli.resources import library_name
from whodex.cli.session import connect
from whodex.v1.library_pb2 import Library, RetentionPolicy
from whodex.v1.library_service_pb2 import (
    CreateLibraryResponse,
    GetLibraryResponse,
    ListLibrariesResponse,
    UpdateLibraryLimitsResponse,
    UpdateLibraryResponse,
)

app = typer.Typer(no_args_is_help=True, help="Libraries: each sees nothing of the others. Needs the admin key.")

COLUMNS = ("Name", "Created", "Id")
DaysOption = Annotated[int | None, typer.Option(min=0, max=36500, help="0: until deleted.")]


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Up to 200 characters.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Create an empty library. `whodex key create` then makes a key that opens it."""
    with connect(context) as client:
        library = client.libraries.create(name)
    if output is Output.JSON:
        print_json(CreateLibraryResponse(library=library))
    else:
        print_table(COLUMNS, [_row(library)])


@app.command("list")
def list_libraries(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List libraries, oldest first."""
    with connect(context) as client:
        response = merge_pages(client.libraries.list().pages(), ListLibrariesResponse())
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, map(_row, response.libraries))


@app.command()
def show(
    context: typer.Context,
    library: Annotated[str | None, typer.Argument(metavar="LIBRARY", help="Default: the one that is used.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show what a library holds, and what it may."""
    with connect(context) as client:
        found = client.libraries.get(library_name(library) if library else client.library)
    if output is Output.JSON:
        print_json(GetLibraryResponse(library=found))
    else:
        print_table(COLUMNS, [_row(found)])
        print_table(LIMIT_COLUMNS, limit_rows(found))


@app.command()
def limit(  # noqa: PLR0913 - an option for each limit
    context: typer.Context,
    library: Annotated[str, typer.Argument(metavar="LIBRARY", help="Id or resource name.")],
    *,
    stored: Annotated[str | None, typer.Option(metavar="BYTES", help="For example 500GiB.")] = None,
    people: Annotated[str | None, typer.Option(metavar="NUMBER")] = None,
    requests_per_second: Annotated[str | None, typer.Option(metavar="NUMBER", help="On each instance.")] = None,
    request_burst: Annotated[str | None, typer.Option(metavar="NUMBER", help="At once, after a pause.")] = None,
    concurrent_calls: Annotated[str | None, typer.Option(metavar="NUMBER", help="On each instance.")] = None,
    concurrent_streams: Annotated[str | None, typer.Option(metavar="NUMBER", help="On each instance.")] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Set limits of a library; `default` for a value takes the deployment's default again."""
    given = {
        "stored_bytes": stored,
        "people": people,
        "requests_per_second": requests_per_second,
        "request_burst": request_burst,
        "concurrent_calls": concurrent_calls,
        "concurrent_streams": concurrent_streams,
    }
    named = {name: text for name, text in given.items() if text is not None}
    if not named:
        raise CommandError("No limit is named: `whodex library limit --help` lists them.")
    limits = parse_limits(named)
    with connect(context) as client:
        found = client.libraries.update_limits(library_name(library), limits, named)
    if output is Output.JSON:
        print_json(UpdateLibraryLimitsResponse(library=found))
    else:
        print_table(LIMIT_COLUMNS, limit_rows(found))


@app.command()
def retention(  # noqa: PLR0913 - each is an argument of the command line
    context: typer.Context,
    library: Annotated[str, typer.Argument(metavar="LIBRARY", help="Id or resource name.")],
    output: OutputOption = Output.TABLE,
    *,
    video_days: DaysOption = None,
    photo_days: DaysOption = None,
    audit_days: DaysOption = None,
    without_consent: Annotated[
        bool | None, typer.Option("--delete-people-without-consent/--keep-people-without-consent")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would delete now.")] = False,
) -> None:
    """Show or change how long a library keeps what it holds; what is older is deleted within the hour."""
    given = {
        "video_days": video_days,
        "photo_days": photo_days,
        "audit_days": audit_days,
        "delete_people_without_consent": without_consent,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    with connect(context) as client:
        found = client.libraries.get(library_name(library))
        for field, value in changes.items():
            setattr(found.retention_policy, field, value)
        if preview:
            would_go = client.libraries.preview_retention(found.name, found.retention_policy)
        elif changes:
            found = client.libraries.update(found, ["retention_policy"])
    if output is Output.JSON:
        print_json(would_go if preview else UpdateLibraryResponse(library=found))
    elif preview:
        print_table(("What", "#Would go"), ((field.name, str(value)) for field, value in would_go.ListFields()))
    else:
        print_table(("What", "Kept"), _policy_rows(found.retention_policy))


@app.command()
def delete(  # noqa: PLR0913 - each is an argument of the command line
    context: typer.Context,
    library: Annotated[str, typer.Argument(metavar="LIBRARY", help="Id or resource name.")],
    output: OutputOption = Output.TABLE,
    *,
    force: Annotated[bool, typer.Option("--force", help="Even though it holds people or videos.")] = False,
    wait: WaitOption = False,
    receipt: ReceiptOption = None,
) -> None:
    """Delete a library with all that it holds."""
    with connect(context) as client:
        response = client.libraries.delete(library_name(library), force=force)
        erasure = finish(client, response.erasure, receipt, wait=wait)
    if output is Output.JSON:
        print_json(response)
    else:
        print_line(f"Deleted {resource_id(library)}. {erasure}")


def _policy_rows(policy: RetentionPolicy) -> list[tuple[str, str]]:
    days = {"Videos": policy.video_days, "Photos": policy.photo_days, "Audit log": policy.audit_days}
    consent = "deleted" if policy.delete_people_without_consent else "kept, not searched"
    rows = [(what, f"{count} days" if count else "until deleted") for what, count in days.items()]
    return [*rows, ("People without consent", consent)]


def _row(library: Library) -> tuple[str, ...]:
    return (library.display_name, moment(library.create_time), resource_id(library.name))
