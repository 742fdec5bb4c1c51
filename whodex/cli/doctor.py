"""Looks for the first thing between this machine and a working deployment that is not as it should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import grpc
import typer
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from whodex.cli.output import Output, OutputOption, print_line
from whodex.cli.session import Target
from whodex.client import Client, ConfigurationError
from whodex.client.connection import open_channel
from whodex.client.service_config import PUBLIC_SERVICES
from whodex.errors import WhodexError, from_rpc_error
from whodex.v1.decoder_pb2 import DecoderHost, SandboxLayer
from whodex.v1.operations_service_pb2 import TaskStatus

CONNECT_SECONDS = 5.0
# Work that has waited longer than this is not merely queueing behind a busy worker's current item.
OLD_SECONDS = 60.0


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: what was looked at.
        ok: whether it is as it should be.
        message: what was seen.
        advice: what to do; empty when ok.
    """

    check: str
    ok: bool
    message: str
    advice: str = ""


def doctor(context: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """Check the way from here to a working deployment, and say what to do about what is wrong."""
    show = _print_json if output is Output.JSON else _print_finding
    healthy = True
    for finding in examine(context.obj):
        show(finding)
        healthy = healthy and finding.ok
    if not healthy:
        raise typer.Exit(1)


def examine(target: Target) -> Iterator[Finding]:
    """Yields the checks in order; one that fails ends those that need it."""
    try:
        client = Client(target.address, library=target.library)
    except ConfigurationError as error:
        yield Finding("configuration", False, str(error))
        return
    with client:
        found = client.configuration
        yield Finding(
            "configuration", True, f"{found.address}, from {found.source}, {'by TLS' if found.tls else 'in plaintext'}"
        )
        with open_channel(found.address, found.tls) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            reachable = _check_address(health, found.address)
            yield reachable
            if not reachable.ok:
                return
            yield from (_check_service(health, service) for service in PUBLIC_SERVICES)
        yield _check_key(client)
        yield from _check_tasks(client)


def _check_address(health: Any, address: str) -> Finding:
    try:
        health.Check(health_pb2.HealthCheckRequest(), timeout=CONNECT_SECONDS)
    except grpc.RpcError as error:
        advice = "For the local stack `whodex status` says whether it runs and `whodex up` starts it."
        return Finding("address", False, f"no answer at {address}: {from_rpc_error(error)}", advice)
    return Finding("address", True, f"{address} answers")


def _check_service(health: Any, service: ServiceDescriptor) -> Finding:
    request = health_pb2.HealthCheckRequest(service=service.full_name)
    try:
        answer = health.Check(request, timeout=CONNECT_SECONDS).status
    except grpc.RpcError as error:
        return Finding(service.name, False, str(from_rpc_error(error)), "This server does not offer it; is it older?")
    if answer != health_pb2.HealthCheckResponse.SERVING:
        return Finding(
            service.name, False, "not serving", "One of its dependencies is away; the server's log names it."
        )
    return Finding(service.name, True, "serving")


def _check_key(client: Client) -> Finding:
    try:
        next(client.people.list(page_size=1).pages())
    except (ConfigurationError, WhodexError) as error:
        advice = "Set WHODEX_API_KEY and WHODEX_LIBRARY to a key and its library; `whodex key create` makes a key."
        return Finding("key", False, str(error), advice)
    return Finding("key", True, f"opens {client.library}")


def _check_tasks(client: Client) -> Iterator[Finding]:
    if not client.configuration.admin_key:
        yield Finding("tasks", True, "not looked at: that takes the admin key, WHODEX_ADMIN_KEY")
        return
    try:
        listed = client.operations.list_tasks()
    except WhodexError as error:
        yield Finding("tasks", False, error.message, "Set WHODEX_ADMIN_KEY to the server's.")
        return
    yield from map(_check_task, listed.tasks)
    yield from map(_check_decoder_host, listed.decoder_hosts)


def _check_task(task: TaskStatus) -> Finding:
    age_seconds = task.oldest_waiting_age.ToTimedelta().total_seconds()
    message = f"{task.waiting_count} waiting, {task.running_count} running"
    if age_seconds <= OLD_SECONDS:
        return Finding(task.task, True, message)
    advice = f"Look whether a worker of the queue {task.queue} runs, and at its log; `whodex smoke` tries the task."
    return Finding(task.task, False, f"{message}, the oldest waiting for {age_seconds:.0f} s", advice)


def _check_decoder_host(host: DecoderHost) -> Finding:
    check = f"decoders on {host.host}"
    if not host.missing_layers:
        return Finding(check, True, "locked down by every layer")
    missing = [SandboxLayer.Name(layer).removeprefix("SANDBOX_LAYER_").lower() for layer in host.missing_layers]
    message = f"locked down without {', '.join(missing)}"
    # The limits, and each of the layers that are left, hold without the others.
    if len(missing) < len(SandboxLayer.values()) - 1:
        return Finding(check, True, f"{message}; the layers that are left keep files and addresses from them")
    return Finding(
        check,
        False,
        f"{message}: a hostile file that takes its decoder over can read what the service can, and reach the network",
        "Let the service use seccomp: Docker and Kubernetes do unless told otherwise. See docs/security.md.",
    )


def _print_finding(finding: Finding) -> None:
    mark = "ok " if finding.ok else "BAD"
    print_line(f"{mark} {finding.check}: {finding.message}")
    if finding.advice:
        print_line(f"    {finding.advice}")


def _print_json(finding: Finding) -> None:
    typer.echo(json.dumps(asdict(finding)))
