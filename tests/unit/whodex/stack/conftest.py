from collections.abc import Callable
from pathlib import Path

import pytest

from whodex.stack.probes import NotReadyError, Probe
from whodex.stack.state import StateDirectory


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    """A state directory that exists."""
    made = StateDirectory(tmp_path / "state")
    made.create()
    return made


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment that answers nobody."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    for name in ("grpc_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def exists() -> Callable[[Path], Probe]:
    """Makes a probe of a part that is ready once it has written a file."""

    def make(path: Path) -> Probe:
        async def probe() -> None:
            if not path.exists():
                raise NotReadyError(f"no {path.name}")

        return probe

    return make
