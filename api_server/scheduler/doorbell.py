"""The doorbell: a Celery message that names a task and carries nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from celery import Celery
from kombu.exceptions import ChannelError, OperationalError

from whodex.runtime.tasks import declared_tasks

# As many workers as one ring wakes at most. Each claims until nothing is left, so more would find nothing to do; where
# there are more workers, the next sweep wakes them.
MAX_RINGS = 32
_TIMEOUT_SECONDS = 5
ResultT = TypeVar("ResultT")


class BrokerUnavailableError(Exception):
    """The broker does not answer. Nothing is lost: who rings tries again."""


class Doorbell:
    """A connection to the broker, used by one thread of its own: kombu is neither asynchronous nor thread-safe."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("whodex", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_ignore_result=True,
            # Who rings knows better when to try again than the transport does.
            task_publish_retry=False,
            broker_transport_options={
                "max_retries": 0,
                "socket_timeout": _TIMEOUT_SECONDS,
                "socket_connect_timeout": _TIMEOUT_SECONDS,
            },
        )
        # The transport's own errors, and what kombu makes of them.
        connection = self._app.connection_for_write()
        self._errors = (OperationalError, *connection.connection_errors, *connection.channel_errors)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="broker")

    async def ring(self, rings: Mapping[str, int]) -> None:
        """Sends each task's message so many times.

        Raises:
            BrokerUnavailableError: not all were sent.
        """
        await self._run(lambda: self._send(rings))

    async def waiting(self, queue: str) -> int:
        """Returns how many messages wait in a queue.

        Raises:
            BrokerUnavailableError: it does not answer.
        """
        return await self._run(lambda: self._count(queue))

    async def check(self) -> None:
        """Raises `BrokerUnavailableError` unless the broker answers."""
        await self.waiting(next(iter(declared_tasks().values())).queue)

    def close(self) -> None:
        """Closes the connection."""
        self._thread.submit(self._app.close)
        self._thread.shutdown()

    async def _run(self, call: Callable[[], ResultT]) -> ResultT:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, call)
        except self._errors as error:
            raise BrokerUnavailableError(f"the broker does not answer: {error}") from error

    def _send(self, rings: Mapping[str, int]) -> None:
        with self._app.producer_or_acquire() as producer:
            for task, count in rings.items():
                queue = declared_tasks()[task].queue
                for _ in range(count):
                    self._app.send_task(task, queue=queue, producer=producer)

    def _count(self, queue: str) -> int:
        with self._app.connection_or_acquire() as connection:
            try:
                count: int = connection.default_channel.queue_declare(queue, passive=True).message_count
            except ChannelError:
                # The broker makes a queue with its first message and drops it with its last one.
                return 0
            return count
