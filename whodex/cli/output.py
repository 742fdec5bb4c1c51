"""What the commands print: tables for people, proto JSON for programs, errors on standard error."""

from __future__ import annotations

import enum
import sys
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal, TypeVar

import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from rich.console import Console
from rich.table import Table

PageT = TypeVar("PageT", bound=Message)

# Wide enough for every table: what is piped into another program is not folded.
PIPE_WIDTH = 240

# No markup: a name such as "[red]" is a name.
progress_console = Console(stderr=True, markup=False, highlight=False)


class Output(enum.StrEnum):
    """How a command prints its answer."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[Output, typer.Option("--output", "-o", help="How to print the answer.")]


def print_json(message: Message) -> None:
    """Prints one response on a line of its own, as proto JSON with every field that has a value or a default."""
    typer.echo(MessageToJson(message, always_print_fields_with_no_presence=True, indent=None, ensure_ascii=False))


def merge_pages(pages: Iterable[PageT], into: PageT) -> PageT:
    """Reads all pages into one response, as if the server had answered in one."""
    for page in pages:
        into.MergeFrom(page)
    into.ClearField("next_page_token")
    return into


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table on standard output; a column whose name starts with `#` holds numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        justify: Literal["left", "right"] = "right" if column.startswith("#") else "left"
        # Folded rather than cut; an id stays whole, so that it can be copied.
        table.add_column(column.removeprefix("#"), justify=justify, overflow="fold", no_wrap=column == "Id")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    Console(markup=False, highlight=False, width=width).print(table)


def print_line(text: str) -> None:
    """Prints a sentence on standard output."""
    typer.echo(printable(text))


def print_error(message: str, reason: str = "") -> None:
    """Prints a sentence on standard error, with the reason for programs behind it."""
    suffix = f" [{reason}]" if reason else ""
    typer.secho(f"error: {printable(message)}{suffix}", err=True, fg=typer.colors.RED)


def print_warning(message: str, reason: str) -> None:
    """Prints a sentence about what was done all the same on standard error, with the reason for programs behind it."""
    typer.secho(f"warning: {printable(message)} [{reason}]", err=True, fg=typer.colors.YELLOW)


def printable(text: str) -> str:
    """The text without what a terminal would obey; names and messages are written by others."""
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
