from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING
from uuid import uuid4

from typer.testing import Result

from whodex.v1.library_service_pb2 import (
    CreateApiKeyRequest,
    CreateApiKeyResponse,
    ListApiKeysResponse,
    RevokeApiKeyRequest,
    RevokeApiKeyResponse,
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
    assert api.requests("CreateApiKey")[0] == CreateApiKeyRequest(parent=api.library, display_name="laptop")


def test_list_tells_which_keys_are_revoked(api: ScriptedApi, whodex: Whodex) -> None:
    revoked = {**KEY, "revoke_time": {"seconds": 1_600_000_000}}
    api.answers["ListApiKeys"] = lambda _request: ListApiKeysResponse(api_keys=[KEY, revoked])

    first, second = [line for line in whodex("key", "list").stdout.splitlines() if "laptop" in line]

    assert "2020-09" not in first
    assert "2020-09" in second


def test_a_key_is_revoked_by_its_id(api: ScriptedApi, whodex: Whodex) -> None:
    api.answers["RevokeApiKey"] = lambda _request: RevokeApiKeyResponse(api_key=KEY)

    assert "laptop" in whodex("key", "revoke", ID).stdout
    assert api.requests("RevokeApiKey") == [RevokeApiKeyRequest(name=f"{api.library}/apiKeys/{ID}")]
