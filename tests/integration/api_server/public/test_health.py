"""What the server says of itself to those who have no key."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def _status(api: Any, service: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(api.caller.channel)
    try:
        status: int = (await stub.Check(health_pb2.HealthCheckRequest(service=service))).status
    except grpc.aio.AioRpcError as error:
        # Before the first round of checks has ended, nothing is known.
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        return health_pb2.HealthCheckResponse.UNKNOWN
    return status


async def test_a_service_serves_when_what_it_needs_does(api: Any) -> None:
    async with asyncio.timeout(10):
        while await _status(api, "whodex.v1.PeopleService") != SERVING:
            await asyncio.sleep(0.05)
        # Without indexer and face analysis there is no search.
        while await _status(api, "whodex.v1.SearchService") != NOT_SERVING:
            await asyncio.sleep(0.05)
    for service in ("LibraryService", "VideoService", "ContentService"):
        assert await _status(api, f"whodex.v1.{service}") == SERVING


async def test_without_its_store_only_what_needs_none_serves(api: Any) -> None:
    api.store.rename(api.store.with_name("away"))
    async with asyncio.timeout(20):
        while await _status(api, "whodex.v1.PeopleService") != NOT_SERVING:
            await asyncio.sleep(0.1)
    assert await _status(api, "whodex.v1.LibraryService") == SERVING
    api.store.with_name("away").rename(api.store)
    async with asyncio.timeout(20):
        while await _status(api, "whodex.v1.PeopleService") != SERVING:
            await asyncio.sleep(0.1)
