"""The `whodex` command line: its global options and its commands."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from whodex.cli import audit, consent, doctor, erasure, key, library, operations, person, search, video
from whodex.cli.resources import library_name
from whodex.cli.root import RootGroup
from whodex.cli.session import Target
from whodex.stack.state import STATE_DIR_VARIABLE

app = typer.Typer(
    cls=RootGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
person.app.command("consent")(consent.consent)
app.add_typer(person.app, name="person")
app.add_typer(video.app, name="video")
app.add_typer(library.app, name="library")
app.add_typer(key.app, name="key")
app.add_typer(erasure.app, name="erasure")
app.add_typer(audit.app, name="audit")
app.command("search")(search.search)
app.command("identify")(search.identify)
app.command("verify")(search.verify)
app.command("smoke")(operations.smoke)
app.command("doctor")(doctor.doctor)


@app.callback()
def choose_target(
    context: typer.Context,
    address: Annotated[
        str | None, typer.Option(help="host:port or https://host:port. Default: WHODEX_ADDRESS, else the local stack.")
    ] = None,
    library: Annotated[
        str | None, typer.Option(help="Id or resource name. Default: WHODEX_LIBRARY, else the local stack's.")
    ] = None,
    state_dir: Annotated[
        Path | None, typer.Option(help=f"Of the local stack. Default: {STATE_DIR_VARIABLE}, else ./.whodex.")
    ] = None,
) -> None:
    """Find people in photo and video libraries, on your own hardware.

    Keys are read from WHODEX_API_KEY and WHODEX_ADMIN_KEY, else from the local stack's state directory.
    """
    if state_dir:
        # The commands that other packages add find it there as well.
        os.environ[STATE_DIR_VARIABLE] = str(state_dir)
    context.obj = Target(address=address, library=library_name(library) if library else None)
