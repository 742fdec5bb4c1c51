"""What a caller who hangs up must not interrupt."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


async def to_the_end(operation: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Finishes an operation whose outcome nobody would know if it were cut off; cancellations meanwhile are dropped."""
    task = asyncio.create_task(operation)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()
