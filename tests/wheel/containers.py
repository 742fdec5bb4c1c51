"""Runs every service of docker-compose.yml by its own command line, environment and health check, without containers.

The interpreter given is one with what the image holds. Postgres, Valkey and Triton are those of a running local stack,
with a database and a broker of their own in them; the object store is an S3 server. Names of containers become
localhost, paths of mounts become files of a temporary folder; nothing else is changed. Then every task runs through all
that has started.
"""

from __future__ import annotations

import argparse
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3
import psycopg
import yaml
from moto.server import ThreadedMotoServer

from whodex.stack import postgres, smoke_media, valkey
from whodex.stack.ports import LOOPBACK, claimed_ports
from whodex.stack.state import StateDirectory

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
IMAGE = "whodex/services:"
DATABASE, ROLE, BROKER_DATABASE = "containers", "containers_application", 1
HEALTHY_SECONDS = 120.0
STOP_SECONDS = 40.0


@dataclass(frozen=True)
class Deployment:
    """What stands for the containers' surroundings.

    Attributes:
        python: the interpreter of the services.
        services: those of docker-compose.yml that run our image, by name.
        mounts: of each service, what is mounted, by the path in its container.
        addresses: host:port on this machine, by the one among containers.
    """

    python: Path
    services: Mapping[str, Mapping[str, Any]]
    mounts: Mapping[str, Mapping[str, Path]]
    addresses: Mapping[str, str]

    def command(self, name: str) -> list[str]:
        """What the entrypoint of the image makes of a service's command."""
        return [str(self.python), "-m", *map(str, self.services[name]["command"])]

    def health_check(self, name: str) -> list[str]:
        """A service's health check."""
        kind, python, *arguments = self.services[name]["healthcheck"]["test"]
        if (kind, python) != ("CMD", "python"):
            raise ValueError(f"the health check of {name} is none of ours: {kind} {python}")
        return [str(self.python), *(self._here(name, argument) for argument in arguments)]

    def environment(self, name: str) -> dict[str, str]:
        """What the image and the service set, and no variable more."""
        image = {"PATH": f"{self.python.parent}:/usr/bin:/bin", "PYTHONUNBUFFERED": "1", "PYTHONSAFEPATH": "1"}
        own = self.services[name]["environment"].items()
        return image | {variable: self._here(name, str(value)) for variable, value in own}

    def _here(self, name: str, value: str) -> str:
        for path, folder in self.mounts[name].items():
            value = value.replace(path, str(folder))
        # A service listens on every address of its container, and asks itself by the name localhost.
        value = re.sub(r"^(0\.0\.0\.0|localhost)(?=:\d)", name, value)
        for address, here in self.addresses.items():
            value = re.sub(rf"(?<![\w.-]){address}(?!\d)", here, value)
        return value


def main() -> None:
    """Starts, tries and stops everything; exit code 0 when all of it worked."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--python", type=Path, required=True, help="the interpreter of the services")
    parser.add_argument("--state-dir", type=Path, required=True, help="of a running local stack")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="whodex-containers-") as folder, ExitStack() as stack:
        deployment = stack.enter_context(prepared(arguments.python, StateDirectory(arguments.state_dir), Path(folder)))
        for name in in_order(deployment.services):
            stack.enter_context(running(deployment, name, Path(folder) / f"{name}.log"))
            print(f"{name}: healthy", flush=True)  # noqa: T201 - this is a program
        smoke(deployment, Path(folder) / "secrets")


@contextmanager
def prepared(python: Path, state: StateDirectory, folder: Path) -> Iterator[Deployment]:
    """Makes the secrets, the database and the bucket, and lays the addresses."""
    record = state.record()
    if record is None:
        raise SystemExit("no local stack runs there")
    compose = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    services = {name: one for name, one in compose["services"].items() if one["image"].startswith(IMAGE)}
    services["api-server"]["environment"] |= {
        "WHODEX_SMOKE_PHOTO": str(smoke_media.photo_path()),
        "WHODEX_SMOKE_VIDEO": str(smoke_media.clip_path()),
    }
    secrets = folder / "secrets"
    subprocess.run([ROOT / "deploy" / "make-secrets.sh", secrets], check=True)
    _point_to(secrets, state, record.ports)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = ThreadedMotoServer(LOOPBACK, port=0, verbose=False)
    store.start()
    host, port = store.get_host_and_port()
    _make_bucket(f"http://{host}:{port}", secrets)
    elsewhere = {"store:8333": f"{host}:{port}", "triton:8001": f"{LOOPBACK}:{record.ports['triton']}"}
    mounts = {name: _mounts(compose, name, secrets, folder / name) for name in services}
    with claimed_ports(_listeners(services)) as ports:
        here = {address: f"localhost:{port}" for address, port in ports.items()}
        yield Deployment(python, services, mounts, here | elsewhere)
    store.stop()


def _point_to(secrets: Path, state: StateDirectory, ports: Mapping[str, int]) -> None:
    """Writes the addresses of the local stack into the secrets, as docs/containers.md tells to do with one's own."""
    known = state.secrets()
    owner = postgres.url(ports["postgres"], known.postgres_password, postgres.SUPERUSER)
    with psycopg.connect(owner.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    password = (secrets / "application_password").read_text().strip()
    server = f"{LOOPBACK}:{ports['postgres']}/{DATABASE}"
    (secrets / "whodex_database_owner_url").write_text(owner.removesuffix(f"/{postgres.DATABASE}") + f"/{DATABASE}\n")
    (secrets / "whodex_database_url").write_text(f"postgresql+psycopg://{ROLE}:{password}@{server}\n")
    broker = valkey.url(ports["valkey"], known.valkey_password).rpartition("/")[0]
    (secrets / "whodex_broker_url").write_text(f"{broker}/{BROKER_DATABASE}\n")


def _make_bucket(endpoint: str, secrets: Path) -> None:
    keys = [(secrets / name).read_text().strip() for name in ("whodex_store_access_key", "whodex_store_secret_key")]
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
    )
    client.create_bucket(Bucket="whodex")


def _listeners(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Where the services listen, as the others call it: `indexer:7702` and so on."""
    values = [(name, str(value)) for name, service in services.items() for value in service["environment"].values()]
    found = [(name, re.fullmatch(r"0\.0\.0\.0:(\d+)", value)) for name, value in values]
    return [f"{name}:{match[1]}" for name, match in found if match]


def _mounts(compose: Mapping[str, Any], name: str, secrets: Path, folder: Path) -> dict[str, Path]:
    """Lays what a container finds at its mounts."""
    service = compose["services"][name]
    mounted = folder / "secrets"
    mounted.mkdir(parents=True)
    for secret in service.get("secrets", []):
        source, target = (secret, secret) if isinstance(secret, str) else (secret["source"], secret["target"])
        shutil.copy(secrets / Path(compose["secrets"][source]["file"]).name, mounted / target)
    volumes = [volume.partition(":")[2] for volume in service.get("volumes", [])]
    return {"/run/secrets": mounted} | {path: folder / Path(path).name for path in volumes}


def in_order(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names of the services, each after those that it depends on."""
    ordered: list[str] = []

    def add(name: str) -> None:
        for needed in services[name].get("depends_on", {}):
            if needed in services and needed not in ordered:
                add(needed)
        if name not in ordered:
            ordered.append(name)

    for name in services:
        add(name)
    return ordered


@contextmanager
def running(deployment: Deployment, name: str, log: Path) -> Iterator[None]:
    """Starts a service and waits until it is healthy, or has ended well if it runs once; stops it afterwards."""
    with log.open("wb") as output:
        environment = deployment.environment(name)
        process = subprocess.Popen(deployment.command(name), env=environment, cwd="/", stdout=output, stderr=output)
    try:
        _wait_until_healthy(deployment, name, process)
        yield
    except BaseException:
        sys.stderr.write(log.read_text(encoding="utf-8"))
        raise
    finally:
        process.terminate()
        code = process.wait(STOP_SECONDS)
    if code != 0:
        raise SystemExit(f"{name}: ended with exit code {code}\n{log.read_text(encoding='utf-8')}")


def _wait_until_healthy(deployment: Deployment, name: str, process: subprocess.Popen[bytes]) -> None:
    if "healthcheck" not in deployment.services[name]:
        process.wait(HEALTHY_SECONDS)
        return
    give_up = time.monotonic() + HEALTHY_SECONDS
    while True:
        check = subprocess.run(
            deployment.health_check(name),
            env=deployment.environment(name),
            cwd="/",
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if check.returncode == 0:
            return
        if process.poll() is not None or time.monotonic() > give_up:
            raise SystemExit(f"{name}: not healthy: {check.stderr.strip()}")
        time.sleep(0.2)


def smoke(deployment: Deployment, secrets: Path) -> None:
    """Runs every declared task through the deployment, as a client from outside."""
    environment = {
        "PATH": os.environ["PATH"],
        "WHODEX_ADDRESS": f"https://{deployment.addresses['api-server:7700']}",
        "WHODEX_TLS_CA": str(secrets / "public_ca.pem"),
        "WHODEX_ADMIN_KEY": (secrets / "whodex_admin_key").read_text().strip(),
    }
    command: Sequence[str] = [str(deployment.python.with_name("whodex")), "smoke"]
    if subprocess.run(command, env=environment, cwd="/", check=False).returncode != 0:
        sys.exit("a task did not work")


if __name__ == "__main__":
    main()
