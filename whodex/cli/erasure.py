"""Erasures: what deletions have begun, and their receipts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.timestamp_pb2 import Timestamp

from whodex import receipts
from whodex.cli.errors import CommandError
from whodex.cli.formats import moment, resource_id
from whodex.cli.output import Output, OutputOption, merge_pages, print_json, print_line, print_table
from whodex.cli.resources import erasure_name
from whodex.cli.session import connect
from whodex.cli.transfers import wait_progress
from whodex.client import Client
from whodex.v1.erasure_pb2 import Erasure, ErasureStatement, RemovedCounts
from whodex.v1.erasure_service_pb2 import GetErasureResponse, ListErasuresResponse

app = typer.Typer(no_args_is_help=True, help="What deletions remove, and the signed receipts that say so.")

COLUMNS = ("Target", "State", "Deleted", "Complete", "Removed", "Id")
ErasureArgument = Annotated[str, typer.Argument(metavar="ERASURE", help="Id or resource name.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Until no file holds anything of it any more.")]
ReceiptOption = Annotated[
    Path | None, typer.Option("--receipt", metavar="FILE", help="Wait, and write the signed receipt to this file.")
]


@app.command()
def show(
    context: typer.Context,
    erasure: ErasureArgument,
    output: OutputOption = Output.TABLE,
    *,
    wait: WaitOption = False,
    receipt: ReceiptOption = None,
) -> None:
    """Show how far an erasure is and what it has removed."""
    with connect(context) as client:
        name = erasure_name(client, erasure)
        found = follow(client, name, receipt) if wait or receipt else client.erasures.get(name)
    if output is Output.JSON:
        print_json(GetErasureResponse(erasure=found))
        return
    print_table(COLUMNS, [_row(found)])
    if found.waits_for:
        print_line(f"It waits: {found.waits_for}.")


@app.command("list")
def list_erasures(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the erasures of the library, oldest first; `whodex --library` may name a deleted one."""
    with connect(context) as client:
        response = merge_pages(client.erasures.list(client.library).pages(), ListErasuresResponse())
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, map(_row, response.erasures))


@app.command()
def key(context: typer.Context) -> None:
    """Print the public keys that verify receipts, as PEM. Keep them: they are what makes a receipt worth something."""
    with connect(context) as client:
        for one in client.erasures.receipt_keys():
            typer.echo(one.public_key_pem, nl=False)


@app.command()
def verify(
    context: typer.Context,
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", exists=True, dir_okay=False, help="The file.")],
    output: OutputOption = Output.TABLE,
    *,
    key: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="PEM as `whodex erasure key` prints it. Default: ask the server."
        ),
    ] = None,
) -> None:
    """Verify a receipt and print what it states. With --key no server is needed."""
    try:
        statement = receipts.verify(receipt.read_text("utf-8"), _trusted_keys(context, key))
    except (receipts.ReceiptInvalidError, UnicodeDecodeError) as error:
        raise CommandError(f"The receipt {receipt} proves nothing: {error}.", reason="RECEIPT_INVALID") from error
    if output is Output.JSON:
        print_json(statement)
    else:
        print_table(("What", "Says"), _statement_rows(statement))


def finish(client: Client, erasure: str, receipt: Path | None, *, wait: bool) -> str:
    """Waits if it was asked for; returns what to tell of it, as a sentence."""
    if not (wait or receipt):
        return f"Its bytes follow within a minute: `whodex erasure show {resource_id(erasure)}`."
    complete = follow(client, erasure, receipt)
    written = f" The receipt is in {receipt}." if receipt else ""
    return f"Nothing is left of it: {removed(complete.removed)}.{written}"


def follow(client: Client, erasure: str, receipt: Path | None) -> Erasure:
    """Waits until an erasure is complete, and writes its receipt."""
    with wait_progress("Erasing"):
        complete = client.erasures.wait(erasure)
    if receipt:
        receipt.write_text(complete.receipt + "\n", encoding="ascii")
    return complete


def removed(counts: RemovedCounts) -> str:
    """1 person, 2 photos, for example."""
    return ", ".join(f"{count} {field.name.replace('_', ' ')}" for field, count in counts.ListFields()) or "nothing"


def _trusted_keys(context: typer.Context, key: Path | None) -> Sequence[str]:
    if key is None:
        with connect(context) as client:
            return [one.public_key_pem for one in client.erasures.receipt_keys()]
    end = "-----END PUBLIC KEY-----"
    return [f"{pem}{end}\n" for pem in key.read_text("utf-8").split(end)[:-1]]


def _row(erasure: Erasure) -> tuple[str, ...]:
    return (
        erasure.target.partition("/")[2].partition("/")[2] or erasure.target,
        Erasure.State.Name(erasure.state).removeprefix("STATE_"),
        moment(erasure.create_time),
        moment(erasure.complete_time) if erasure.HasField("complete_time") else "",
        removed(erasure.removed),
        resource_id(erasure.name),
    )


def _statement_rows(statement: ErasureStatement) -> list[tuple[str, str]]:
    backups = _backups(statement.backup_expire_time if statement.HasField("backup_expire_time") else None)
    return [
        ("Removed", f"{statement.target}: {removed(statement.removed)}"),
        ("Deleted", moment(statement.delete_time)),
        ("Nothing left since", moment(statement.complete_time)),
        ("Digest of its files", statement.content_digest or "none: no file"),
        ("Backups", backups),
        ("Erasure", statement.erasure),
    ]


def _backups(expire_time: Timestamp | None) -> str:
    if expire_time is None:
        return "the operator has not declared how long they are kept"
    return f"may hold it until {moment(expire_time)}"
