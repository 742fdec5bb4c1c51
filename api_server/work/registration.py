"""What a worker must bring to be let at the work of this deployment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import RowMapping, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.engine import Database
from api_server.database.schema import EmbeddingSpace
from api_server.operations.decoders import report_decoder_host
from whodex.errors import FailedPreconditionError
from whodex.runtime.log import get_logger
from whodex.runtime.tasks import declared_tasks
from whodex.v1 import embedding_pb2, error_reason_pb2, work_service_pb2

# Two first workers of different models must not both become the first.
_LOCK = text("LOCK TABLE embedding_spaces IN SHARE ROW EXCLUSIVE MODE")
_SPACES = select(EmbeddingSpace.space, EmbeddingSpace.dimension, EmbeddingSpace.model, EmbeddingSpace.thresholds)
_log = get_logger()


async def register(database: Database, request: work_service_pb2.RegisterWorkerRequest) -> None:
    """Lets a worker in if it does exactly the declared tasks, and its model is the one that this deployment uses.

    The first worker's model becomes that.

    Raises:
        FailedPreconditionError: WORKER_MISMATCH, naming everything that differs.
    """
    offered = _row(request.embedding_space)
    async with database.transaction() as session:
        await session.execute(_LOCK)
        registered = (await session.execute(_SPACES)).mappings().first()
        differences = [*_task_differences(request.tasks), *_space_differences(registered, offered)]
        if differences:
            raise _mismatch(request.worker, differences)
        if registered is None:
            await _register(session, offered)
        # A worker's name begins with its host.
        await report_decoder_host(session, request.worker.partition("/")[0], request.missing_sandbox_layers)
    _log.info("worker registered", worker=request.worker, space=request.embedding_space.space)


async def _register(session: AsyncSession, offered: dict[str, Any]) -> None:
    await session.execute(insert(EmbeddingSpace), offered)


def _task_differences(tasks: Sequence[str]) -> Iterator[str]:
    declared = declared_tasks().keys()
    for task in sorted(declared - set(tasks)):
        yield f"it does not implement {task}"
    for task in sorted(set(tasks) - declared):
        yield f"it implements {task}, which is not declared"


def _space_differences(registered: RowMapping | None, offered: dict[str, Any]) -> Iterator[str]:
    if registered is None:
        return
    for name, value in registered.items():
        if offered[name] != value:
            yield f"its model's {name} is {offered[name]!r} and not {value!r}"


def _row(space: embedding_pb2.EmbeddingSpace) -> dict[str, Any]:
    thresholds = [
        {
            "false_match_rate": threshold.false_match_rate,
            "similarity": threshold.similarity,
            "extrapolated": threshold.extrapolated,
        }
        for threshold in sorted(space.thresholds, key=lambda threshold: threshold.false_match_rate)
    ]
    return {"space": space.space, "dimension": space.dimension, "model": space.model, "thresholds": thresholds}


def _mismatch(worker: str, differences: Sequence[str]) -> FailedPreconditionError:
    return FailedPreconditionError(
        f"Worker {worker} does not fit this deployment: {'; '.join(differences)}. "
        "Deploy workers and api_server of the same release, with the model that the embeddings were made with.",
        reason=error_reason_pb2.ERROR_REASON_WORKER_MISMATCH,
    )
