from __future__ import annotations

import json
from pathlib import Path

import pytest

from whodex.client import ConfigurationError, find_configuration
from whodex.client.transport import ClientTls

LIBRARY = "libraries/00000000-0000-0000-0000-000000000001"
OTHER = "libraries/00000000-0000-0000-0000-000000000002"

pytestmark = pytest.mark.usefixtures("no_configuration")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    (tmp_path / "client.json").write_text(
        f'{{"address": "127.0.0.1:1", "library": "{LIBRARY}", "api_key": "local", "admin_key": "local-admin"}}'
    )
    return tmp_path


def test_the_state_directory_gives_all(state_dir: Path) -> None:
    found = find_configuration(state_dir=state_dir)

    assert (found.address, found.library, found.api_key, found.admin_key) == (
        "127.0.0.1:1",
        LIBRARY,
        "local",
        "local-admin",
    )
    assert found.source == str(state_dir)


def test_the_state_directory_can_come_from_the_environment(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_STATE_DIR", str(state_dir))

    assert find_configuration().address == "127.0.0.1:1"


def test_the_environment_overrides_the_state_directory(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_API_KEY", "mine")
    monkeypatch.setenv("WHODEX_LIBRARY", OTHER)

    found = find_configuration(state_dir=state_dir)

    assert (found.address, found.library, found.api_key) == ("127.0.0.1:1", OTHER, "mine")


def test_an_argument_overrides_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WHODEX_ADDRESS", "WHODEX_API_KEY", "WHODEX_ADMIN_KEY", "WHODEX_LIBRARY"):
        monkeypatch.setenv(name, "of the environment")

    found = find_configuration(address="127.0.0.1:2", library=LIBRARY, api_key="mine", admin_key="boss")

    assert (found.address, found.library, found.api_key, found.admin_key) == ("127.0.0.1:2", LIBRARY, "mine", "boss")


@pytest.mark.parametrize("by_environment", [True, False])
def test_the_local_stacks_keys_are_never_sent_to_another_address(
    state_dir: Path, monkeypatch: pytest.MonkeyPatch, *, by_environment: bool
) -> None:
    if by_environment:
        monkeypatch.setenv("WHODEX_ADDRESS", "elsewhere:443")

    found = find_configuration(address=None if by_environment else "elsewhere:443", state_dir=state_dir)

    assert found.address == "elsewhere:443"
    assert (found.library, found.api_key, found.admin_key) == (None, None, None)


def test_naming_the_local_address_keeps_the_local_keys(state_dir: Path) -> None:
    assert find_configuration(address="127.0.0.1:1", state_dir=state_dir).api_key == "local"


def test_the_local_stacks_authority_is_trusted_at_its_address(state_dir: Path) -> None:
    known = json.loads((state_dir / "client.json").read_text())
    (state_dir / "client.json").write_text(json.dumps(known | {"tlsCa": "/the/ca.pem"}))

    for found in (
        find_configuration(state_dir=state_dir),
        find_configuration(address="127.0.0.1:1", state_dir=state_dir),
    ):
        assert found.tls == ClientTls(ca=Path("/the/ca.pem"))


@pytest.mark.parametrize(
    ("address", "host", "encrypted"),
    [
        ("127.0.0.1:7700", "127.0.0.1:7700", False),
        ("localhost:7700", "localhost:7700", False),
        ("[::1]:7700", "[::1]:7700", False),
        ("whodex.example:7700", "whodex.example:7700", True),
        ("https://127.0.0.1:7700", "127.0.0.1:7700", True),
        ("https://whodex.example", "whodex.example:443", True),
        ("https://[2001:db8::1]/", "[2001:db8::1]:443", True),
        ("http://whodex.example:7700", "whodex.example:7700", False),
    ],
)
def test_the_address_says_whether_to_speak_tls(address: str, host: str, *, encrypted: bool) -> None:
    found = find_configuration(address=address)

    assert (found.address, found.tls is not None) == (host, encrypted)


def test_an_authority_that_is_named_means_tls_on_this_machine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_TLS_CA", "/the/ca.pem")

    assert find_configuration(address="127.0.0.1:7700").tls == ClientTls(ca=Path("/the/ca.pem"))
    assert find_configuration(address="127.0.0.1:7700", tls_ca="/mine.pem").tls == ClientTls(ca=Path("/mine.pem"))
    assert find_configuration(address="http://127.0.0.1:7700").tls is None


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="looks like https://host:port"):
        find_configuration(address="grpc://whodex.example:7700")


def test_without_any_address_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"Run `whodex up`, or set WHODEX_ADDRESS"):
        find_configuration(state_dir=tmp_path)


def test_a_library_that_is_none_is_refused(state_dir: Path) -> None:
    with pytest.raises(ConfigurationError, match='"holidays" names no library'):
        find_configuration(state_dir=state_dir, library="holidays")


def test_no_key_shows_in_a_representation(state_dir: Path) -> None:
    assert "local" not in repr(find_configuration(state_dir=state_dir))
