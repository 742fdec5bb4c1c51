"""Which similarity a false match rate stands for."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.database.schema import EmbeddingSpace
from whodex.errors import FailedPreconditionError, FieldViolation, InvalidArgumentError
from whodex.v1 import embedding_pb2, error_reason_pb2
from whodex.v1.embedding_pb2 import FalseMatchRate, Threshold

DEFAULT_RATE = embedding_pb2.FALSE_MATCH_RATE_ONE_IN_1000


async def registered_space(session: AsyncSession) -> EmbeddingSpace:
    """Returns the space of this deployment's model, with its thresholds.

    Raises:
        FailedPreconditionError: MODEL_NOT_REGISTERED, no worker has ever started.
    """
    space = (await session.scalars(select(EmbeddingSpace))).one_or_none()
    if space is None:
        raise FailedPreconditionError(
            "No model is registered: no worker has started yet. Start one, then search again.",
            reason=error_reason_pb2.ERROR_REASON_MODEL_NOT_REGISTERED,
        )
    return space


def threshold_for(space: EmbeddingSpace, rate: FalseMatchRate.ValueType) -> Threshold:
    """Returns the threshold that the model's calibration gives for a rate; unspecified means one in 1000.

    Raises:
        InvalidArgumentError: INVALID_FIELD, the calibration does not have this rate.
    """
    wanted = rate or DEFAULT_RATE
    for row in space.thresholds:
        if row["false_match_rate"] == wanted:
            return Threshold(false_match_rate=wanted, similarity=row["similarity"], extrapolated=row["extrapolated"])
    known = ", ".join(FalseMatchRate.Name(row["false_match_rate"]) for row in space.thresholds)
    problem = f"{FalseMatchRate.Name(wanted)} is not in the calibration of {space.model}, which has {known}"
    raise InvalidArgumentError(
        f"{problem}.",
        reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
        violations=[FieldViolation("false_match_rate", problem)],
    )
