from importlib.util import find_spec

import pytest

from whodex.stack.ordering import run_in_order
from whodex.stack.parts import PORT_NAMES, Part, all_parts, service_settings
from whodex.stack.state import Secrets, StateDirectory

PORTS = {name: 7700 + offset for offset, name in enumerate(PORT_NAMES)}
SECRETS = Secrets()


@pytest.fixture
def parts(state: StateDirectory) -> dict[str, Part]:
    return {part.name: part for part in all_parts(state, PORTS, SECRETS)}


async def test_every_part_can_start_in_some_order(parts: dict[str, Part]) -> None:
    started: list[str] = []

    async def start(name: str) -> None:
        started.append(name)

    await run_in_order({name: part.after for name, part in parts.items()}, start)

    assert sorted(started) == sorted(parts)


def test_only_the_api_server_can_open_the_database(parts: dict[str, Part]) -> None:
    holders = {name for name, part in parts.items() if "WHODEX_DATABASE_URL" in part.environment}
    assert holders == {"migrations", "api_server", "scheduler"}


def test_only_the_migrations_can_change_the_tables(parts: dict[str, Part]) -> None:
    holders = {name for name, part in parts.items() if "WHODEX_DATABASE_OWNER_URL" in part.environment}
    assert holders == {"migrations"}
    owner = SECRETS.postgres_password
    assert {name for name, part in parts.items() if owner in str(part.environment)} == {"migrations"}


def test_the_admin_key_is_given_to_the_api_server_alone(parts: dict[str, Part]) -> None:
    assert {name for name, part in parts.items() if "WHODEX_ADMIN_KEY" in part.environment} == {"api_server"}


def test_a_setting_of_another_stack_is_not_inherited(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_DATABASE_URL", "postgresql://production")
    monkeypatch.setenv("WHODEX_LOG_LEVEL", "debug")
    worker = next(part for part in all_parts(state, PORTS, SECRETS) if part.name == "photo_worker")
    assert "WHODEX_DATABASE_URL" not in worker.environment
    assert worker.environment["WHODEX_LOG_LEVEL"] == "debug"


def test_no_secret_stands_on_a_command_line(parts: dict[str, Part]) -> None:
    words = " ".join(word for part in parts.values() for word in part.command)
    assert not [secret for secret in SECRETS.model_dump().values() if secret in words]


def test_everything_listens_on_loopback(state: StateDirectory) -> None:
    settings = service_settings(state, PORTS, SECRETS)
    listening = {name: value for name, value in settings.items() if name.endswith("_LISTEN")}
    assert listening
    assert all(value.startswith("127.0.0.1:") for value in listening.values())


def test_every_python_part_is_a_module_of_an_installed_package(parts: dict[str, Part]) -> None:
    modules = {part.command[2] for part in parts.values() if part.command[1:2] == ("-m",)}
    assert modules
    assert [module for module in modules if find_spec(module) is None] == []
