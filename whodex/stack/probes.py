"""How to find out whether a part is ready. A probe returns when it is, and raises NotReadyError when not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2

from whodex.runtime.channel_options import DIRECT
from whodex.stack.ports import LOOPBACK

Probe = Callable[[], Awaitable[None]]

PROBE_TIMEOUT_SECONDS = 2.0


class NotReadyError(Exception):
    """The part is not ready; the message says what it answered."""


def grpc_health(port: int, credentials: Callable[[], grpc.ChannelCredentials] | None = None) -> Probe:
    """Ready when `grpc.health.v1.Health/Check` for the whole server answers SERVING.

    Args:
        port: on loopback.
        credentials: reads what TLS needs; None: plaintext.
    """

    async def probe() -> None:
        # A channel costs a hundred times as much as a refused connection, and most probes meet one.
        await _connect(port)
        async with _channel(f"{LOOPBACK}:{port}", credentials) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            try:
                answer = await check(health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_SECONDS)
            except grpc.aio.AioRpcError as error:
                raise NotReadyError(f"health check: {error.code().name}") from error
        if answer.status != health_pb2.HealthCheckResponse.SERVING:
            status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
            raise NotReadyError(f"health check: {status}")

    return probe


def _channel(address: str, credentials: Callable[[], grpc.ChannelCredentials] | None) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(address, options=[DIRECT])
    return grpc.aio.secure_channel(address, credentials(), options=[DIRECT])


async def _connect(port: int) -> None:
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
            _, writer = await asyncio.open_connection(LOOPBACK, port)
    except (OSError, TimeoutError) as error:
        raise NotReadyError(f"nobody answers on port {port}") from error
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


def postgres(pg_isready: Path, port: int) -> Probe:
    """Ready when Postgres accepts connections, as its own `pg_isready` sees it."""

    async def probe() -> None:
        process = await asyncio.create_subprocess_exec(
            pg_isready, "--host", LOOPBACK, "--port", str(port), stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await process.communicate()
        if process.returncode != 0:
            raise NotReadyError(answer.decode().strip())

    return probe


def valkey(port: int, password: str) -> Probe:
    """Ready when Valkey answers PING, which it refuses while it still loads its append-only file."""

    async def probe() -> None:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                reader, writer = await asyncio.open_connection(LOOPBACK, port)
                try:
                    writer.write(f"AUTH {password}\r\nPING\r\n".encode())
                    answers = [await reader.readline(), await reader.readline()]
                finally:
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError) as error:
            raise NotReadyError(f"PING: {error or type(error).__name__}") from error
        if answers != [b"+OK\r\n", b"+PONG\r\n"]:
            raise NotReadyError(f"PING: {b' '.join(answers).decode(errors='replace').strip()}")

    return probe
