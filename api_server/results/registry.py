"""Which result does what. A declared task without an entry keeps the api_server from starting."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from sqlalchemy.ext.asyncio import AsyncSession

from api_server.results.completed import Completed
from api_server.results.photos import apply_photos
from api_server.results.resources import Resource
from api_server.results.videos import apply_videos
from whodex.runtime.tasks import declaration_of, declared_tasks
from whodex.v1 import tasks_pb2

# Writes what the results say, in the caller's transaction; the work items' rows are locked. What it raises undoes all.
Apply = Callable[[AsyncSession, Sequence[Completed]], Awaitable[None]]


class UnappliedTaskError(Exception):
    """A declared task's result would have no effect."""


@dataclass(frozen=True)
class TaskEffect:
    """What a task means for the database.

    Attributes:
        apply: writes the results.
        describe: names what an item's payload is about, for the log.
        resource: what its items work for; None: nothing that has a state.
        part: the message of a large result's parts; None: the result comes in one piece.
    """

    apply: Apply
    describe: Callable[[Any], str]
    resource: Resource | None = None
    part: type[Message] | None = None


async def _nothing(session: AsyncSession, completed: Sequence[Completed]) -> None:
    """The work was the effect."""


EFFECTS: Mapping[type[Message], TaskEffect] = {
    tasks_pb2.AnalyzeReferencePhotoPayload: TaskEffect(apply_photos, lambda payload: payload.photo, Resource.PHOTO),
    tasks_pb2.ProcessVideoPayload: TaskEffect(
        apply_videos, lambda payload: payload.video, Resource.VIDEO, tasks_pb2.ProcessVideoPart
    ),
    tasks_pb2.DeleteBlobsPayload: TaskEffect(_nothing, lambda payload: f"{len(payload.content_keys)} blobs"),
}


def effects_by_task(effects: Mapping[type[Message], TaskEffect] = EFFECTS) -> Mapping[str, TaskEffect]:
    """Returns the effect of each declared task by its Celery name.

    Raises:
        UnappliedTaskError: a declared task has no effect.
        TypeError: an effect belongs to a message that is not the payload of a task.
    """
    by_task = {declaration_of(payload()).name: effect for payload, effect in effects.items()}
    missing = sorted(declared_tasks().keys() - by_task.keys())
    if missing:
        raise UnappliedTaskError(
            f"declared tasks whose results nobody applies: {', '.join(missing)}; "
            "add them to api_server/results/registry.py"
        )
    return by_task
