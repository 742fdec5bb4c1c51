"""What every incoming call passes through.

Outermost first: correlation id, errors, authentication, a deadline, and the contract's limits on every message.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import grpc
import grpc.aio
import protovalidate
from google.protobuf.message import Message
from grpc_status import rpc_status
from structlog.contextvars import bound_contextvars

from whodex.errors import (
    DeadlineExceededError,
    FieldViolation,
    InternalError,
    InvalidArgumentError,
    WhodexError,
    to_status,
)
from whodex.runtime.log import CORRELATION_METADATA_KEY, correlation_id, current_correlation_id, get_logger
from whodex.runtime.tls import Tls
from whodex.v1 import error_reason_pb2

DEFAULT_DEADLINE_SECONDS = 60.0

# Called with the full method name and the call's metadata; returns what `caller` then holds, or raises.
Authenticate = Callable[[str, Mapping[str, str | bytes]], Awaitable[Any]]

_caller: ContextVar[Any] = ContextVar("whodex_caller")
# These say nothing about the data and are what an unauthenticated operator or load balancer needs.
_OPEN_METHODS = ("/grpc.health.v1.Health/", "/grpc.reflection.")
_log = get_logger()


def caller() -> Any:
    """What `authenticate` returned for the call that this code runs in."""
    return _caller.get()


@contextmanager
def called_by(who: Any) -> Iterator[None]:
    """Within the block `caller` is `who`."""
    token = _caller.set(who)
    try:
        yield
    finally:
        _caller.reset(token)


def remaining_seconds(context: grpc.aio.ServicerContext[Any, Any]) -> float:
    """Time left until the call's deadline, for the calls that it makes itself."""
    left = context.time_remaining()
    return DEFAULT_DEADLINE_SECONDS if left is None else max(left, 0.001)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method. One class, since the order of its steps is one decision."""

    def __init__(self, authenticate: Authenticate, tls: Tls | None = None) -> None:
        self._authenticate = authenticate
        self._tls = tls

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Replaces the handler of one call by its wrapped form."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or method.startswith(_OPEN_METHODS):
            return handler
        metadata = dict(handler_call_details.invocation_metadata)
        call = _Call(method, metadata, self._tls)
        try:
            # Here, and not in the handler: no byte of the request of a stranger is read.
            call.caller = await self._authenticate(method, metadata)
        except Exception as error:  # noqa: BLE001 - becomes a status, like every error
            return grpc.stream_stream_rpc_method_handler(call.refuse_with(error))
        if handler.response_streaming:
            wrapped = call.wrap_stream(_behaviour(handler), request_streaming=handler.request_streaming)
        else:
            wrapped = call.wrap_unary(_behaviour(handler), request_streaming=handler.request_streaming)
        return _handler_like(handler, wrapped)


class _Call:
    def __init__(self, method: str, metadata: Mapping[str, str | bytes], tls: Tls | None) -> None:
        self._method = method
        self._metadata = metadata
        self._tls = tls
        self.caller: Any = None

    def refuse_with(self, error: Exception) -> Any:
        async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            with self._bound():
                await self._abort(context, error)

        return refuse

    def wrap_unary(self, behaviour: Callable[..., Awaitable[Message]], *, request_streaming: bool) -> Any:
        async def unary(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
            with self._bound(), called_by(self.caller):
                try:
                    self._admit(context)
                    # Not wait_for: on Python 3.11 it can lose a cancellation that comes with the result. An upload
                    # takes as long as its bytes; keepalive notices a client that is gone.
                    unlimited = request_streaming and context.time_remaining() is None
                    async with asyncio.timeout(None if unlimited else remaining_seconds(context)):
                        return await behaviour(_validated(request, streaming=request_streaming), context)
                except Exception as error:  # noqa: BLE001 - the one seam where every error becomes a status
                    await self._abort(context, error)

        return unary

    def wrap_stream(self, behaviour: Callable[..., AsyncIterator[Message]], *, request_streaming: bool) -> Any:
        async def stream(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
            with self._bound(), called_by(self.caller):
                try:
                    self._admit(context)
                    async for response in behaviour(_validated(request, streaming=request_streaming), context):
                        yield response
                except Exception as error:  # noqa: BLE001 - as above
                    await self._abort(context, error)

        return stream

    def _admit(self, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        if self._tls is not None:
            self._tls.admit(context)

    def _bound(self) -> Any:
        offered = self._metadata.get(CORRELATION_METADATA_KEY)
        return bound_contextvars(correlation_id=correlation_id(offered if isinstance(offered, str) else None))

    async def _abort(self, context: grpc.aio.ServicerContext[Any, Any], error: Exception) -> NoReturn:
        if isinstance(error, grpc.aio.AbortError):
            raise error
        known = _known(error)
        if isinstance(known, InternalError):
            _log.error("call failed", method=self._method, exc_info=error)
        else:
            _log.info(
                "call refused",
                method=self._method,
                code=known.code.name,
                reason=known.reason_name,
                why=known.message,
            )
        await context.abort_with_status(rpc_status.to_status(to_status(known)))


def _known(error: Exception) -> WhodexError:
    if isinstance(error, WhodexError):
        return error
    if isinstance(error, TimeoutError):
        return DeadlineExceededError(
            "The deadline passed before the answer was ready. Call again with a longer one.",
            reason=error_reason_pb2.ERROR_REASON_DEADLINE_PASSED,
        )
    return InternalError(
        f"This is a defect of ours; the server's log says more under correlation id {current_correlation_id()}.",
        reason=error_reason_pb2.ERROR_REASON_INTERNAL,
    )


def _validated(request: Any, *, streaming: bool) -> Any:
    if streaming:
        return _validated_stream(request)
    validate(request)
    return request


async def _validated_stream(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for request in requests:
        validate(request)
        yield request


def validate(message: Message) -> None:
    """Checks a message against the limits that its contract states.

    Raises:
        InvalidArgumentError: INVALID_FIELD, with every violation.
    """
    found = [_violation(one) for one in protovalidate.collect_violations(message)]
    if found:
        raise InvalidArgumentError(
            "; ".join(f"{one.field}: {one.description}" for one in found[:3]) + ".",
            reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
            violations=found,
        )


def _violation(violation: protovalidate.Violation) -> FieldViolation:
    path = violation.proto.field
    elements = path.elements if path is not None else []
    field = ".".join(element.field_name for element in elements) or "request"
    return FieldViolation(field, violation.proto.message or violation.proto.rule_id)


def _behaviour(handler: grpc.RpcMethodHandler[Any, Any]) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream


def _handler_like(handler: grpc.RpcMethodHandler[Any, Any], behaviour: Any) -> grpc.RpcMethodHandler[Any, Any]:
    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return make(behaviour, handler.request_deserializer, handler.response_serializer)
