"""The tasks that `tasks.proto` declares.

What a task is called, where it queues and how often it is tried stands there and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from google.protobuf.message import Message

from whodex.v1 import task_options_pb2, tasks_pb2


@dataclass(frozen=True)
class TaskDeclaration:
    """A payload message that carries the task option."""

    name: str
    queue: str
    payload_class: type[Message]
    result_class: type[Message]
    max_claim: int
    max_attempts: int
    initial_backoff: timedelta
    max_backoff: timedelta
    soft_time_limit: timedelta
    time_limit: timedelta


@cache
def declared_tasks() -> dict[str, TaskDeclaration]:
    """All tasks by their Celery name."""
    messages: list[type[Message]] = [getattr(tasks_pb2, name) for name in tasks_pb2.DESCRIPTOR.message_types_by_name]
    declarations = [_declaration(message, options) for message in messages if (options := _options(message))]
    return {one.name: one for one in declarations}


def declaration_of(payload: Message) -> TaskDeclaration:
    """The task whose payload this message is; TypeError if it is none."""
    options = _options(type(payload))
    if options is None:
        raise TypeError(f"{payload.DESCRIPTOR.full_name} is not the payload of a task")
    return declared_tasks()[options.name]


def _options(message: type[Message]) -> task_options_pb2.TaskOptions | None:
    options = message.DESCRIPTOR.GetOptions()
    return options.Extensions[task_options_pb2.task] if options.HasExtension(task_options_pb2.task) else None


def _declaration(payload: type[Message], options: task_options_pb2.TaskOptions) -> TaskDeclaration:
    return TaskDeclaration(
        name=options.name,
        queue=options.queue,
        payload_class=payload,
        result_class=getattr(tasks_pb2, options.result.removeprefix("whodex.v1.")),
        max_claim=options.max_claim,
        max_attempts=options.max_attempts,
        initial_backoff=options.initial_backoff.ToTimedelta(),
        max_backoff=options.max_backoff.ToTimedelta(),
        soft_time_limit=options.soft_time_limit.ToTimedelta(),
        time_limit=options.time_limit.ToTimedelta(),
    )
