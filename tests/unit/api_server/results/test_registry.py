from __future__ import annotations

import pytest

from api_server.results.registry import EFFECTS, TaskEffect, UnappliedTaskError, effects_by_task
from whodex.runtime.tasks import declared_tasks
from whodex.v1 import tasks_pb2


def test_every_declared_task_has_an_effect():
    assert effects_by_task().keys() == declared_tasks().keys()


def test_a_task_without_an_effect_keeps_the_server_from_starting():
    effects = {payload: effect for payload, effect in EFFECTS.items() if payload is not tasks_pb2.DeleteBlobsPayload}

    with pytest.raises(UnappliedTaskError, match=r"whodex\.delete_blobs"):
        effects_by_task(effects)


def test_an_effect_of_no_declared_task_keeps_the_server_from_starting():
    async def apply(session, completed):
        """Never runs."""

    effects = {**EFFECTS, tasks_pb2.StagedBlob: TaskEffect(apply, str)}

    with pytest.raises(TypeError, match="StagedBlob"):
        effects_by_task(effects)


@pytest.mark.parametrize(
    ("payload", "description"),
    [
        (
            tasks_pb2.AnalyzeReferencePhotoPayload(photo="libraries/l/people/p/photos/f"),
            "libraries/l/people/p/photos/f",
        ),
        (tasks_pb2.ProcessVideoPayload(video="libraries/l/videos/v"), "libraries/l/videos/v"),
        (tasks_pb2.DeleteBlobsPayload(content_keys=["a", "b"]), "2 blobs"),
    ],
)
def test_the_log_names_what_work_is_about(payload, description):
    assert EFFECTS[type(payload)].describe(payload) == description
