"""The audit log of the library."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import Parse, ParseError

from whodex import audit
from whodex.cli.errors import CommandError
from whodex.cli.formats import to_timestamp
from whodex.cli.output import Output, OutputOption, merge_pages, print_json, print_line, print_table
from whodex.cli.session import connect
from whodex.v1.audit_pb2 import AuditAction, AuditEntry, AuditHead
from whodex.v1.audit_service_pb2 import GetAuditHeadResponse, ListAuditEntriesResponse

app = typer.Typer(no_args_is_help=True, help="Who searched, enrolled and deleted what in the library, and when.")

COLUMNS = ("#No.", "Time", "Actor", "Action", "Resource", "Outcome", "#Results")
_PREFIX = "AUDIT_ACTION_"
# SEARCH, IDENTIFY and so on.
Action = enum.StrEnum(  # type: ignore[misc]
    "Action", {name.removeprefix(_PREFIX): name.removeprefix(_PREFIX) for name in AuditAction.keys()[1:]}
)
Moment = Annotated[datetime | None, typer.Option(help="2026-12-31 or 2026-12-31T23:59:59, of your time zone.")]


@app.command("list")
def list_entries(  # noqa: PLR0913 - a filter each
    context: typer.Context,
    output: OutputOption = Output.TABLE,
    *,
    action: Annotated[Action | None, typer.Option(case_sensitive=False, help="Only this action.")] = None,
    resource: Annotated[str, typer.Option(help="Only about this resource and those below it: a resource name.")] = "",
    since: Moment = None,
    until: Moment = None,
) -> None:
    """List entries, oldest first; `whodex --library` may name a deleted library."""
    with connect(context) as client:
        entries = client.audit.list(
            client.library,
            action=AuditAction.Value(_PREFIX + action) if action else AuditAction.AUDIT_ACTION_UNSPECIFIED,
            resource=resource,
            start_time=to_timestamp(since),
            end_time=to_timestamp(until),
        )
        response = merge_pages(entries.pages(), ListAuditEntriesResponse())
    if output is Output.JSON:
        print_json(response)
    else:
        print_table(COLUMNS, map(_row, response.audit_entries))


@app.command()
def verify(
    context: typer.Context,
    output: OutputOption = Output.TABLE,
    *,
    anchor: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="What an earlier `verify --output json` printed; repeatable."),
    ] = None,
) -> None:
    """Verify that nothing in the log was changed, inserted, removed or moved, and print where it ends.

    Keep what `--output json` prints elsewhere: given back as --anchor, it shows an end that was cut off.
    """
    with connect(context) as client:
        try:
            count, head = client.audit.verify(client.library, _anchors(anchor or ()))
        except audit.AuditBrokenError as error:
            raise CommandError(f"The audit log is broken: {error}.", reason="AUDIT_BROKEN") from error
    if output is Output.JSON:
        print_json(GetAuditHeadResponse(audit_head=head))
    else:
        print_line(f"{count} entries are as they were written. The last is {head.sequence}, {head.hash.hex()}.")


def _anchors(files: Sequence[Path]) -> list[AuditHead]:
    try:
        return [Parse(file.read_text("utf-8"), GetAuditHeadResponse()).audit_head for file in files]
    except (ParseError, UnicodeDecodeError) as error:
        raise CommandError(f"An anchor cannot be read: {error}.") from error


def _row(entry: AuditEntry) -> tuple[str, ...]:
    return (
        str(entry.sequence),
        entry.time.ToDatetime().strftime("%Y-%m-%d %H:%M:%SZ"),
        entry.actor,
        AuditAction.Name(entry.action).removeprefix(_PREFIX),
        entry.resource,
        entry.outcome,
        str(entry.result_count),
    )
