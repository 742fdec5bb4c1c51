"""The public API here is a small server of the test's own, with libraries in a dictionary."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from whodex.stack.ports import LOOPBACK
from whodex.stack.provision import provision
from whodex.stack.state import Connection
from whodex.v1 import library_pb2, library_service_pb2, library_service_pb2_grpc

ADMIN_KEY = "admin"


class Libraries(library_service_pb2_grpc.LibraryServiceServicer):
    """Knows the key of each library."""

    def __init__(self) -> None:
        self.keys: dict[str, str] = {}

    async def CreateLibrary(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's name
        await _require(context, ADMIN_KEY)
        name = f"libraries/{len(self.keys)}"
        self.keys[name] = f"key of {name}"
        library = library_pb2.Library(name=name, display_name=request.display_name)
        return library_service_pb2.CreateLibraryResponse(library=library)

    async def CreateApiKey(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's name
        await _require(context, ADMIN_KEY)
        return library_service_pb2.CreateApiKeyResponse(secret=self.keys[request.parent])

    async def GetLibrary(self, request: Any, context: Any) -> Any:  # noqa: N802 - the contract's name
        if request.name not in self.keys:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such library")
        await _require(context, self.keys[request.name])
        return library_service_pb2.GetLibraryResponse(library=library_pb2.Library(name=request.name))


@pytest.fixture
def libraries() -> Libraries:
    return Libraries()  # type: ignore[abstract] # the other methods stay unimplemented


async def _require(context: Any, secret: str) -> None:
    if ("authorization", f"Bearer {secret}") not in context.invocation_metadata():
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong key")


@asynccontextmanager
async def _serving(libraries: Libraries) -> AsyncIterator[str]:
    server = grpc.aio.server()
    library_service_pb2_grpc.add_LibraryServiceServicer_to_server(libraries, server)
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    await server.start()
    try:
        yield f"{LOOPBACK}:{port}"
    finally:
        await server.stop(None)


async def test_a_new_stack_gets_a_library_and_a_key(libraries: Libraries) -> None:
    async with _serving(libraries) as address:
        made = await provision(address, ADMIN_KEY, known=None)
    assert made == Connection(address=address, library="libraries/0", api_key="key of libraries/0", admin_key=ADMIN_KEY)


@pytest.mark.usefixtures("proxy")
async def test_a_proxy_of_the_environment_is_not_asked(libraries: Libraries) -> None:
    async with _serving(libraries) as address:
        assert (await provision(address, ADMIN_KEY, known=None)).address == address


async def test_a_known_library_is_kept_at_the_new_address(libraries: Libraries) -> None:
    async with _serving(libraries) as address:
        first = await provision(address, ADMIN_KEY, known=None)
        again = await provision(address, ADMIN_KEY, known=first.model_copy(update={"address": "127.0.0.1:1"}))
    assert again == first
    assert len(libraries.keys) == 1


@pytest.mark.parametrize("lost", [{"library": "libraries/deleted"}, {"api_key": "revoked"}])
async def test_a_library_that_the_key_does_not_open_is_replaced(libraries: Libraries, lost: dict[str, str]) -> None:
    async with _serving(libraries) as address:
        first = await provision(address, ADMIN_KEY, known=None)
        again = await provision(address, ADMIN_KEY, known=first.model_copy(update=lost))
    assert again.library == "libraries/1"


async def test_a_refused_admin_key_is_an_error(libraries: Libraries) -> None:
    async with _serving(libraries) as address:
        with pytest.raises(grpc.aio.AioRpcError, match="wrong key"):
            await provision(address, "another", known=None)
