from __future__ import annotations

import importlib
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import Result

if TYPE_CHECKING:
    from tests.unit.whodex.conftest import ScriptedApi

Whodex = Callable[..., Result]

OTHER_LIBRARY = "00000000-0000-0000-0000-000000000001"

PLUGIN = """
import typer

app = typer.Typer(help="Spoons.")

@app.command()
def bend() -> None:
    typer.echo("bent")

@app.command()
def hide() -> None:
    typer.echo("hidden")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Installs a distribution that adds the command `spoon`, implemented by the module text given."""

    def run(entry_point: str, source: str) -> None:
        metadata = tmp_path / "spoon-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: spoon\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[whodex.commands]\nspoon = {entry_point}\n")
        (tmp_path / "spoon_cli.py").write_text(source)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "spoon_cli", raising=False)
        importlib.invalidate_caches()

    return run


def test_a_service_adds_its_commands_by_an_entry_point(whodex: Whodex, install: Callable[[str, str], None]) -> None:
    install("spoon_cli:app", PLUGIN)

    assert whodex("spoon", "bend").stdout == "bent\n"
    assert "Spoons." in whodex("--help").stdout


def test_an_added_command_is_imported_only_when_it_is_used(whodex: Whodex, install: Callable[[str, str], None]) -> None:
    install("spoon_cli:app", PLUGIN)

    whodex("person", "list")

    assert "spoon_cli" not in sys.modules


def test_a_command_whose_packages_are_missing_says_so_and_breaks_no_other(
    whodex: Whodex, install: Callable[[str, str], None]
) -> None:
    install("spoon_cli:app", "import a_package_that_is_not_installed\n")

    result = whodex("spoon", "bend", "--quickly")

    assert result.exit_code == 1
    assert result.stderr == (
        "error: `whodex spoon` needs more packages (No module named 'a_package_that_is_not_installed'): "
        "install whodex[spoon-cli].\n"
    )
    assert "needs the extra 'spoon-cli'" in whodex("--help").stdout
    assert whodex("person", "list").exit_code == 0


def test_a_command_whose_packages_are_missing_names_the_extra_that_its_entry_point_does(
    whodex: Whodex, install: Callable[[str, str], None]
) -> None:
    install("spoon_cli:app [cutlery]", "import a_package_that_is_not_installed\n")

    assert "install whodex[cutlery]." in whodex("spoon").stderr


def test_the_state_directory_option_reaches_every_command(
    api: ScriptedApi, whodex: Whodex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WHODEX_ADDRESS", "WHODEX_LIBRARY", "WHODEX_API_KEY", "WHODEX_ADMIN_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "client.json").write_text(
        f'{{"address": "{api.address}", "library": "{api.library}", "api_key": "{api.api_key}", "admin_key": "a"}}'
    )

    assert whodex("--state-dir", tmp_path, "person", "list").exit_code == 0
    assert api.requests("ListPeople")[0].parent == api.library


@pytest.mark.parametrize("other", [f"libraries/{OTHER_LIBRARY}", OTHER_LIBRARY])
def test_the_address_and_library_options_override_the_environment(api: ScriptedApi, whodex: Whodex, other: str) -> None:
    assert whodex("--address", api.address, "--library", other, "person", "list").exit_code == 0
    assert api.requests("ListPeople")[0].parent == f"libraries/{OTHER_LIBRARY}"


def test_no_option_takes_a_key(whodex: Whodex) -> None:
    assert "--api-key" not in whodex("--help").stdout
    assert whodex("--api-key", "secret", "person", "list").exit_code == 2


def test_a_server_that_does_not_answer_is_named(whodex: Whodex) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        result = whodex("--address", address, "person", "create", "Ada")

    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: Nothing answers at {address} (from the address given).")


def test_a_missing_configuration_says_what_to_do(whodex: Whodex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WHODEX_ADDRESS")

    result = whodex("person", "list")

    assert result.exit_code == 1
    assert "Run `whodex up`" in result.stderr


def test_the_command_line_starts_as_a_process() -> None:
    command = [sys.executable, "-m", "whodex.cli", "person", "--help"]

    process = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "add-photo" in process.stdout
