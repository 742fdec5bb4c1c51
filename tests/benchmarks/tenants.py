"""How many answers tell a caller something of another library; see tests/tenants."""

from __future__ import annotations

import asyncio

from tests.benchmarks.report import Row
from tests.tenants.matrix import methods
from tests.tenants.stack import matrix_on
from whodex.stack.state import StateDirectory

ROWS = ("tenant_matrix_leaks",)


def measure(state: StateDirectory) -> list[Row]:
    """Calls every method as everybody whom it must tell nothing."""
    matrix = matrix_on(state)
    asyncio.run(matrix.run())
    for leak in matrix.leaks:
        print(leak)  # noqa: T201 - whoever reads the row wants to know which
    leaks = len(matrix.leaks)
    note = f"{matrix.calls} calls of all {len(methods())} methods"
    return [Row("tenant_matrix_leaks", leaks, "leaks", target="0", ok=leaks == 0, note=note)]
