"""The root command: loads what other packages add when it is used, and turns expected errors into one line."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command, get_group

from whodex.cli.errors import CommandError
from whodex.cli.output import print_error
from whodex.client import ConfigurationError
from whodex.errors import WhodexError

ENTRY_POINT_GROUP = "whodex.commands"
# Our own commands that need more than the client does.
LOCAL_COMMANDS = (
    EntryPoint("up", "whodex.stack.commands:up [local]", ENTRY_POINT_GROUP),
    EntryPoint("down", "whodex.stack.commands:down [local]", ENTRY_POINT_GROUP),
    EntryPoint("status", "whodex.stack.commands:status [local]", ENTRY_POINT_GROUP),
    EntryPoint("backup", "whodex.stack.commands:backup [local]", ENTRY_POINT_GROUP),
    EntryPoint("restore", "whodex.stack.commands:restore [local]", ENTRY_POINT_GROUP),
    EntryPoint("demo", "whodex.demo.commands:demo [local]", ENTRY_POINT_GROUP),
)


class RootGroup(TyperGroup):
    """Adds the commands of the services, which register them by entry point, without importing any at start."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, our own first."""
        return [*super().list_commands(ctx), *_added_commands()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; one that was added is imported here."""
        own = super().get_command(ctx, cmd_name)
        added = _added_commands().get(cmd_name)
        return own or (_load(added) if added else None)

    def invoke(self, ctx: Any) -> Any:
        """Runs the command; an error that is not a defect is one line on standard error and exit code 1."""
        try:
            return super().invoke(ctx)
        except WhodexError as error:
            print_error(error.message, error.reason_name if error.reason else error.code.name)
        except CommandError as error:
            print_error(str(error), error.reason)
        except ConfigurationError as error:
            print_error(str(error), "NOT_CONFIGURED")
        raise typer.Exit(1)


def _added_commands() -> dict[str, EntryPoint]:
    found = [*LOCAL_COMMANDS, *entry_points(group=ENTRY_POINT_GROUP)]
    return {entry_point.name: entry_point for entry_point in found}


def _load(entry_point: EntryPoint) -> Any:
    try:
        return _as_command(entry_point.name, entry_point.load())
    except ImportError as error:
        return _stand_in(entry_point, error)


def _as_command(name: str, loaded: Any) -> Any:
    if isinstance(loaded, typer.Typer):
        command: Any = get_group(loaded)
        command.name = name
        return command
    return _single_command(name, loaded)


def _single_command(name: str, function: Callable[..., None], **context_settings: bool) -> Any:
    app = typer.Typer(add_completion=False)
    app.command(name, context_settings=context_settings)(function)
    return get_command(app)


def _stand_in(entry_point: EntryPoint, error: ImportError) -> Any:
    """A command whose packages are not installed: says so, whatever its arguments."""
    # The extra that the entry point names; else the one that is called like the package.
    extra = next(iter(entry_point.extras), entry_point.module.partition(".")[0].replace("_", "-"))

    def explain() -> None:
        raise CommandError(f"`whodex {entry_point.name}` needs more packages ({error}): install whodex[{extra}].")

    explain.__doc__ = f"Not installed: needs the extra '{extra}'."
    return _single_command(entry_point.name, explain, allow_extra_args=True, ignore_unknown_options=True)
