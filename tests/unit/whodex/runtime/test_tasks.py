from __future__ import annotations

import pytest

from whodex.runtime.tasks import declaration_of, declared_tasks
from whodex.v1 import tasks_pb2


def test_every_payload_message_is_a_declared_task():
    payloads = {name for name in tasks_pb2.DESCRIPTOR.message_types_by_name if name.endswith("Payload")}
    assert {task.payload_class.__name__ for task in declared_tasks().values()} == payloads


def test_a_task_is_found_by_its_payload():
    task = declaration_of(tasks_pb2.ProcessVideoPayload())
    assert task.name == "whodex.process_video"
    assert task.result_class is tasks_pb2.ProcessVideoResult


@pytest.mark.parametrize("task", declared_tasks().values(), ids=lambda task: task.name)
def test_the_limits_of_a_task_make_sense(task):
    assert task.queue
    assert task.max_claim >= 1
    assert task.max_attempts >= 1
    assert task.initial_backoff < task.max_backoff
    assert task.soft_time_limit < task.time_limit


def test_another_message_is_no_payload():
    with pytest.raises(TypeError, match="ProcessVideoResult"):
        declaration_of(tasks_pb2.ProcessVideoResult())
