import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from whodex.stack.ports import LOOPBACK
from whodex.stack.probes import NotReadyError, grpc_health, valkey


@asynccontextmanager
async def _health_server(status: int) -> AsyncIterator[int]:
    servicer = health.aio.HealthServicer()
    await servicer.set("", status)
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@asynccontextmanager
async def _answering(answer: bytes) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_serving_server_is_ready() -> None:
    async with _health_server(health_pb2.HealthCheckResponse.SERVING) as port:
        await grpc_health(port)()


@pytest.mark.usefixtures("proxy")
async def test_a_proxy_of_the_environment_is_not_asked() -> None:
    async with _health_server(health_pb2.HealthCheckResponse.SERVING) as port:
        await grpc_health(port)()


async def test_a_server_that_does_not_serve_yet_is_not_ready() -> None:
    async with _health_server(health_pb2.HealthCheckResponse.NOT_SERVING) as port:
        with pytest.raises(NotReadyError, match="health check: NOT_SERVING"):
            await grpc_health(port)()


async def test_valkey_is_ready_when_it_answers_the_ping() -> None:
    async with _answering(b"+OK\r\n+PONG\r\n") as port:
        await valkey(port, "secret")()


@pytest.mark.parametrize("answer", [b"+OK\r\n-LOADING Valkey is loading\r\n", b"-WRONGPASS\r\n-NOAUTH\r\n", b""])
async def test_valkey_is_not_ready_before(answer: bytes) -> None:
    async with _answering(answer) as port:
        with pytest.raises(NotReadyError, match="PING"):
            await valkey(port, "secret")()


@pytest.mark.parametrize("probe", [grpc_health, lambda port: valkey(port, "secret")])
async def test_nobody_listening_is_not_ready(probe: Callable[[int], Callable[[], object]]) -> None:
    with pytest.raises(NotReadyError):
        await probe(1)()  # type: ignore[misc]
