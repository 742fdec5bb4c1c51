"""What one library's keys, and no keys at all, learn of another library: nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, NullPool, event

from tests.tenants.matrix import Matrix, methods
from tests.tenants.stack import matrix_on

if TYPE_CHECKING:
    from tests.integration.conftest import Stack

# As SQLAlchemy writes it for psycopg.
CONDITION = re.compile(r"(\w+\.)?library_id = %\(\w+\)s(::UUID)?")


@pytest.fixture(scope="module")
def planted(stack: Stack) -> Matrix:
    """Two libraries with something of everything, and nothing tried yet."""
    return matrix_on(stack.state)


@pytest.fixture
def matrix(planted: Matrix) -> Matrix:
    """The same libraries, with a list of leaks of its own."""
    return replace(planted, calls=0, leaks=[])


async def test_no_method_tells_or_changes_anything_of_another_library(matrix: Matrix) -> None:
    await matrix.run()
    assert matrix.leaks == []
    # No key, a wrong, a revoked, an expired and somebody else's, at least.
    assert matrix.calls >= 5 * len(methods())


@pytest.fixture
def dropped() -> Iterator[list[str]]:
    """Takes `library_id = ...` out of every statement of the servers; the statements that had one."""
    statements: list[str] = []

    def drop(connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
        # The test's own connections have no pool.
        bare = statement if isinstance(connection.engine.pool, NullPool) else CONDITION.sub("true", statement)
        if bare != statement:
            statements.append(statement)
        return bare, parameters

    event.listen(Engine, "before_cursor_execute", drop, retval=True)
    yield statements
    event.remove(Engine, "before_cursor_execute", drop)


async def test_row_level_security_hides_what_queries_without_their_conditions_ask_for(
    matrix: Matrix, dropped: list[str]
) -> None:
    await matrix.run_reads()
    assert matrix.leaks == []
    assert dropped


async def test_without_row_level_security_the_same_queries_do_leak(matrix: Matrix, dropped: list[str]) -> None:
    """So the test before can fail, and the matrix sees a leak."""
    as_owner = matrix.settings.model_copy(update={"database_url": SecretStr(matrix.owner_url)})
    await replace(matrix, settings=as_owner).run_reads()
    told = "\n".join(matrix.leaks)
    assert "PeopleService.GetPerson with ids of another library below the own one: the answer is" in told
    assert "PeopleService.ListPeople with own names: a text of another library is told" in told
    assert "VideoService.GetVideo" in told
    assert dropped
