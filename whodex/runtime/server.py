"""How every gRPC server of Whodex starts, reports its health and stops."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from whodex.runtime.access import UndeclaredAccessError, check_declared
from whodex.runtime.call_limits import CallLimits
from whodex.runtime.channel_options import MAX_MESSAGE_BYTES
from whodex.runtime.interceptors import Authenticate, CallInterceptor, CredentialEnd
from whodex.runtime.log import get_logger
from whodex.runtime.tls import CERTIFICATES_SERVICE, AddressError, Tls, bind

# Raises when a dependency is away; the message says which and why.
HealthCheck = Callable[[], Awaitable[None]]

HEALTH_INTERVAL_SECONDS = 2.0
HEALTH_TIMEOUT_SECONDS = 5.0
# Load balancers poll every few seconds at least; then the calls under way get time to end.
DRAIN_SECONDS = 0.2
GRACE_SECONDS = 10.0

_OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two servers on one port would share its calls by chance; the second one shall fail to start.
    ("grpc.so_reuseport", 0),
    # Our channels ping every 20 s, also while idle. Who pings more often than every 10 s is cut off.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A client that vanished without a word is noticed within 80 s, and what its calls hold is free again.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # From time to time a connection is opened anew: new instances get their share of the load, and a certificate that
    # is no longer accepted keeps no connection for long. Streams may go on for as long as an upload may take.
    ("grpc.max_connection_age_ms", 30 * 60_000),
    ("grpc.max_connection_age_grace_ms", 24 * 3600_000),
    ("grpc.max_connection_idle_ms", 10 * 60_000),
    # Further calls on the connection wait at the client.
    ("grpc.max_concurrent_streams", 256),
    # A key and a correlation id have 150 bytes.
    ("grpc.max_metadata_size", 8 * 1024),
    ("grpc.absolute_max_metadata_size", 16 * 1024),
)
# Health checks and reflection, which need no credential, and those that are just being refused.
_UNCOUNTED_CALLS = 256
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_log = get_logger()


@dataclass(frozen=True)
class Service:
    """A servicer, how it is added to a server, and what it needs to be SERVING."""

    name: str
    add: Callable[[Any, grpc.aio.Server], None]
    servicer: Any
    checks: Sequence[HealthCheck] = field(default=())


@dataclass(frozen=True)
class Listener:
    """An address with the services on it and the credential that opens them."""

    address: str
    services: Sequence[Service]
    authenticate: Authenticate
    # Ends the open streams of a credential that opens nothing any more; None: credentials do not end.
    credential_end: CredentialEnd | None = None
    # Called when the server is about to stop: streams that would wait for ever must end now.
    on_drain: Callable[[], None] = lambda: None
    limits: CallLimits = field(default_factory=CallLimits)
    # None: plaintext.
    tls: Tls | None = None
    # Plaintext beyond loopback, where something else encrypts.
    allow_plaintext: bool = False


async def serve(listeners: Sequence[Listener]) -> None:
    """Serves until SIGTERM or SIGINT, then drains: NOT_SERVING first, calls under way get `GRACE_SECONDS`."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        for listener in listeners:
            try:
                await stack.enter_async_context(running(listener))
            except (AddressError, UndeclaredAccessError) as error:
                sys.exit(f"cannot start: {error}")
        await stop.wait()


@contextlib.asynccontextmanager
async def running(listener: Listener) -> AsyncIterator[int]:
    """Runs one listener; yields its port, which the system picks when the address says 0.

    Raises:
        AddressError: the address cannot be bound, or must not be without TLS.
        UndeclaredAccessError: the contract of a method does not say who may call it.
    """
    for service in listener.services:
        check_declared(service.name)
    calls = CallInterceptor(listener.authenticate, listener.tls, listener.limits, listener.credential_end)
    server = grpc.aio.server(
        interceptors=[calls],
        options=_OPTIONS,
        maximum_concurrent_rpcs=listener.limits.max_calls + _UNCOUNTED_CALLS,
    )
    for service in listener.services:
        service.add(service.servicer, server)
    health_servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    names = [service.name for service in listener.services]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    port = bind(server, listener.address, listener.tls, allow_plaintext=listener.allow_plaintext)
    await server.start()
    for name in ("", *names):
        await health_servicer.set(name, _NOT_SERVING)
    watcher = asyncio.create_task(_watch_health(health_servicer, listener))
    _log.info("serving", address=listener.address, port=port, services=names, tls=listener.tls is not None)
    try:
        yield port
    finally:
        watcher.cancel()
        await health_servicer.enter_graceful_shutdown()
        listener.on_drain()
        await asyncio.sleep(DRAIN_SECONDS)
        await server.stop(GRACE_SECONDS)
        _log.info("stopped", address=listener.address)


async def _watch_health(servicer: health.aio.HealthServicer, listener: Listener) -> None:
    problems: Mapping[str, str | None] = {}
    while True:
        found = {service.name: await _problem(service.checks) for service in listener.services}
        everything = all(problem is None for problem in found.values())
        if listener.tls is not None:
            found[CERTIFICATES_SERVICE] = listener.tls.certificates.problem()
        for name, problem in found.items():
            if name not in problems or problems[name] != problem:
                _log.info("health changed", of=name, problem=problem)
                await servicer.set(name, _SERVING if problem is None else _NOT_SERVING)
        await servicer.set("", _SERVING if everything else _NOT_SERVING)
        problems = found
        await asyncio.sleep(HEALTH_INTERVAL_SECONDS)


async def _problem(checks: Sequence[HealthCheck]) -> str | None:
    for check in checks:
        try:
            await asyncio.wait_for(check(), HEALTH_TIMEOUT_SECONDS)
        except TimeoutError:
            return f"no answer within {HEALTH_TIMEOUT_SECONDS:.0f} s"
        except Exception as error:  # noqa: BLE001 - whatever a check raises is the reason to be NOT_SERVING
            return str(error) or type(error).__name__
    return None
