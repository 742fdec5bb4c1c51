"""Every queue that a declared task names has a worker in the local stack."""

from pathlib import Path

from whodex.runtime.tasks import declared_tasks
from whodex.stack.parts import PORT_NAMES, all_parts
from whodex.stack.state import Secrets, StateDirectory


def test_every_queue_is_served(tmp_path: Path) -> None:
    ports = {name: 7700 + offset for offset, name in enumerate(PORT_NAMES)}
    parts = all_parts(StateDirectory(tmp_path), ports, Secrets())
    served = [
        queue
        for part in parts
        if "--queues" in part.command
        for queue in part.command[part.command.index("--queues") + 1].split(",")
    ]
    assert sorted(served) == sorted({task.queue for task in declared_tasks().values()})
