"""Libraries; to create, list or delete them takes the admin key."""

from __future__ import annotations

from typing import Annotated

import typer

from whodex.cli.erasure import ReceiptOption, WaitOption, finish
from whodex.cli.formats import moment, resource_id
from whodex.cli.output import Output, OutputOption, merge_pages, print_json, print_line, print_table
from whodex.cli.resources import library_name
from whodex.cli.session import connect
from whodex.v1.library_pb2 import Library
from whodex.v1.library_service_pb2 import CreateLibraryResponse, ListLibrariesResponse

app = typer.Typer(no_args_is_help=True, help="Libraries: each sees nothing of the others. Needs the admin key.")

COLUMNS = ("Name", "Created", "Id")


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


def _row(library: Library) -> tuple[str, ...]:
    return (library.display_name, moment(library.create_time), resource_id(library.name))
