"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

import re

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from whodex.cli.app import app


def commands() -> str:
    """Every command with its arguments and options, as Markdown sections below a page's title."""
    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="whodex", indent=1)
    # Each command is listed with its help again below.
    text = re.sub(r"\*\*Commands\*\*:\n\n(?:\* .*\n)+\n", "", text)
    return text.replace("* `--help`: Show this message and exit.\n", "").replace("**Options**:\n\n\n", "")
