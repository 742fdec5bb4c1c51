"""Makes the default library of a new stack, through the public API like any other client."""

from __future__ import annotations

from pathlib import Path

import grpc

from whodex.runtime.channel_options import DIRECT
from whodex.stack.state import Connection
from whodex.v1 import library_service_pb2, library_service_pb2_grpc

LIBRARY_DISPLAY_NAME = "default"
KEY_DISPLAY_NAME = "local stack"
DEADLINE_SECONDS = 10.0


async def provision(address: str, admin_key: str, known: Connection | None, tls_ca: Path | None = None) -> Connection:
    """Returns how to reach the default library at this address, which it makes unless the known one is there.

    Args:
        address: host:port of the public API.
        admin_key: may create libraries.
        known: the connection that an earlier run left in the state directory.
        tls_ca: who signs the certificate of the API; None: it speaks plaintext.

    Raises:
        grpc.aio.AioRpcError: the API refused.
    """
    async with _channel(address, tls_ca) as channel:
        libraries: library_service_pb2_grpc.LibraryServiceAsyncStub
        libraries = library_service_pb2_grpc.LibraryServiceStub(channel)
        if known is not None and await _opens(libraries, known):
            return known.model_copy(update={"address": address, "tls_ca": tls_ca})
        library, api_key = await _create(libraries, admin_key)
    return Connection(address=address, library=library, api_key=api_key, admin_key=admin_key, tls_ca=tls_ca)


def _channel(address: str, tls_ca: Path | None) -> grpc.aio.Channel:
    if tls_ca is None:
        return grpc.aio.insecure_channel(address, options=[DIRECT])
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(tls_ca.read_bytes()), options=[DIRECT])


async def _opens(libraries: library_service_pb2_grpc.LibraryServiceAsyncStub, known: Connection) -> bool:
    request = library_service_pb2.GetLibraryRequest(name=known.library)
    try:
        await libraries.GetLibrary(request, metadata=_bearer(known.api_key), timeout=DEADLINE_SECONDS)
    except grpc.aio.AioRpcError as error:
        if error.code() in {grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAUTHENTICATED}:
            return False
        raise
    return True


async def _create(libraries: library_service_pb2_grpc.LibraryServiceAsyncStub, admin_key: str) -> tuple[str, str]:
    metadata = _bearer(admin_key)
    library = await libraries.CreateLibrary(
        library_service_pb2.CreateLibraryRequest(display_name=LIBRARY_DISPLAY_NAME),
        metadata=metadata,
        timeout=DEADLINE_SECONDS,
    )
    key = await libraries.CreateApiKey(
        library_service_pb2.CreateApiKeyRequest(parent=library.library.name, display_name=KEY_DISPLAY_NAME),
        metadata=metadata,
        timeout=DEADLINE_SECONDS,
    )
    return library.library.name, key.secret


def _bearer(secret: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {secret}"),)
