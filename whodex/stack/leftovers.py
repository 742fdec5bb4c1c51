"""What a supervisor that was killed may have left running."""

from __future__ import annotations

import os

import psutil

from whodex.stack.state import PartRecord, StackRecord

# The kernel passes the stop signal on when a supervisor dies, so that the parts are already finishing.
GRACE_SECONDS = 15.0


def leftovers(record: StackRecord) -> list[psutil.Process]:
    """The processes of the recorded parts that are still there, descendants included."""
    sessions = {part.pid for part in record.parts if part.pid is not None and not _is_reused(part)}
    return [one for one in psutil.process_iter() if _session(one) in sessions and not _is_zombie(one)]


def end_leftovers(record: StackRecord) -> int:
    """Waits for what is still finishing, then kills the rest; returns how many it had to kill."""
    psutil.wait_procs(leftovers(record), timeout=GRACE_SECONDS)
    stubborn = leftovers(record)
    for process in stubborn:
        _kill(process)
    psutil.wait_procs(stubborn, timeout=GRACE_SECONDS)
    return len(stubborn)


def _is_reused(part: PartRecord) -> bool:
    """Whether the part's process id belongs to another process by now."""
    try:
        return part.pid is None or psutil.Process(part.pid).create_time() != part.create_time
    except psutil.NoSuchProcess:
        # The leader is gone. No new process gets its id while a member of its session lives.
        return False


def _session(process: psutil.Process) -> int | None:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return None


def _is_zombie(process: psutil.Process) -> bool:
    """Whether it has ended, and only its parent has not taken note yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
