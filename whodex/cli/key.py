"""The keys of a library."""

from __future__ import annotations

from typing import Annotated

import typer

from whodex.cli.formats import moment, resource_id
from whodex.cli.output import Output, OutputOption, merge_pages, print_json, print_line, print_table
from whodex.cli.resources import key_name
from whodex.cli.session import connect
from whodex.v1.library_pb2 import ApiKey
from whodex.v1.library_service_pb2 import ListApiKeysResponse, RevokeApiKeyResponse

app = typer.Typer(no_args_is_help=True, help="Keys of the library that is used; `whodex --library` names another.")

COLUMNS = ("Name", "Begins with", "Created", "Revoked", "Id")


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for, up to 200 characters.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a key and print its secret, which cannot be shown again."""
    with connect(context) as client:
        response = client.libraries.create_key(client.library, name)
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, [_row(response.api_key)])
        print_line(f"Keep the secret, it is shown this once: {response.secret}")


@app.command("list")
def list_keys(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List keys, oldest first, revoked ones included."""
    with connect(context) as client:
        response = merge_pages(client.libraries.list_keys(client.library).pages(), ListApiKeysResponse())
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, map(_row, response.api_keys))


@app.command()
def revoke(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Id or resource name.")],
    output: OutputOption = Output.TABLE,
) -> None:
    """Revoke a key: no call that starts afterwards is let in with it."""
    with connect(context) as client:
        revoked = client.libraries.revoke_key(key_name(client, key))
    if output is Output.JSON:
        print_json(RevokeApiKeyResponse(api_key=revoked))
    else:
        print_table(COLUMNS, [_row(revoked)])


def _row(key: ApiKey) -> tuple[str, ...]:
    revoked = moment(key.revoke_time) if key.HasField("revoke_time") else ""
    return (key.display_name, key.prefix, moment(key.create_time), revoked, resource_id(key.name))
