"""From the global options to a connected client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import typer

from whodex.cli.errors import CommandError
from whodex.client import Client
from whodex.errors import UnavailableError
from whodex.v1 import error_reason_pb2


@dataclass(frozen=True)
class Target:
    """What the global options name; what they leave out comes from the environment or the local stack.

    Keys are never options: they would show in the list of processes.
    """

    address: str | None = None
    library: str | None = None


@contextmanager
def connect(context: typer.Context) -> Iterator[Client]:
    """A client for the time of one command.

    Raises:
        CommandError: nothing answers at the address.
        WhodexError: the server refused a call.
    """
    target: Target = context.obj
    with Client(target.address, library=target.library) as client:
        try:
            yield client
        except UnavailableError as error:
            if error.reason != error_reason_pb2.ERROR_REASON_UNSPECIFIED:
                raise
            found = client.configuration
            raise CommandError(
                f"Nothing answers at {found.address} (from {found.source}). "
                "`whodex up` starts the local stack; `whodex doctor` looks for the cause.",
                reason="UNAVAILABLE",
            ) from error
