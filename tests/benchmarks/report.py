"""The rows that a benchmark prints and writes to `build/bench/NAME.json`."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path("build/bench")


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes:
        name: as it is known in docs/benchmarks.md.
        value: None when it could not be measured; the note says why.
        unit: of the value and of the reference.
        reference: what the value is compared with, measured in the same run.
        ratio: value and reference as a ratio, above 1 when Whodex is the better.
        target: what it should reach, in words.
        ok: whether it does; None when there is no target.
        note: what a reader must know to believe it.
    """

    name: str
    value: float | None
    unit: str
    reference: float | None = None
    ratio: float | None = None
    target: str = ""
    ok: bool | None = None
    note: str = ""


def publish(name: str, rows: Sequence[Row]) -> None:
    """Prints the rows and writes them with the machine, the commit and the command."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": _machine(),
        "commit": _commit(),
        "command": " ".join(["python", "-m", *_module_and_arguments()]),
        "results": [asdict(row) for row in rows],
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    Console().print(_table(name, rows))


def _table(name: str, rows: Sequence[Row]) -> Table:
    table = Table("name", "value", "unit", "reference", "ratio", "target", "ok", "note", title=name)
    for row in rows:
        figures = [_figure(row.value), row.unit, _figure(row.reference), _figure(row.ratio)]
        table.add_row(row.name, *figures, row.target, {True: "yes", False: "NO", None: ""}[row.ok], row.note)
    return table


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _machine() -> dict[str, str | int]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - git is found on the PATH
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _module_and_arguments() -> list[str]:
    module = getattr(sys.modules["__main__"], "__spec__", None)
    return [module.name.removesuffix(".__main__") if module else sys.argv[0], *sys.argv[1:]]
