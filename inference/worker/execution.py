"""One doorbell: claim, do the work, give the result back, until there is nothing left to claim."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from structlog.contextvars import bound_contextvars

from inference.errors import MediaError
from inference.triton.errors import TritonError, TritonTransientError
from inference.worker.claims import ClaimedItem, LeaseLostError, WorkerStoppingError
from inference.worker.context import WorkerContext
from inference.worker.registry import Task
from whodex.errors import UnavailableError
from whodex.runtime.log import get_logger
from whodex.v1 import failure_pb2

# After this long a worker rings for itself again instead of claiming on, so that Celery can recycle or stop it.
CLAIM_FOR_SECONDS = 5.0
# A dependency that is away is not asked again at once.
OUTAGE_DELAY_SECONDS = 5
_log = get_logger()


def run_claims(task: Task, context: WorkerContext) -> bool:
    """Works until nothing is left to claim, `CLAIM_FOR_SECONDS` have passed, or the worker is being stopped.

    Returns:
        Whether there may be more to claim.

    Raises:
        WhodexError: the api_server is away. What was claimed comes back when its lease lapses.
    """
    stop_time = time.monotonic() + CLAIM_FOR_SECONDS
    while not context.claims.stopping():
        items = context.claims.claim(task.declaration)
        if not items:
            return False
        with context.claims.heartbeats(items), _logged(task, items):
            _work(task, context, items)
        if time.monotonic() > stop_time:
            return True
    return False


def _work(task: Task, context: WorkerContext, items: Sequence[ClaimedItem[Any]]) -> None:
    try:
        for lost in context.claims.complete(items, task.implementation(context, items)):
            _discard(task, context, lost)
    except WorkerStoppingError:
        _release(context, items, "the worker is being stopped", delay_seconds=0)
    except Exception as error:  # noqa: BLE001 - whatever a task raises is a failure of its item, never of the worker
        if _is_outage(context, error):
            _log.warning("work released: a dependency is away", why=str(error))
            _release(context, items, str(error), OUTAGE_DELAY_SECONDS)
        elif len(items) > 1:
            # One bad item must not fail its neighbours.
            for item in items:
                _work(task, context, [item])
        else:
            _fail(task, context, items[0], error)


def _is_outage(context: WorkerContext, error: Exception) -> bool:
    """Whether the item is not to blame, so that the attempt does not count.

    Triton reports a network that died of its input like one that is away. If it answers its golden input now, the
    item is to blame: released uncounted it would come back for ever.
    """
    if isinstance(error, TritonTransientError):
        try:
            context.triton.check_golden()
        except TritonError:
            return True
        return False
    return isinstance(error, UnavailableError)


def _fail(task: Task, context: WorkerContext, item: ClaimedItem[Any], error: Exception) -> None:
    resource = task.describe(item.payload)
    try:
        if isinstance(error, LeaseLostError):
            raise error
        if isinstance(error, MediaError):
            _log.info("work failed", resource=resource, reason=failure_pb2.FailureReason.Name(error.reason))
            context.claims.fail(item, error.reason, error.message, retryable=False)
        else:
            _log.error("work failed", resource=resource, attempt=item.attempt, exc_info=error)
            context.claims.fail(item, failure_pb2.FAILURE_REASON_INTERNAL, _sentence(item, error), retryable=True)
    except LeaseLostError:
        _discard(task, context, item)


def _release(context: WorkerContext, items: Sequence[ClaimedItem[Any]], why: str, delay_seconds: int) -> None:
    context.claims.release(items, why, delay_seconds)
    for item in items:
        _delete_written(context, item)


def _discard(task: Task, context: WorkerContext, item: ClaimedItem[Any]) -> None:
    _log.info("work had no effect: the lease is lost", resource=task.describe(item.payload))
    _delete_written(context, item)


def _delete_written(context: WorkerContext, item: ClaimedItem[Any]) -> None:
    """Deletes what an attempt wrote for nothing. What it belongs to may be erased, and nobody else looks here soon."""
    try:
        context.wait(context.store.delete_below(item.output_prefix.rstrip("/")))
    except UnavailableError as error:
        _log.warning("left to the garbage collection", prefix=item.output_prefix, why=str(error))


def _sentence(item: ClaimedItem[Any], error: Exception) -> str:
    # The details are the operator's, not the user's: they may name addresses and paths.
    where = f"the worker's log says more under correlation id {item.correlation_id}"
    if isinstance(error, SoftTimeLimitExceeded):
        return f"Processing took longer than its time limit; {where}."
    return f"Processing failed with {type(error).__name__}; {where}. Retry once the cause is mended."


@contextmanager
def _logged(task: Task, items: Sequence[ClaimedItem[Any]]) -> Iterator[None]:
    started = time.monotonic()
    for item in items:
        with bound_contextvars(correlation_id=item.correlation_id):
            resource = task.describe(item.payload)
            _log.info("work started", task=task.declaration.name, resource=resource, attempt=item.attempt)
    yield
    duration_ms = round(1000 * (time.monotonic() - started))
    for item in items:
        with bound_contextvars(correlation_id=item.correlation_id):
            resource = task.describe(item.payload)
            _log.info("work ended", task=task.declaration.name, resource=resource, duration_ms=duration_ms)
