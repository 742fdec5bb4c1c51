"""The keys of a library."""

from __future__ import annotations

import enum
from datetime import timedelta
from typing import Annotated

import typer

from whodex.cli.formats import moment, parse_span, resource_id
from whodex.cli.output import Output, OutputOption, merge_pages, print_json, print_line, print_table
from whodex.cli.resources import key_name
from whodex.cli.session import connect
from whodex.v1.library_pb2 import ApiKey
from whodex.v1.library_service_pb2 import ListApiKeysResponse, RevokeApiKeyResponse

app = typer.Typer(no_args_is_help=True, help="Keys of the library that is used; `whodex --library` names another.")

COLUMNS = ("Name", "Begins with", "Role", "State", "Created", "Ends", "Last used", "Id")

KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Id or resource name.")]
TtlOption = Annotated[
    timedelta | None,
    typer.Option("--ttl", parser=parse_span, metavar="SPAN", help="How long it lives, such as 90d. Default: for ever."),
]


class Role(enum.StrEnum):
    """What a key may do."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


@app.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the key is for, up to 200 characters.")],
    *,
    role: Annotated[
        Role,
        typer.Option(help="read: look and search; write: add and change too; admin: delete and make keys too."),
    ] = Role.WRITE,
    ttl: TtlOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Create a key and print its secret, which cannot be shown again."""
    with connect(context) as client:
        number = ApiKey.Role.Value(f"ROLE_{role.name}")
        response = client.libraries.create_key(client.library, name, role=number, end=ttl)
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, [_row(response.api_key)])
        _show_secret(response.secret)


@app.command("list")
def list_keys(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List keys, oldest first, those that have ended included."""
    with connect(context) as client:
        response = merge_pages(client.libraries.list_keys(client.library).pages(), ListApiKeysResponse())
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, map(_row, response.api_keys))


@app.command()
def rotate(
    context: typer.Context,
    key: KeyArgument,
    *,
    overlap: Annotated[
        timedelta | None,
        typer.Option(parser=parse_span, metavar="SPAN", help="How long both open the library. Default: 1d."),
    ] = None,
    ttl: TtlOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Replace a key by a new one, and print the new secret. The old key ends after the overlap."""
    with connect(context) as client:
        response = client.libraries.rotate_key(key_name(client, key), overlap=overlap, end=ttl)
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, [_row(response.rotated), _row(response.api_key)])
        _show_secret(response.secret)


@app.command()
def revoke(context: typer.Context, key: KeyArgument, output: OutputOption = Output.TABLE) -> None:
    """Revoke a key at once, on every server; the streams that are open with it end."""
    with connect(context) as client:
        revoked = client.libraries.revoke_key(key_name(client, key))
    if output is Output.JSON:
        print_json(RevokeApiKeyResponse(api_key=revoked))
    else:
        print_table(COLUMNS, [_row(revoked)])


def _show_secret(secret: str) -> None:
    print_line(f"Keep the secret, it is shown this once: {secret}")


def _row(key: ApiKey) -> tuple[str, ...]:
    return (
        key.display_name,
        key.prefix,
        ApiKey.Role.Name(key.role).removeprefix("ROLE_"),
        ApiKey.State.Name(key.state).removeprefix("STATE_"),
        moment(key.create_time),
        _end(key),
        moment(key.last_use_time) if key.HasField("last_use_time") else "never",
        resource_id(key.name),
    )


def _end(key: ApiKey) -> str:
    for field in ("revoke_time", "expire_time"):
        if key.HasField(field):
            return moment(getattr(key, field))
    return ""
