"""One doorbell: claim, do the work, give the result back, until there is nothing left to claim."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from structlog.contextvars import bound_contextvars

from inference.errors import MediaError
from inference.triton.errors import TritonTransientError
from inference.worker.claims import ClaimedItem, LeaseLostError
from inference.worker.context import WorkerContext
from inference.worker.registry import Task
from whodex.errors import TransientError
from whodex.runtime.log import get_logger
from whodex.v1 import failure_pb2

# After this long a worker rings for itself again instead of claiming on, so that a stopping worker stops.
CLAIM_FOR_SECONDS = 5.0
# A dependency that is away is not asked again at once.
OUTAGE_DELAY_SECONDS = 5
_log = get_logger()


def run_claims(task: Task, context: WorkerContext) -> bool:
    """Works until nothing is left to claim or `CLAIM_FOR_SECONDS` have passed.

    Returns:
        Whether there may be more to claim.

    Raises:
        WhodexError: the api_server is away. What was claimed comes back when its lease lapses.
    """
    stop_time = time.monotonic() + CLAIM_FOR_SECONDS
    while items := context.claims.claim(task.declaration):
        with context.claims.heartbeats(items):
            _run(task, context, items)
        if time.monotonic() > stop_time:
            return True
    return False


def _run(task: Task, context: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> None:
    with _logged(task, items):
        try:
            context.claims.complete(items, task.implementation(context, items))
        except (TransientError, TritonTransientError) as error:
            _log.warning("work released: a dependency is away", why=str(error))
            context.claims.release(items, str(error), OUTAGE_DELAY_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a task raises is a failure of its item, never of the worker
            _fail(task, context, items, error)


def _fail(task: Task, context: WorkerContext, items: Sequence[ClaimedItem[Any]], error: Exception) -> None:
    if len(items) > 1:
        # One bad item must not fail its neighbours.
        for item in items:
            _run(task, context, [item])
        return
    (item,) = items
    try:
        _report(context, item, error)
    except LeaseLostError:
        _log.info("work had no effect: the lease is lost", resource=item.resource)


def _report(context: WorkerContext, item: ClaimedItem[Any], error: Exception) -> None:
    if isinstance(error, LeaseLostError):
        raise error
    if isinstance(error, MediaError):
        _log.info("work failed", resource=item.resource, reason=failure_pb2.FailureReason.Name(error.reason))
        context.claims.fail(item, error.reason, error.message, retryable=False)
        return
    _log.error("work failed", resource=item.resource, attempt=item.attempt, exc_info=error)
    message = f"Processing failed: {_sentence(error)}. It is tried again; if it stays so, report the log's traceback."
    context.claims.fail(item, failure_pb2.FAILURE_REASON_INTERNAL, message, retryable=True)


def _sentence(error: Exception) -> str:
    if isinstance(error, SoftTimeLimitExceeded):
        return "it took longer than the task's time limit"
    return f"{type(error).__name__}: {error}"


@contextmanager
def _logged(task: Task, items: Sequence[ClaimedItem[Any]]) -> Iterator[None]:
    started = time.monotonic()
    for item in items:
        with bound_contextvars(correlation_id=item.correlation_id):
            _log.info("work started", task=task.declaration.name, resource=item.resource, attempt=item.attempt)
    yield
    duration_ms = round(1000 * (time.monotonic() - started))
    for item in items:
        with bound_contextvars(correlation_id=item.correlation_id):
            _log.info("work ended", task=task.declaration.name, resource=item.resource, duration_ms=duration_ms)
