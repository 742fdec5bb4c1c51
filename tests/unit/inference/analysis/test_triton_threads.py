from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest

from inference.analysis.triton_threads import THREADS, TritonThreads
from inference.triton.client import TritonClient
from inference.triton.errors import TritonTransientError


async def test_each_thread_has_a_client_of_its_own():
    everybody = threading.Barrier(THREADS)

    def meet(client: TritonClient) -> TritonClient:
        everybody.wait(timeout=5)
        return client

    async with TritonThreads("127.0.0.1:1") as threads:
        first = await asyncio.gather(*(threads.run(meet) for _ in range(THREADS)))
        second = await asyncio.gather(*(threads.run(meet) for _ in range(THREADS)))
    assert len({id(client) for client in first}) == THREADS
    assert {id(client) for client in second} == {id(client) for client in first}


async def test_work_whose_caller_has_left_is_never_done():
    release, done = threading.Event(), []
    async with TritonThreads("127.0.0.1:1") as threads:
        busy = [asyncio.create_task(threads.run(lambda _: release.wait(5))) for _ in range(THREADS)]
        await asyncio.sleep(0.05)
        late = asyncio.create_task(threads.run(done.append))
        await asyncio.sleep(0.05)
        late.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await late
        release.set()
        await asyncio.gather(*busy)
        await threads.run(lambda _: None)
    assert done == []


async def test_check_fails_while_triton_is_away():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        async with TritonThreads(address) as threads:
            with pytest.raises(TritonTransientError):
                await threads.check()
