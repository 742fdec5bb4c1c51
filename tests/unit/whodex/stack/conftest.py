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
def exists() -> Callable[[Path], Probe]:
    """Makes a probe of a part that is ready once it has written a file."""

    def make(path: Path) -> Probe:
        async def probe() -> None:
            if not path.exists():
                raise NotReadyError(f"no {path.name}")

        return probe

    return make
