"""What must hold before a worker takes work. A worker that cannot do its tasks must not look healthy."""

from __future__ import annotations

from collections.abc import Collection

import grpc
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from inference.proto import layers_to_proto, space_to_proto
from inference.sandbox.errors import SandboxError
from inference.sandbox.lockdown import Layer
from inference.triton.client import EMBEDDER
from inference.triton.errors import TritonError
from inference.worker.context import WorkerContext
from inference.worker.registry import RegistryError, load_tasks
from inference.worker.settings import WorkerSettings
from whodex.errors import WhodexError, from_rpc_error
from whodex.v1 import work_service_pb2

BROKER_TIMEOUT_SECONDS = 3


class StartupError(Exception):
    """The worker must not start; the message is one line that says why and what to do."""


def validate(settings: WorkerSettings) -> None:
    """Imports every task, starts a decoder, runs the models' golden vectors, and asks the store and the api_server.

    Raises:
        StartupError: the first thing that is wrong.
    """
    try:
        tasks = load_tasks()
    except RegistryError as error:
        raise StartupError(f"{error}. Fix the code or deploy the version before.") from error
    context = WorkerContext(settings)
    try:
        missing_layers = _check_decoder(context)
        check_broker(settings)
        _check_triton(context)
        _check_store(context)
        _register(context, sorted(tasks), missing_layers)
    finally:
        context.close()


def _check_decoder(context: WorkerContext) -> Collection[Layer]:
    try:
        return context.decoder.check()
    except SandboxError as error:
        raise StartupError(str(error)) from error


def check_broker(settings: WorkerSettings) -> None:
    """Raises `StartupError` unless the broker answers."""
    url = settings.broker_url.get_secret_value()
    with Connection(url, connect_timeout=BROKER_TIMEOUT_SECONDS) as connection:  # type: ignore[no-untyped-call]
        try:
            connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT_SECONDS)
        except OperationalError as error:
            raise StartupError(f"the broker at {connection.as_uri()} does not answer: {error}") from error


def _check_triton(context: WorkerContext) -> None:
    try:
        context.triton.check_golden()
    except TritonError as error:
        address = context.settings.triton_address
        raise StartupError(f"the models at Triton {address} do not pass their golden vectors: {error}") from error


def _check_store(context: WorkerContext) -> None:
    try:
        context.wait(context.store.check())
    except WhodexError as error:
        raise StartupError(str(error)) from error


def _register(context: WorkerContext, tasks: list[str], missing_layers: Collection[Layer]) -> None:
    request = work_service_pb2.RegisterWorkerRequest(
        worker=context.settings.worker_name,
        tasks=tasks,
        embedding_space=space_to_proto(EMBEDDER),
        missing_sandbox_layers=layers_to_proto(missing_layers),
    )
    try:
        context.work.RegisterWorker(request)
    except grpc.RpcError as error:
        address = context.settings.internal_address
        raise StartupError(f"the api_server at {address} does not take this worker: {from_rpc_error(error)}") from error
