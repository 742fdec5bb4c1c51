"""`whodex person consent`: on what ground a person is processed."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated

import typer

from whodex.cli.errors import CommandError
from whodex.cli.formats import moment, to_timestamp
from whodex.cli.output import Output, OutputOption, print_json, print_line, print_table
from whodex.cli.person import PersonArgument
from whodex.cli.resources import find_person
from whodex.cli.session import connect
from whodex.v1.people_service_pb2 import UpdatePersonResponse
from whodex.v1.person_pb2 import Consent, Person

_PREFIX = "BASIS_"
# CONSENT, CONTRACT and so on.
Basis = enum.StrEnum(  # type: ignore[misc]
    "Basis", {name.removeprefix(_PREFIX): name.removeprefix(_PREFIX) for name in Consent.Basis.keys()[1:]}
)
Moment = Annotated[datetime | None, typer.Option(help="2026-12-31 or 2026-12-31T23:59:59, of your time zone.")]


def consent(  # noqa: PLR0913 - the fields of a consent
    context: typer.Context,
    person: PersonArgument,
    output: OutputOption = Output.TABLE,
    *,
    basis: Annotated[Basis | None, typer.Option(case_sensitive=False, help="The lawful basis, Art. 6(1) GDPR.")] = None,
    given_by: Annotated[str, typer.Option(help="Who gave it.")] = "",
    given: Moment = None,
    expires: Moment = None,
    evidence: Annotated[str, typer.Option(help="Where the proof is.")] = "",
    note: Annotated[str, typer.Option(help="Free text.")] = "",
    clear: Annotated[bool, typer.Option("--clear", help="Record nothing any more.")] = False,
) -> None:
    """Record on what ground a person is processed, or show it when no option is given."""
    recorded = Consent(
        basis=Consent.Basis.Value(_PREFIX + basis) if basis else Consent.BASIS_UNSPECIFIED,
        given_by=given_by,
        give_time=to_timestamp(given),
        expire_time=to_timestamp(expires),
        evidence=evidence,
        note=note,
    )
    changes = recorded != Consent()
    if changes and (clear or not basis):
        raise CommandError("A consent is replaced as a whole: give it with --basis, or --clear it without any other.")
    with connect(context) as client:
        found = find_person(client, person)
        if changes or clear:
            new = Person(name=found.name, consent=None if clear else recorded)
            found = client.people.update(new, ["consent"])
    if output is Output.JSON:
        print_json(UpdatePersonResponse(person=found))
    elif found.HasField("consent"):
        print_table(("What", "Says"), _rows(found.consent))
    else:
        print_line(f"Nothing is recorded for {found.display_name}.")


def _rows(recorded: Consent) -> list[tuple[str, str]]:
    return [
        ("Basis", Consent.Basis.Name(recorded.basis).removeprefix(_PREFIX)),
        ("Given by", recorded.given_by),
        ("Given", moment(recorded.give_time) if recorded.HasField("give_time") else ""),
        ("Expires", moment(recorded.expire_time) if recorded.HasField("expire_time") else "never"),
        ("Evidence", recorded.evidence),
        ("Note", recorded.note),
    ]
