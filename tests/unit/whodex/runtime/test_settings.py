from __future__ import annotations

from pathlib import Path

import pytest

from whodex.runtime.settings import RotatingSecret, Secret, Settings, live_secrets, load_settings

OLD, NEW = "the-old-one-of-the-tests", "the-new-one-of-the-tests"


class _Settings(Settings):
    admin_key: RotatingSecret
    broker_url: Secret


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of secrets, and nothing in the environment but its name."""
    monkeypatch.setenv("WHODEX_SECRETS_DIR", str(tmp_path))
    for name in ("WHODEX_ADMIN_KEY", "WHODEX_BROKER_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "whodex_admin_key").write_text(f"{OLD}\n")
    (tmp_path / "whodex_broker_url").write_text("redis://of-the-file\n")
    return tmp_path


def test_secrets_are_read_from_files() -> None:
    settings = load_settings(_Settings)
    assert live_secrets(settings.admin_key) == [OLD]
    assert settings.broker_url.get_secret_value() == "redis://of-the-file"


def test_the_environment_wins_over_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHODEX_BROKER_URL", "redis://of-the-environment")
    assert load_settings(_Settings).broker_url.get_secret_value() == "redis://of-the-environment"


def test_a_folder_that_is_missing_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WHODEX_SECRETS_DIR", str(tmp_path / "missing"))
    with pytest.raises(SystemExit, match=r"WHODEX_SECRETS_DIR: .*missing is no folder"):
        load_settings(_Settings)


@pytest.mark.parametrize("separator", ["\n", ",", ", ", " "])
def test_two_secrets_live_while_one_replaces_the_other(folder: Path, separator: str) -> None:
    (folder / "whodex_admin_key").write_text(OLD + separator + NEW)
    assert live_secrets(load_settings(_Settings).admin_key) == [OLD, NEW]


@pytest.mark.parametrize(
    ("written", "problem"),
    [("", "one secret, or two"), (f"{OLD},{NEW},{OLD}", "one secret, or two"), (f"{OLD},short", "at least 16")],
)
def test_what_is_no_secret_is_one_line_that_does_not_show_it(folder: Path, written: str, problem: str) -> None:
    (folder / "whodex_admin_key").write_text(written)
    with pytest.raises(SystemExit) as caught:
        load_settings(_Settings)
    assert str(caught.value).startswith("cannot start: WHODEX_ADMIN_KEY: ")
    assert problem in str(caught.value)
    assert OLD not in str(caught.value)
