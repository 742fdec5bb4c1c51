"""The local stack and the services meet in environment variables, which no type checker sees."""

import re
from pathlib import Path

import pytest

from api_server.database.command_line import UpgradeSettings
from api_server.limits.limits import LimitSettings
from api_server.scheduler.settings import SchedulerSettings
from api_server.settings import ServerSettings
from indexer.settings import IndexerSettings
from inference.analysis.settings import AnalysisSettings
from inference.worker.settings import WorkerSettings
from whodex.runtime.settings import Settings
from whodex.stack.certificates import StackTls
from whodex.stack.parts import MESH_PARTS, PORT_NAMES, Part, all_parts
from whodex.stack.state import Secrets, StateDirectory

ROOT = Path(__file__).parents[2]
READERS: dict[str, type[Settings]] = {
    "migrations": UpgradeSettings,
    "api_server": ServerSettings,
    "scheduler": SchedulerSettings,
    "indexer": IndexerSettings,
    "analysis": AnalysisSettings,
    "photo_worker": WorkerSettings,
    "video_worker": WorkerSettings,
}


@pytest.fixture(params=[False, True], ids=["plaintext", "TLS"])
def parts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    monkeypatch.delenv("WHODEX_STATE_DIR", raising=False)
    ports = {name: 7700 + offset for offset, name in enumerate(PORT_NAMES)}
    state = StateDirectory(tmp_path)
    tls = StackTls.of(state) if request.param else None
    if tls is not None:
        tls.issue(MESH_PARTS)
    return {part.name: part for part in all_parts(state, ports, Secrets(), tls)}


@pytest.mark.parametrize("name", READERS)
def test_a_service_is_given_what_it_reads_and_nothing_else(parts: dict[str, Part], name: str) -> None:
    # The limits keep their defaults, or what the user's environment says.
    fields = READERS[name].model_fields.keys() - LimitSettings.model_fields.keys()
    read = {f"WHODEX_{field.upper()}" for field in fields}
    given = {variable for variable in parts[name].environment if variable.startswith("WHODEX_")}
    assert given == read


@pytest.mark.parametrize("name", READERS)
def test_a_service_accepts_the_values(parts: dict[str, Part], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in parts[name].environment.items():
        monkeypatch.setenv(variable, value)
    READERS[name]()


def test_every_python_process_is_covered(parts: dict[str, Part]) -> None:
    python = {name for name, part in parts.items() if part.command[1:2] == ("-m",)}
    assert python - {"triton", "smoke_media"} == set(READERS)


def test_the_operations_page_lists_every_variable_of_the_services_and_no_other() -> None:
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("### Of the services")[2].partition("\n## ")[0]
    listed = [
        name for row in re.findall(r"^\| ([^|]+) \|", section, re.MULTILINE) for name in re.findall(r"WHODEX_\w+", row)
    ]
    read = {f"WHODEX_{field.upper()}" for settings in READERS.values() for field in settings.model_fields}
    assert sorted(listed) == sorted(read)
