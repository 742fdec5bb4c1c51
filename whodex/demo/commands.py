"""`whodex demo`."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from whodex.cli.errors import CommandError
from whodex.demo.errors import DemoError
from whodex.demo.program import run
from whodex.demo.samples import pull_samples
from whodex.stack.errors import StackError

PIPE_WIDTH = 120


def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the video and the contact sheet go.")] = Path(
        "build/demo"
    ),
    *,
    pull: Annotated[bool, typer.Option("--pull", help="Only fetch the sample pictures.")] = False,
) -> None:
    """Enrol people, search a video for them, and compare with the truth. The exit code is 0 only when it matches."""
    # Like Ctrl-C: out through every `finally`, so that the stack stops.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if pull:
            pull_samples()
            return
        console = Console()
        if not console.is_terminal:
            console.width = PIPE_WIDTH
        matches = run(console, folder)
    except (DemoError, StackError) as error:
        raise CommandError(str(error), reason="DEMO_FAILED") from error
    if not matches:
        raise typer.Exit(1)
