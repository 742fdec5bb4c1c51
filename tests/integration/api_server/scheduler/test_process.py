"""The scheduler as it is deployed: a process, with its settings in the environment."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

DELETE_BLOBS = "whodex.delete_blobs"


class Process:
    """`python -m api_server.scheduler`."""

    def __init__(self, environment: dict[str, str], folder: Path, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._log = folder / "scheduler.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "api_server.scheduler"], env=environment, stderr=log, cwd=folder
            )

    def serves(self):
        with grpc.insecure_channel(self.address) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                status = stub.Check(health_pb2.HealthCheckRequest(), timeout=1).status
            except grpc.RpcError:
                return False
        return status == health_pb2.HealthCheckResponse.SERVING

    def events(self):
        return [json.loads(line)["event"] for line in self._log.read_text(encoding="utf-8").splitlines()]


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def scheduler(database_url, broker, tmp_path, free_port):
    environment = {
        **os.environ,
        "WHODEX_DATABASE_URL": database_url,
        "WHODEX_BROKER_URL": broker.url,
        "WHODEX_STORE_URL": f"file://{tmp_path}/objects",
        "WHODEX_INDEXER_ADDRESS": "127.0.0.1:9",
        "WHODEX_INTERNAL_TOKEN": "the-internal-token-of-the-tests",
        "WHODEX_RECEIPT_KEY": "A" * 43,
        "WHODEX_SCHEDULER_HEALTH_LISTEN": f"127.0.0.1:{free_port}",
    }
    process = Process(environment, tmp_path, free_port)
    wait_until(process.serves)
    yield process
    process.process.kill()
    process.process.wait()


async def test_it_rings_at_once_and_stops_when_told(scheduler, rows, broker):
    wait_until(lambda: "leading" in scheduler.events())
    started = time.monotonic()
    await rows.blob_deletion(await rows.library(), "a")
    wait_until(lambda: DELETE_BLOBS in broker.messages("maintenance"))
    assert time.monotonic() - started < 1

    scheduler.process.send_signal(signal.SIGTERM)

    assert scheduler.process.wait(timeout=15) == 0


async def test_it_survives_an_outage_of_the_broker_and_loses_nothing(scheduler, rows, broker):
    wait_until(lambda: "leading" in scheduler.events())
    broker.stop()
    wait_until(lambda: not scheduler.serves())
    library = await rows.library()
    for number in range(3):
        await rows.blob_deletion(library, str(number))
    await asyncio.sleep(2)

    broker.start()

    wait_until(lambda: DELETE_BLOBS in broker.messages("maintenance"))
    wait_until(scheduler.serves)
    assert scheduler.events().count("relay waits for a dependency") == 1
    assert scheduler.process.poll() is None


@pytest.mark.usefixtures("scheduler")
async def test_an_expired_lease_is_rung_again_within_a_sweep(rows, broker, worker):
    await rows.blob_deletion(await rows.library(), "a")
    await worker.claim(worker.blobs)
    # Its first message out of the way, so that the next one is that of the sweep.
    while await rows.all("SELECT * FROM outbox"):
        await asyncio.sleep(0.05)
    broker.flush()
    await rows.do("UPDATE work_items SET lease_expire_time = now()")

    wait_until(lambda: DELETE_BLOBS in broker.messages("maintenance"), seconds=10)

    (item,) = await worker.claim(worker.blobs)
    assert (item.attempts, item.fencing_token) == (1, 2)
