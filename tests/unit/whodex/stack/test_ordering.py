import asyncio
from graphlib import CycleError

import pytest

from whodex.stack.ordering import reversed_graph, run_in_order

GRAPH = {"postgres": (), "valkey": (), "migrations": ("postgres",), "api": ("migrations", "valkey")}


async def test_a_name_runs_after_all_its_predecessors() -> None:
    finished: list[str] = []

    async def action(name: str) -> None:
        await asyncio.sleep(0)
        assert set(GRAPH[name]) <= set(finished)
        finished.append(name)

    await run_in_order(GRAPH, action)

    assert sorted(finished) == sorted(GRAPH)


async def test_names_that_do_not_depend_on_each_other_run_at_the_same_time() -> None:
    both_here = asyncio.Barrier(2)

    async def action(name: str) -> None:
        async with asyncio.timeout(5):
            if not GRAPH[name]:
                await both_here.wait()

    await run_in_order(GRAPH, action)


async def test_a_failure_cancels_what_is_under_way_and_starts_nothing_more() -> None:
    started: list[str] = []
    cancelled: list[str] = []

    async def action(name: str) -> None:
        started.append(name)
        if name == "postgres":
            raise ValueError(name)
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            cancelled.append(name)
            raise

    with pytest.raises(ExceptionGroup) as caught:
        await run_in_order(GRAPH, action)

    assert [str(error) for error in caught.value.exceptions] == ["postgres"]
    assert (started, cancelled) == (["postgres", "valkey"], ["valkey"])


async def test_a_cycle_is_refused() -> None:
    async def action(name: str) -> None:
        raise AssertionError(name)

    with pytest.raises(CycleError):
        await run_in_order({"a": ("b",), "b": ("a",)}, action)


def test_the_reversed_graph_stops_dependents_first() -> None:
    assert reversed_graph(GRAPH) == {
        "postgres": {"migrations"},
        "valkey": {"api"},
        "migrations": {"api"},
        "api": set(),
    }
