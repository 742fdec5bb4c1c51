"""`whodex up`, `whodex down` and `whodex status`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from whodex.cli.output import Output, OutputOption
from whodex.stack import detached, stopping
from whodex.stack import restore as restoring
from whodex.stack.backup import back_up
from whodex.stack.errors import PartFailedError, StackError
from whodex.stack.progress import Progress
from whodex.stack.run import run
from whodex.stack.state import STATE_DIR_VARIABLE, StateDirectory
from whodex.stack.status import as_json, as_table, current_status

LOG_TAIL_LINES = 15

app = typer.Typer(no_args_is_help=True, help="The local stack.")
_output = Console(highlight=False)
_errors = Console(stderr=True, highlight=False, soft_wrap=True)

StateDirOption = Annotated[
    Path | None,
    typer.Option("--state-dir", help=f"Where the stack keeps its data. Default: {STATE_DIR_VARIABLE}, else .whodex."),
]


@app.command()
def up(
    state_dir: StateDirOption = None,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return once the stack is ready.")] = False,
    tls: Annotated[bool, typer.Option("--tls", help="With TLS for clients, and mutual TLS among the parts.")] = False,
) -> None:
    """Start the local stack, and keep it running until Ctrl-C."""
    state = StateDirectory.locate(state_dir)
    progress = Progress(sys.stdout, state)
    try:
        if detach:
            detached.start(state, progress.show, encrypted=tls)
        else:
            run(state, progress.show, encrypted=tls)
    except StackError as error:
        _explain(error, state)
        raise typer.Exit(1) from error


@app.command()
def down(state_dir: StateDirOption = None) -> None:
    """Stop the local stack, and everything it started."""
    state = StateDirectory.locate(state_dir)
    try:
        was_running = stopping.stop(state)
    except StackError as error:
        _explain(error, state)
        raise typer.Exit(1) from error
    _output.print("Stopped." if was_running else f"No stack is running with the state in {state.root}.")


@app.command()
def status(
    state_dir: StateDirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show each part of the local stack. The exit code is 0 only when all of them answer."""
    state = StateDirectory.locate(state_dir)
    current = current_status(state)
    if output is Output.JSON:
        typer.echo(as_json(current))
    else:
        _output.print(as_table(current))
    if not current.ready:
        raise typer.Exit(1)


@app.command()
def backup(
    directory: Annotated[Path, typer.Argument(help="Where the backup goes; it must not exist.", show_default=False)],
    state_dir: StateDirOption = None,
) -> None:
    """Back the running local stack up: database, objects and keys."""
    state = StateDirectory.locate(state_dir)
    try:
        made = back_up(state, directory)
    except StackError as error:
        _explain(error, state)
        raise typer.Exit(1) from error
    if made.missing_objects:
        _errors.print(f"Lost already, and so not in the backup: {', '.join(made.missing_objects)}", style="red")
    _output.print(
        f"{directory} holds the database, {made.object_count} objects ({made.object_bytes / 1e6:.1f} MB) and the keys. "
        "Whoever can read it can read everything: keep it accordingly.",
        soft_wrap=True,
    )


@app.command()
def restore(
    directory: Annotated[Path, typer.Argument(help="A backup.", show_default=False)],
    state_dir: StateDirOption = None,
) -> None:
    """Make the local stack's state out of a backup; `whodex up` starts from it."""
    state = StateDirectory.locate(state_dir)
    scratch = restoring.scratch(state)
    try:
        made = restoring.restore(directory, state, Progress(sys.stdout, scratch).show)
    except StackError as error:
        _explain(error, scratch)
        raise typer.Exit(1) from error
    _output.print(
        f"{state.root} is as it was at {made.create_time:%Y-%m-%d %H:%M:%S} UTC. Start it by `whodex up`.",
        soft_wrap=True,
    )


def _explain(error: StackError, state: StateDirectory) -> None:
    _errors.print(str(error), style="red", markup=False)
    if not isinstance(error, PartFailedError):
        return
    log = state.log(error.part)
    if log.exists():
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        _errors.print(f"The last lines of {log}:", markup=False)
        _errors.print("\n".join(f"  {line}" for line in tail), markup=False)
