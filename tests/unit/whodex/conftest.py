"""A public API over real gRPC on a loopback port, whose answers a test writes itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from whodex.client import Client
from whodex.client.service_config import PUBLIC_SERVICES
from whodex.errors import UnauthenticatedError, WhodexError, to_status
from whodex.runtime.validation import validate
from whodex.v1 import error_reason_pb2

# Of a unary request or the list of a streamed one; returns the response, or the responses of a stream.
Answer = Callable[[Any], Any]


@dataclass
class ScriptedApi:
    """Answers each method with what the test put into `answers`, else with an empty response.

    Errors and limits are the real server's: `whodex.errors.to_status` and the contract's validation.
    """

    address: str = ""
    library: str = f"libraries/{uuid4()}"
    api_key: str = "key-of-the-library"
    admin_key: str = "key-of-the-admin"
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    health: health.HealthServicer = field(default_factory=health.HealthServicer)

    def requests(self, method: str) -> list[Any]:
        """What arrived at the method, in order."""
        return [request for name, request in self.calls if name == method]

    def reset(self) -> None:
        """Forgets what the last test said and did."""
        self.answers.clear()
        self.calls.clear()
        self.keys.clear()
        for service in PUBLIC_SERVICES:
            self.health.set(service.full_name, health_pb2.HealthCheckResponse.SERVING)

    def answer(self, method: MethodDescriptor, request: Any, context: grpc.ServicerContext) -> Any:
        """Runs one call; a WhodexError becomes the status that the real server sends."""
        try:
            self._admit(method.name, dict(context.invocation_metadata()))
            messages = list(request) if method.client_streaming else [request]
            for message in messages:
                validate(message)
            self.calls.append((method.name, messages if method.client_streaming else request))
            return self.answers.get(method.name, lambda _: _empty(method))(self.calls[-1][1])
        except WhodexError as error:
            context.abort_with_status(rpc_status.to_status(to_status(error)))

    def answer_stream(
        self, method: MethodDescriptor, request: Message, context: grpc.ServicerContext
    ) -> Iterator[Message]:
        """The same for a method with a stream of responses."""
        try:
            yield from self.answer(method, request, context)
        except WhodexError as error:
            context.abort_with_status(rpc_status.to_status(to_status(error)))

    def _admit(self, method: str, metadata: Mapping[str, Any]) -> None:
        key = str(metadata.get("authorization", "")).removeprefix("Bearer ")
        if key not in (self.api_key, self.admin_key):
            raise UnauthenticatedError("No such key.", reason=error_reason_pb2.ERROR_REASON_CREDENTIALS_INVALID)
        self.keys[method] = key


def _empty(method: MethodDescriptor) -> Message | Iterable[Message]:
    response = GetMessageClass(method.output_type)()
    return [response] if method.server_streaming else response


def _handlers(api: ScriptedApi, service: ServiceDescriptor) -> grpc.GenericRpcHandler:
    handlers = {method.name: _handler(api, method) for method in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, handlers)


def _handler(api: ScriptedApi, method: MethodDescriptor) -> grpc.RpcMethodHandler:
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
    }[method.client_streaming, method.server_streaming]
    behaviour = api.answer_stream if method.server_streaming else api.answer
    return make(
        lambda request, context: behaviour(method, request, context),
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=lambda response: response.SerializeToString(),
    )


@pytest.fixture(scope="session")
def running_api() -> Iterator[ScriptedApi]:
    api = ScriptedApi()
    server = grpc.server(ThreadPoolExecutor(max_workers=8), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([_handlers(api, service) for service in PUBLIC_SERVICES])
    health_pb2_grpc.add_HealthServicer_to_server(api.health, server)
    api.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield api
    server.stop(grace=None).wait()


@pytest.fixture
def no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The test does not see the stack and the keys of the machine that it runs on."""
    for name in ("WHODEX_ADDRESS", "WHODEX_API_KEY", "WHODEX_ADMIN_KEY", "WHODEX_LIBRARY", "WHODEX_TLS_CA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WHODEX_STATE_DIR", str(tmp_path_factory.mktemp("no-stack")))


@pytest.fixture
def api(running_api: ScriptedApi, no_configuration: None) -> ScriptedApi:  # noqa: ARG001 - for its effect
    running_api.reset()
    return running_api


@pytest.fixture
def client(api: ScriptedApi) -> Iterator[Client]:
    with Client(api.address, library=api.library, api_key=api.api_key, admin_key=api.admin_key) as connected:
        yield connected
