"""The table of parts: how each one is started, when it is ready, what it waits for.

A part is a command line, an environment and a probe, because `whodex` never imports the services.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial

from whodex.stack import postgres, probes, smoke_media, valkey
from whodex.stack.certificates import StackTls
from whodex.stack.ports import LOOPBACK
from whodex.stack.probes import Probe
from whodex.stack.state import Secrets, StateDirectory

# In the order in which a block of free ports is dealt out.
PORT_NAMES = (
    "api",
    "internal",
    "indexer",
    "analysis",
    "scheduler_health",
    "photo_worker_health",
    "video_worker_health",
    "triton",
    "postgres",
    "valkey",
)
# Those that speak gRPC with each other, or are asked how they are.
MESH_PARTS = ("api_server", "scheduler", "indexer", "analysis", "photo_worker", "video_worker")
_MESH = (
    "WHODEX_MESH_CERTIFICATE",
    "WHODEX_MESH_KEY",
    "WHODEX_MESH_CA",
    "WHODEX_MESH_PEERS",
    "WHODEX_ALLOW_PLAINTEXT",
)
_STORE = ("WHODEX_STORE_URL", "WHODEX_STORE_ENDPOINT", "WHODEX_STORE_ACCESS_KEY", "WHODEX_STORE_SECRET_KEY")
_API_TLS = ("WHODEX_API_TLS_CERTIFICATE", "WHODEX_API_TLS_KEY", "WHODEX_API_TLS_CLIENT_CA")


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    Attributes:
        environment: all variables that the process sees.
        probe: tells when the parts after it may start; None: it runs once and is done when it exits with 0.
        final_probe: has to succeed as well once all parts have started: what depends on parts that start later.
        prepare: runs before the command, in a thread: what the command needs on disk.
        privileges: options of setpriv(1) that give up root's rights before the command runs.
        after: the parts that have to be ready before this one starts, and stopped after it.
        port: the port that a user may want to know.
        stop_signal: asks the process to finish; the group is killed `stop_seconds` later.
    """

    name: str
    command: tuple[str, ...]
    probe: Probe | None
    final_probe: Probe | None = None
    prepare: Callable[[], None] | None = None
    privileges: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    after: Collection[str] = ()
    port: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    ready_seconds: float = 60
    stop_seconds: float = 15


def service_settings(state: StateDirectory, ports: Mapping[str, int], secrets: Secrets) -> dict[str, str]:
    """Every variable that a service may read; docs/operations.md explains each."""
    address = {name: f"{LOOPBACK}:{port}" for name, port in ports.items()}
    return {
        "WHODEX_DATABASE_URL": postgres.url(ports["postgres"], secrets.database_password),
        "WHODEX_DATABASE_OWNER_URL": postgres.url(ports["postgres"], secrets.postgres_password, postgres.SUPERUSER),
        "WHODEX_BROKER_URL": valkey.url(ports["valkey"], secrets.valkey_password),
        "WHODEX_STORE_URL": state.folder("objects").as_uri(),
        "WHODEX_INDEX_DIR": str(state.folder("index")),
        "WHODEX_TRITON_ADDRESS": address["triton"],
        "WHODEX_API_LISTEN": address["api"],
        "WHODEX_INTERNAL_LISTEN": address["internal"],
        "WHODEX_INTERNAL_ADDRESS": address["internal"],
        "WHODEX_INTERNAL_TOKEN": secrets.internal_token,
        "WHODEX_INDEXER_LISTEN": address["indexer"],
        "WHODEX_INDEXER_ADDRESS": address["indexer"],
        "WHODEX_ANALYSIS_LISTEN": address["analysis"],
        "WHODEX_ANALYSIS_ADDRESS": address["analysis"],
        "WHODEX_SCHEDULER_HEALTH_LISTEN": address["scheduler_health"],
        "WHODEX_RECEIPT_KEY": secrets.receipt_key,
        # Of the operator's own backups: the stack makes none.
        "WHODEX_BACKUP_RETENTION_DAYS": os.environ.get("WHODEX_BACKUP_RETENTION_DAYS", ""),
        "WHODEX_ADMIN_KEY": secrets.admin_key,
        "WHODEX_UPLOAD_EXPIRE_SECONDS": "86400",
        "WHODEX_SMOKE_PHOTO": str(smoke_media.photo_path()),
        "WHODEX_SMOKE_VIDEO": str(smoke_media.clip_path()),
        # Not set, whatever the environment says: the store is a folder, and with TLS each part has files of its own.
        **dict.fromkeys((*_STORE[1:], *_MESH, *_API_TLS, "WHODEX_TRITON_CA"), ""),
    }


def all_parts(
    state: StateDirectory, ports: Mapping[str, int], secrets: Secrets, tls: StackTls | None = None
) -> list[Part]:
    """The whole stack, in the order in which it is shown.

    Args:
        state: the directory that holds its data.
        ports: of each of `PORT_NAMES`.
        secrets: what the parts prove themselves with.
        tls: the certificates; None: the parts speak plaintext.
    """
    settings = service_settings(state, ports, secrets)
    return [
        *_foundations(state, ports, secrets, settings),
        *_services(ports, settings, tls),
        *_workers(ports, settings, tls),
    ]


def _foundations(
    state: StateDirectory, ports: Mapping[str, int], secrets: Secrets, settings: Mapping[str, str]
) -> list[Part]:
    return [
        Part(
            name="postgres",
            command=postgres.command(state, ports["postgres"]),
            probe=probes.postgres(postgres.binary("pg_isready"), ports["postgres"]),
            prepare=partial(postgres.prepare, state, secrets.postgres_password),
            privileges=postgres.privileges(),
            port=ports["postgres"],
            # Postgres' fast shutdown: it ends the sessions instead of waiting for them.
            stop_signal=signal.SIGINT,
        ),
        Part(
            name="valkey",
            command=valkey.command(state),
            probe=probes.valkey(ports["valkey"], secrets.valkey_password),
            prepare=partial(valkey.prepare, state, ports["valkey"], secrets.valkey_password),
            port=ports["valkey"],
        ),
        Part(
            name="triton",
            command=_module(
                "inference.triton",
                "--repository",
                str(state.folder("triton")),
                "--grpc-port",
                str(ports["triton"]),
            ),
            probe=probes.grpc_health(ports["triton"]),
            environment=_environment(settings),
            port=ports["triton"],
        ),
    ]


def _services(ports: Mapping[str, int], settings: Mapping[str, str], tls: StackTls | None) -> list[Part]:
    return [
        Part(
            name="smoke_media",
            command=_module("whodex.stack.smoke_clip"),
            probe=None,
            environment=_environment(settings),
        ),
        Part(
            name="migrations",
            command=_module("api_server.database", "upgrade"),
            probe=None,
            environment=_environment(settings, "WHODEX_DATABASE_URL", "WHODEX_DATABASE_OWNER_URL"),
            after=("postgres",),
        ),
        Part(
            name="api_server",
            command=_module("api_server"),
            # Search is among the public services, and needs the indexer, which needs the internal ones.
            probe=_mesh_health(ports["internal"], tls),
            final_probe=probes.grpc_health(ports["api"], tls.public_probe if tls else None),
            environment=_environment(
                settings,
                "WHODEX_DATABASE_URL",
                *_STORE,
                "WHODEX_API_LISTEN",
                "WHODEX_INTERNAL_LISTEN",
                "WHODEX_INTERNAL_TOKEN",
                "WHODEX_INDEXER_ADDRESS",
                "WHODEX_ANALYSIS_ADDRESS",
                "WHODEX_ADMIN_KEY",
                "WHODEX_UPLOAD_EXPIRE_SECONDS",
                "WHODEX_SMOKE_PHOTO",
                "WHODEX_SMOKE_VIDEO",
                *_MESH,
                *_API_TLS,
            )
            | _mesh(tls, "api_server", "indexer", "photo_worker", "video_worker")
            | (tls.public_settings() if tls else {}),
            after=("migrations",),
            port=ports["api"],
        ),
        Part(
            name="scheduler",
            command=_module("api_server.scheduler"),
            probe=_mesh_health(ports["scheduler_health"], tls),
            environment=_environment(
                settings,
                "WHODEX_DATABASE_URL",
                "WHODEX_BROKER_URL",
                *_STORE,
                "WHODEX_INDEXER_ADDRESS",
                "WHODEX_INTERNAL_TOKEN",
                "WHODEX_RECEIPT_KEY",
                "WHODEX_BACKUP_RETENTION_DAYS",
                "WHODEX_SCHEDULER_HEALTH_LISTEN",
                *_MESH,
            )
            | _mesh(tls, "scheduler"),
            after=("migrations", "valkey"),
        ),
        Part(
            name="indexer",
            command=_module("indexer"),
            probe=_mesh_health(ports["indexer"], tls),
            environment=_environment(
                settings,
                "WHODEX_INDEXER_LISTEN",
                "WHODEX_INTERNAL_ADDRESS",
                "WHODEX_INTERNAL_TOKEN",
                "WHODEX_INDEX_DIR",
                *_MESH,
            )
            | _mesh(tls, "indexer", "api_server", "scheduler"),
            after=("api_server",),
            port=ports["indexer"],
        ),
        Part(
            name="analysis",
            command=_module("inference.analysis"),
            probe=_mesh_health(ports["analysis"], tls),
            environment=_environment(
                settings,
                "WHODEX_ANALYSIS_LISTEN",
                "WHODEX_INTERNAL_TOKEN",
                "WHODEX_TRITON_ADDRESS",
                "WHODEX_TRITON_CA",
                *_MESH,
            )
            | _mesh(tls, "analysis", "api_server"),
            after=("triton",),
            port=ports["analysis"],
        ),
    ]


def _workers(ports: Mapping[str, int], settings: Mapping[str, str], tls: StackTls | None) -> list[Part]:
    return [
        Part(
            name=f"{kind}_worker",
            command=_module("inference.worker", "--queues", queues, "--processes", str(processes)),
            probe=_mesh_health(ports[f"{kind}_worker_health"], tls),
            environment=_environment(
                settings,
                "WHODEX_BROKER_URL",
                *_STORE,
                "WHODEX_TRITON_ADDRESS",
                "WHODEX_TRITON_CA",
                "WHODEX_INTERNAL_ADDRESS",
                "WHODEX_INTERNAL_TOKEN",
                *_MESH,
            )
            | _mesh(tls, f"{kind}_worker")
            | {"WHODEX_WORKER_HEALTH_LISTEN": f"{LOOPBACK}:{ports[f'{kind}_worker_health']}"},
            after=("api_server", "valkey", "triton"),
            stop_seconds=30,
        )
        for kind, queues, processes in (
            # Photos: while one process waits for the models, the others decode. A video overlaps both by itself.
            ("photo", "photos,maintenance", len(os.sched_getaffinity(0))),
            ("video", "videos", 1),
        )
    ]


def _mesh_health(port: int, tls: StackTls | None) -> Probe:
    return probes.grpc_health(port, tls.mesh_probe if tls else None)


def _mesh(tls: StackTls | None, part: str, *peers: str) -> dict[str, str]:
    return tls.mesh_settings(part, peers) if tls else {}


def _module(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def _environment(settings: Mapping[str, str], *names: str) -> dict[str, str]:
    """What this process inherited, and of the settings those named alone: a worker cannot open the database."""
    inherited = {name: value for name, value in os.environ.items() if name not in settings}
    python = {
        # Buffered lines would be lost when a part is killed.
        "PYTHONUNBUFFERED": "1",
        # What lies in the working directory never comes before the installed packages.
        "PYTHONSAFEPATH": "1",
        # One line of its own for each failed handshake is not for a log of JSON lines.
        "GRPC_VERBOSITY": "ERROR",
    }
    return inherited | python | {name: settings[name] for name in names}
