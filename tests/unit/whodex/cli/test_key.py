from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from typer.testing import Result

from whodex.v1.library_pb2 import ApiKey
from whodex.v1.library_service_pb2 import (
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    ListApiKeysResponse,
    RevokeApiKeyRequest,
    RevokeApiKeyResponse,
    RotateApiKeyResponse,
)

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

ID = str(uuid4())
KEY = {"name": f"libraries/{uuid4()}/apiKeys/{ID}", "display_name": "laptop", "prefix": "wdx_ab"}
SECRET = "wdx_abcdef"  # noqa: S105 - opens nothing


def test_create_shows_the_secret_once(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["CreateApiKey"] = lambda _request: CreateApiKeyResponse(api_key=KEY, secret=SECRET)

    assert SECRET in whodex("key", "create", "laptop").stdout
    assert json.loads(whodex("key", "create", "laptop", "-o", "json").stdout)["secret"] == SECRET
    created = CreateApiKeyRequest(parent=api.library, display_name="laptop", role=ApiKey.ROLE_WRITE)
    assert api.requests("CreateApiKey")[0] == created


def test_a_new_key_has_the_role_and_the_life_that_are_asked_for(api: ScriptedApi, whodex: Whodex) -> None:
    whodex("key", "create", "laptop", "--role", "read", "--ttl", "90d")

    (request,) = api.requests("CreateApiKey")
    assert (request.role, request.ttl.ToTimedelta()) == (ApiKey.ROLE_READ, timedelta(days=90))


@pytest.mark.parametrize("span", ["90", "d", "-1d", "1w", "9" * 7 + "d"])
def test_a_span_that_is_none_is_explained(api: ScriptedApi, whodex: Whodex, span: str) -> None:
    result = whodex("key", "create", "laptop", f"--ttl={span}")

    assert result.exit_code == 2
    assert "such as 90d" in result.output
    assert api.calls == []


def test_rotate_shows_both_keys_and_the_new_secret(api: ScriptedApi, whodex: Whodex) -> None:
    successor = {**KEY, "display_name": "successor"}
    api.answers["RotateApiKey"] = lambda _request: RotateApiKeyResponse(api_key=successor, secret=SECRET, rotated=KEY)

    shown = whodex("key", "rotate", ID, "--overlap", "12h", "--ttl", "30m").stdout

    assert all(text in shown for text in ("laptop", "successor", SECRET))
    (request,) = api.requests("RotateApiKey")
    assert request.name == f"{api.library}/apiKeys/{ID}"
    assert (request.overlap.ToTimedelta(), request.ttl.ToTimedelta()) == (timedelta(hours=12), timedelta(minutes=30))


def test_list_tells_which_keys_have_ended(api: ScriptedApi, whodex: Whodex) -> None:
    revoked = {**KEY, "revoke_time": {"seconds": 1_600_000_000}, "state": ApiKey.STATE_REVOKED}
    api.answers["ListApiKeys"] = lambda _request: ListApiKeysResponse(api_keys=[KEY, revoked])

    first, second = [line for line in whodex("key", "list").stdout.splitlines() if "laptop" in line]

    assert "2020-09" not in first
    assert "2020-09" in second
    assert "REVOKED" in second


def test_a_key_is_revoked_by_its_id(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["RevokeApiKey"] = lambda _request: RevokeApiKeyResponse(api_key=KEY)

    assert "laptop" in whodex("key", "revoke", ID).stdout
    assert api.requests("RevokeApiKey") == [RevokeApiKeyRequest(name=f"{api.library}/apiKeys/{ID}")]
