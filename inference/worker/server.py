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

from inference.worker.settings import WorkerSettings
from inference.worker.startup import StartupError, validate
from whodex.runtime.log import configure_logging, get_logger
from whodex.runtime.settings import load_settings

_log = get_logger()


def main() -> None:
    """`python -m inference.worker --queues photos,maintenance`."""
    parser = argparse.ArgumentParser(prog="python -m inference.worker", description="Runs tasks of the named queues.")
    parser.add_argument("--queues", required=True, help="names separated by commas: photos,maintenance or videos")
    queues: str = parser.parse_args().queues
    configure_logging("worker")
    settings = load_settings(WorkerSettings)
    try:
        validate(settings)
    except StartupError as error:
        sys.exit(f"worker does not start: {error}")
    sys.exit(_supervise(settings, queues))


def _supervise(settings: WorkerSettings, queues: str) -> int:
    with _health_server(settings.worker_health_listen):
        celery = subprocess.Popen(
            [sys.executable, "-m", "inference.worker.celery_child", queues],
            # Celery then takes SIGTERM for its soft shutdown.
            env={**os.environ, "REMAP_SIGTERM": "SIGQUIT"},
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: celery.send_signal(signal.SIGTERM))
        _log.info("worker started", queues=queues, celery_pid=celery.pid)
        code = celery.wait()
    _log.info("worker stopped", queues=queues, exit_code=code)
    return code


@contextmanager
def _health_server(address: str) -> Iterator[None]:
    server = grpc.server(ThreadPoolExecutor(max_workers=2))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(address)
    server.start()
    try:
        yield
    finally:
        servicer.enter_graceful_shutdown()
        server.stop(grace=1).wait()
