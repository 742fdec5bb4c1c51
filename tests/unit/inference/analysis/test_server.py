from __future__ import annotations

import asyncio
import socket

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from inference.analysis.server import SERVICE_NAME, listener
from inference.analysis.settings import AnalysisSettings
from inference.analysis.triton_threads import TritonThreads
from inference.sandbox.decoder import Decoder
from whodex.runtime.server import running
from whodex.v1.decoder_pb2 import DecoderHost

TOKEN = SecretStr("a-token-of-the-tests")


async def test_without_triton_it_runs_and_is_not_serving():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        settings = AnalysisSettings(
            analysis_listen="127.0.0.1:0",
            internal_token=TOKEN,
            triton_address=f"127.0.0.1:{nobody.getsockname()[1]}",
        )
        async with (
            TritonThreads(settings.triton_address) as threads,
            running(listener(settings, threads, Decoder(), DecoderHost(host="here"))) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            assert await _health(channel) == health_pb2.HealthCheckResponse.NOT_SERVING


async def _health(channel: grpc.aio.Channel) -> int:
    """The first state that the health check reports."""
    stub = health_pb2_grpc.HealthStub(channel)
    async with asyncio.timeout(10):
        while True:
            try:
                return (await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE_NAME))).status
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise
            await asyncio.sleep(0.05)
