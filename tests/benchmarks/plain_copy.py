"""What an upload is compared with: a gRPC server of a few lines that writes each chunk to a file, and no more."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from whodex.client.sources import open_source
from whodex.v1.upload_service_pb2 import WriteUploadRequest, WriteUploadResponse

_SERVICE, _METHOD = "benchmarks.PlainCopy", "Copy"


async def _serve(target: Path) -> None:
    async def copy(requests: AsyncIterator[WriteUploadRequest], _: Any) -> WriteUploadResponse:
        with target.open("wb") as file:
            async for request in requests:
                file.write(request.chunk)
            file.flush()
            os.fsync(file.fileno())
        return WriteUploadResponse()

    handler = grpc.stream_unary_rpc_method_handler(
        copy, WriteUploadRequest.FromString, WriteUploadResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, {_METHOD: handler})])
    sys.stdout.write(f"{server.add_insecure_port('127.0.0.1:0')}\n")
    sys.stdout.flush()
    await server.start()
    await server.wait_for_termination()


@contextmanager
def plain_copy(target: Path) -> Iterator[Callable[[Path], None]]:
    """Runs the server in a process of its own; yields what copies a file to `target` through it, durably."""
    command = [sys.executable, "-m", "tests.benchmarks.plain_copy", str(target)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        try:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                method: Any = channel.stream_unary(
                    f"/{_SERVICE}/{_METHOD}", WriteUploadRequest.SerializeToString, WriteUploadResponse.FromString
                )
                yield lambda source: _send(method, source)
        finally:
            server.terminate()


def _send(method: Any, source: Path) -> None:
    with open_source(source, None) as opened:
        method(WriteUploadRequest(chunk=chunk) for chunk in opened.chunks(None))


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1])))
