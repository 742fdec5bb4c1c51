from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from whodex.cli.app import app

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi


@pytest.fixture
def whodex(api: ScriptedApi, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the command line, in this process, against the scripted API."""
    monkeypatch.setenv("WHODEX_ADDRESS", api.address)
    monkeypatch.setenv("WHODEX_LIBRARY", api.library)
    monkeypatch.setenv("WHODEX_API_KEY", api.api_key)
    monkeypatch.setenv("WHODEX_ADMIN_KEY", api.admin_key)

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
