"""Runs an action over a dependency graph, as parallel as the graph allows."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from graphlib import TopologicalSorter


async def run_in_order(predecessors: Mapping[str, Collection[str]], action: Callable[[str], Awaitable[None]]) -> None:
    """Awaits `action(name)` for each name once the action of all its predecessors has returned.

    Raises:
        ExceptionGroup: an action failed. The ones under way are cancelled, the others never start.
        graphlib.CycleError: the graph has a cycle.
    """
    sorter = TopologicalSorter(predecessors)
    sorter.prepare()

    async def run(name: str) -> None:
        await action(name)
        sorter.done(name)
        launch_ready()

    def launch_ready() -> None:
        for name in sorter.get_ready():
            tasks.create_task(run(name), name=name)

    async with asyncio.TaskGroup() as tasks:
        launch_ready()


def reversed_graph(predecessors: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """The same graph with each edge turned round: what to stop before a name may stop."""
    return {name: {other for other, before in predecessors.items() if name in before} for name in predecessors}
