"""The worker process: validates, runs Celery as a child, and answers health checks.

Celery forks; gRPC must not be used before a fork. So this process holds the gRPC health server and Celery runs in a
fresh interpreter of its own below it.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from inference.worker.pipes import ParentEnds, opened_pipes
from inference.worker.settings import WorkerSettings
from inference.worker.startup import StartupError, check_broker, validate
from whodex.runtime.log import configure_logging, get_logger
from whodex.runtime.settings import load_settings
from whodex.runtime.tls import CERTIFICATES_SERVICE, AddressError, bind

HEALTH_INTERVAL_SECONDS = 5.0
STARTING_INTERVAL_SECONDS = 0.2
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_log = get_logger()


def main() -> None:
    """`python -m inference.worker --queues photos,maintenance`."""
    parser = argparse.ArgumentParser(prog="python -m inference.worker", description="Runs tasks of the named queues.")
    parser.add_argument("--queues", required=True, help="names separated by commas: photos,maintenance or videos")
    parser.add_argument("--processes", type=int, default=1, help="how many work side by side (default: 1)")
    arguments = parser.parse_args()
    configure_logging("worker")
    settings = load_settings(WorkerSettings)
    try:
        validate(settings)
    except StartupError as error:
        sys.exit(f"worker does not start: {error}")
    sys.exit(_supervise(settings, arguments.queues, arguments.processes))


def _supervise(settings: WorkerSettings, queues: str, processes: int) -> int:
    with opened_pipes() as pipes, _health_server(settings) as health_servicer:
        celery = subprocess.Popen(
            [sys.executable, "-P", "-m", "inference.worker.celery_child", queues, str(processes)],
            env={**os.environ, **pipes.environment},
            pass_fds=pipes.child_fds,
        )

        def stop(*_: object) -> None:
            # The work under way gives itself back; Celery's warm shutdown waits for that.
            pipes.request_stop()
            celery.send_signal(signal.SIGTERM)

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        _log.info("worker started", queues=queues, celery_pid=celery.pid)
        code = _watch(settings, celery, pipes, health_servicer)
    _log.info("worker stopped", queues=queues, exit_code=code)
    return code


def _watch(
    settings: WorkerSettings, celery: subprocess.Popen[bytes], pipes: ParentEnds, servicer: health.HealthServicer
) -> int:
    """Keeps the health true until Celery ends: SERVING while it consumes and the broker answers."""
    known: str | None = "Celery is starting"
    while True:
        if settings.mesh is not None:
            servicer.set(CERTIFICATES_SERVICE, _NOT_SERVING if settings.mesh.certificates.problem() else _SERVING)
        problem = _problem(settings, pipes)
        if problem != known:
            _log.info("health changed", problem=problem)
            servicer.set("", _SERVING if problem is None else _NOT_SERVING)
        known = problem
        try:
            return celery.wait(HEALTH_INTERVAL_SECONDS if problem is None else STARTING_INTERVAL_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _problem(settings: WorkerSettings, pipes: ParentEnds) -> str | None:
    if not pipes.is_ready():
        return "Celery is starting"
    try:
        check_broker(settings)
    except StartupError as error:
        return str(error)
    return None


@contextmanager
def _health_server(settings: WorkerSettings) -> Iterator[health.HealthServicer]:
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.set("", _NOT_SERVING)
    try:
        bind(server, settings.worker_health_listen, settings.mesh, allow_plaintext=settings.allow_plaintext)
    except AddressError as error:
        sys.exit(f"worker does not start: {error}")
    server.start()
    try:
        yield servicer
    finally:
        servicer.enter_graceful_shutdown()
        server.stop(grace=1).wait()
