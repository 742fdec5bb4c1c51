from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from grpc_health.v1 import health_pb2
from typer.testing import Result

from whodex.v1.decoder_pb2 import (
    SANDBOX_LAYER_LANDLOCK,
    SANDBOX_LAYER_NAMESPACES,
    SANDBOX_LAYER_SECCOMP,
    DecoderHost,
)
from whodex.v1.operations_service_pb2 import ListTasksResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

TASK = "whodex.analyze_reference_photo"


def _tasks(age_seconds: int) -> ListTasksResponse:
    task = {"task": TASK, "queue": "photos", "waiting_count": 2, "oldest_waiting_age": {"seconds": age_seconds}}
    return ListTasksResponse(tasks=[task])


def test_a_healthy_deployment_has_a_line_for_each_check(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["ListTasks"] = lambda _request: _tasks(age_seconds=1)

    result = whodex("doctor")

    assert result.exit_code == 0
    assert "BAD" not in result.stdout
    checks = [line.removeprefix("ok").partition(":")[0].strip() for line in result.stdout.splitlines()]
    assert checks == [
        "configuration",
        "address",
        "AuditService",
        "ContentService",
        "ErasureService",
        "LibraryService",
        "OperationsService",
        "PeopleService",
        "SearchService",
        "UploadService",
        "VideoService",
        "key",
        TASK,
    ]


def test_work_that_waits_for_long_is_found(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["ListTasks"] = lambda _request: _tasks(age_seconds=300)

    result = whodex("doctor")

    assert result.exit_code == 1
    assert f"BAD {TASK}: 2 waiting, 0 running, the oldest waiting for 300 s" in result.stdout
    assert "worker of the queue photos" in result.stdout


def test_layers_that_decoders_lack_are_named(api: ScriptedApi, whodex: Whodex) -> None:
    hosts = [
        DecoderHost(host="whole"),
        DecoderHost(host="container", missing_layers=[SANDBOX_LAYER_NAMESPACES]),
    ]
    api.answers["ListTasks"] = lambda _request: ListTasksResponse(decoder_hosts=hosts)

    result = whodex("doctor")

    assert result.exit_code == 0
    assert "ok  decoders on whole: locked down by every layer" in result.stdout
    assert "ok  decoders on container: locked down without namespaces" in result.stdout


def test_decoders_that_lack_every_layer_are_found(api: ScriptedApi, whodex: Whodex) -> None:
    layers = [SANDBOX_LAYER_SECCOMP, SANDBOX_LAYER_LANDLOCK, SANDBOX_LAYER_NAMESPACES]
    host = DecoderHost(host="old", missing_layers=layers)
    api.answers["ListTasks"] = lambda _request: ListTasksResponse(decoder_hosts=[host])

    result = whodex("doctor")

    assert result.exit_code == 1
    assert "BAD decoders on old: locked down without seccomp, landlock, namespaces" in result.stdout


def test_a_service_that_does_not_serve_is_found(api: ScriptedApi, whodex: Whodex) -> None:
    api.health.set("whodex.v1.SearchService", health_pb2.HealthCheckResponse.NOT_SERVING)

    result = whodex("doctor")

    assert result.exit_code == 1
    assert "BAD SearchService: not serving" in result.stdout


def test_a_key_that_is_refused_is_found(whodex: Whodex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_API_KEY", "revoked")

    result = whodex("doctor")

    assert result.exit_code == 1
    assert "BAD key: No such key." in result.stdout


def test_without_an_admin_key_the_tasks_are_left_out(
    api: ScriptedApi, whodex: Whodex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WHODEX_ADMIN_KEY")

    result = whodex("doctor")

    assert result.exit_code == 0
    assert "WHODEX_ADMIN_KEY" in result.stdout
    assert not api.requests("ListTasks")


def test_a_server_that_is_away_ends_the_examination(whodex: Whodex, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WHODEX_ADDRESS", f"127.0.0.1:{silent.getsockname()[1]}")
        lines = [json.loads(line) for line in whodex("doctor", "-o", "json").stdout.splitlines()]

    assert [(line["check"], line["ok"]) for line in lines] == [("configuration", True), ("address", False)]
    assert "whodex up" in lines[-1]["advice"]


def test_a_missing_configuration_is_found(whodex: Whodex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHODEX_ADDRESS")

    result = whodex("doctor")

    assert result.exit_code == 1
    assert "BAD configuration: No Whodex server is known" in result.stdout
