"""Starts the parts in the order of their dependencies, keeps them running, stops them in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from whodex.stack.child import Child
from whodex.stack.ordering import reversed_graph, run_in_order
from whodex.stack.parts import Part
from whodex.stack.state import PartRecord, StateDirectory


class Supervisor:
    """Owns the stack's processes inside its `async with`; none is left after it.

    Args:
        on_change: called after each change of a part's state.
    """

    def __init__(self, parts: Sequence[Part], state: StateDirectory, on_change: Callable[[], None]) -> None:
        self._after = {part.name: part.after for part in parts}
        self._children = {
            part.name: Child(part, log=state.log(part.name), directory=state.root, on_change=on_change)
            for part in parts
        }
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def records(self) -> list[PartRecord]:
        """Every part as it is now."""
        return [child.record for child in self._children.values()]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await run_in_order(reversed_graph(self._after), lambda name: self._children[name].stop())

    async def start(self) -> None:
        """Returns once every part is ready.

        Raises:
            PartFailedError: the first part that failed to start.
        """
        try:
            await run_in_order(self._after, self._start)
            await run_in_order(dict.fromkeys(self._after, ()), lambda name: self._children[name].confirm())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def watch(self) -> None:
        """Keeps the parts running until it is cancelled."""
        await asyncio.gather(*self._keepers)

    async def _start(self, name: str) -> None:
        child = self._children[name]
        await child.start()
        if child.part.probe is not None:
            self._keepers.append(asyncio.create_task(child.keep_running(), name=f"keep {name} running"))
