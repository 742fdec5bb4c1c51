"""The smoke test of a deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from whodex.cli.output import Output, OutputOption, print_json, print_line
from whodex.cli.session import connect
from whodex.v1.operations_service_pb2 import SmokeTestResponse

TASK_WIDTH = 44


def smoke(
    context: typer.Context,
    task_timeout: Annotated[int, typer.Option(min=1, max=600, help="Seconds after which a task has failed.")] = 60,
    output: OutputOption = Output.TABLE,
) -> None:
    """Run every declared task for real, on sample media. Needs the admin key."""
    show = print_json if output is Output.JSON else _print_outcome
    outcomes: list[bool] = []
    with connect(context) as client:
        # Each line is printed when its task has ended, not when all have.
        for outcome in client.operations.smoke_test(task_timeout_seconds=task_timeout):
            show(outcome)
            outcomes.append(outcome.passed)
    # Nothing tried is nothing known.
    if not outcomes or not all(outcomes):
        raise typer.Exit(1)


def _print_outcome(outcome: SmokeTestResponse) -> None:
    seconds = outcome.elapsed.ToTimedelta().total_seconds()
    verdict = "passed" if outcome.passed else "FAILED"
    print_line(f"{outcome.task:<{TASK_WIDTH}} {verdict} {seconds:7.1f} s  {outcome.message}".rstrip())
