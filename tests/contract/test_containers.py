"""Container files and services meet in environment variables and file names, which no schema sees."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.test_settings import READERS
from whodex.runtime.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
IMAGE = "whodex/services:"
# Optional, and about a deployment's surroundings: whoever has a need for them sets them.
UNSET = {
    "WHODEX_ALLOW_PLAINTEXT",
    "WHODEX_API_TLS_CLIENT_CA",
    "WHODEX_BACKUP_RETENTION_DAYS",
    "WHODEX_SMOKE_PHOTO",
    "WHODEX_SMOKE_VIDEO",
    "WHODEX_TRITON_CA",
}
MODULES = {
    "api_server": "api_server",
    "api_server.database": "migrations",
    "api_server.scheduler": "scheduler",
    "indexer": "indexer",
    "inference.analysis": "analysis",
    "inference.worker": "photo_worker",
}


@dataclass(frozen=True)
class Container:
    """One service as a file describes it.

    Attributes:
        source: the file and the service.
        command: what follows the image's entrypoint, the module first.
        environment: its variables.
        secrets: the file that `make-secrets.sh` makes, by the name below /run/secrets.
        hardened: what keeps it from doing more than it has to.
    """

    source: str
    command: list[str]
    environment: Mapping[str, str]
    secrets: Mapping[str, str]
    hardened: Mapping[str, Any]

    @property
    def reads(self) -> type[Settings]:
        """The settings of its process."""
        return READERS[MODULES[self.command[0]]]


def _of_compose() -> Iterator[Container]:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    for name, service in compose["services"].items():
        if not service["image"].startswith(IMAGE):
            continue
        mounted = [one if isinstance(one, dict) else {"source": one, "target": one} for one in service["secrets"]]
        yield Container(
            f"docker-compose.yml: {name}",
            service["command"],
            {variable: str(value) for variable, value in service["environment"].items()},
            {one["target"]: Path(compose["secrets"][one["source"]]["file"]).name for one in mounted},
            {
                "read_only": service["read_only"],
                "cap_drop": service["cap_drop"],
                "no_new_privileges": "no-new-privileges:true" in service["security_opt"],
                "limits": set(service["deploy"]["resources"]["limits"]),
            },
        )


def _of_kubernetes() -> Iterator[Container]:
    folder = ROOT / "deploy" / "kubernetes"
    shared = yaml.safe_load((folder / "settings.yaml").read_text(encoding="utf-8"))["data"]
    for file in sorted(folder.glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            if manifest["kind"] in {"Deployment", "StatefulSet", "Job"}:
                yield from _of_pod(f"{file.name}: {manifest['metadata']['name']}", manifest, shared)


def _of_pod(source: str, manifest: Mapping[str, Any], shared: Mapping[str, str]) -> Iterator[Container]:
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    if not container["image"].startswith(IMAGE):
        return
    own = {one["name"]: one["value"] for one in container["env"]}
    (items,) = (
        one["secret"]["items"] for volume in pod["volumes"] for one in volume.get("projected", {}).get("sources", [])
    )
    security = container["securityContext"]
    yield Container(
        source,
        container["args"],
        (shared if "envFrom" in container else {}) | own,
        {item["path"]: item["key"] for item in items},
        {
            "read_only": security["readOnlyRootFilesystem"],
            "cap_drop": security["capabilities"]["drop"],
            "no_new_privileges": not security["allowPrivilegeEscalation"] and pod["securityContext"]["runAsNonRoot"],
            "limits": {"cpus" if name == "cpu" else name for name in container["resources"]["limits"]},
        },
    )


CONTAINERS = [*_of_compose(), *_of_kubernetes()]
EACH = pytest.mark.parametrize("container", CONTAINERS, ids=lambda container: container.source)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes for a new deployment."""
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets.sh", folder], check=True)
    return folder


@EACH
def test_a_service_accepts_what_its_container_gives_it(
    container: Container, secrets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, file in container.secrets.items():
        shutil.copy(secrets / file, tmp_path / name)
    for variable, value in container.environment.items():
        monkeypatch.setenv(variable, value.replace("/run/secrets", str(tmp_path)))
    settings = load_settings(container.reads)
    given = {field for field in type(settings).model_fields if getattr(settings, field) not in (None, "", False)}
    missing = {f"WHODEX_{field.upper()}" for field in type(settings).model_fields.keys() - given} - UNSET
    # Whoever may call a service is named where anybody calls it.
    assert missing <= {"WHODEX_MESH_PEERS"}


@EACH
def test_a_container_holds_no_secret_that_its_service_does_not_read(container: Container):
    read = {f"whodex_{field}" for field in container.reads.model_fields}
    assert {name for name in container.secrets if name.startswith("whodex_")} <= read
    paths = {Path(value).name for value in container.environment.values() if value.startswith("/run/secrets/")}
    assert {name for name in container.secrets if not name.startswith("whodex_")} == paths


@EACH
def test_a_container_is_read_only_without_capabilities_and_limited(container: Container):
    assert container.hardened == {
        "read_only": True,
        "cap_drop": ["ALL"],
        "no_new_privileges": True,
        "limits": {"cpus", "memory"},
    }


@EACH
def test_the_module_of_a_container_is_one_that_runs(container: Container):
    module = importlib.util.find_spec(f"{container.command[0]}.__main__")
    assert module is not None


def test_both_ways_of_deploying_run_every_service():
    for prefix in ("docker-compose.yml", ""):
        found = [one for one in CONTAINERS if one.source.startswith(prefix or tuple(_manifests()))]
        assert {one.command[0] for one in found} == set(MODULES)
        queues = [one.command[2] for one in found if one.command[0] == "inference.worker"]
        assert sorted(queues) == ["photos,maintenance", "videos"]


def _manifests() -> list[str]:
    return [file.name for file in (ROOT / "deploy" / "kubernetes").glob("*.yaml")]


def test_making_the_secrets_again_changes_none(secrets: Path):
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    subprocess.run([ROOT / "deploy" / "make-secrets.sh", secrets], check=True)
    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before


def test_nobody_else_reads_the_secrets(secrets: Path):
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in secrets.glob("*_ca.key")} == {0o600}
