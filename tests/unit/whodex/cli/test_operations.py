from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from google.protobuf.json_format import Parse
from typer.testing import Result

from whodex.errors import FailedPreconditionError
from whodex.v1 import error_reason_pb2
from whodex.v1.operations_service_pb2 import SmokeTestRequest, SmokeTestResponse

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

PASSED = SmokeTestResponse(task="whodex.analyze_reference_photo", passed=True, elapsed={"seconds": 2})
FAILED = SmokeTestResponse(task="whodex.delete_blobs", message="No worker took it; start one.")


def test_smoke_prints_a_line_for_each_task(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["SmokeTest"] = lambda _request: [PASSED]

    result = whodex("smoke", "--task-timeout", "5")

    assert result.exit_code == 0
    assert result.stdout.split() == ["whodex.analyze_reference_photo", "passed", "2.0", "s"]
    assert api.requests("SmokeTest") == [SmokeTestRequest(task_timeout={"seconds": 5})]
    assert api.keys["SmokeTest"] == api.admin_key


def test_smoke_fails_when_one_task_fails(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["SmokeTest"] = lambda _request: [FAILED, PASSED]

    result = whodex("smoke")

    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "No worker took it; start one." in result.stdout


def test_smoke_fails_when_nothing_was_tried(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["SmokeTest"] = lambda _request: []

    assert whodex("smoke").exit_code == 1


def test_smoke_json_is_one_response_a_line(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["SmokeTest"] = lambda _request: [PASSED, FAILED]

    lines = whodex("smoke", "-o", "json").stdout.splitlines()

    assert [Parse(line, SmokeTestResponse()) for line in lines] == [PASSED, FAILED]


def test_what_ended_before_an_error_is_printed(api: ScriptedApi, whodex: Whodex) -> None:
    def broken(_request: object) -> Iterator[SmokeTestResponse]:
        yield PASSED
        raise FailedPreconditionError("No media.", reason=error_reason_pb2.ERROR_REASON_SAMPLE_MEDIA_MISSING)

    api.answers["SmokeTest"] = broken

    result = whodex("smoke")

    assert result.exit_code == 1
    assert "whodex.analyze_reference_photo" in result.stdout
    assert result.stderr == "error: No media. [SAMPLE_MEDIA_MISSING]\n"
