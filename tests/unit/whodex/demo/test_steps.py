import io

import pytest
from rich.console import Console

from whodex.demo.steps import Steps


def test_a_step_leaves_a_line_when_it_is_done() -> None:
    output = io.StringIO()
    with Steps(Console(file=output, width=100)).step("Do something") as advance:
        advance(1, 2)
        assert output.getvalue() == ""
    assert output.getvalue().startswith("✓ Do something")
    assert output.getvalue().count("\n") == 1


def test_a_step_that_fails_leaves_none() -> None:
    output = io.StringIO()
    with pytest.raises(RuntimeError), Steps(Console(file=output)).step("Do something"):
        raise RuntimeError
    assert output.getvalue() == ""
