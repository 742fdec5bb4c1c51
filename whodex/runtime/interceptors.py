"""What every incoming call passes through.

Outermost first: correlation id, errors, who may connect, how many calls run, authentication, what the caller may use, a
deadline, and the contract's limits on every message. Of the request, nothing is read before all of that.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import cache, partial
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf import descriptor_pool
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status
from structlog.contextvars import bound_contextvars

from whodex.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    QuotaViolation,
    ResourceExhaustedError,
    UnauthenticatedError,
    WhodexError,
    to_status,
)
from whodex.runtime.call_limits import CallLimits
from whodex.runtime.log import CORRELATION_METADATA_KEY, correlation_id, current_correlation_id, get_logger
from whodex.runtime.message_sizes import largest_request_bytes
from whodex.runtime.strangers import Strangers
from whodex.runtime.tls import Tls
from whodex.runtime.validation import validate
from whodex.v1 import error_reason_pb2

DEFAULT_DEADLINE_SECONDS = 60.0

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

# Called with the full method name and the call's metadata; returns what `caller` then holds, or raises.
Authenticate = Callable[[str, Mapping[str, str | bytes]], Awaitable[Any]]
# Called with what `authenticate` returned; once that credential opens nothing any more, returns the error that says so.
CredentialEnd = Callable[[Any], Awaitable[WhodexError]]

_POOL = descriptor_pool.Default()  # type: ignore[no-untyped-call]
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


def remaining_seconds(context: Context) -> float:
    """Time left until the call's deadline, for the calls that it makes itself."""
    left = context.time_remaining()
    return DEFAULT_DEADLINE_SECONDS if left is None else max(left, 0.001)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every method. One class, since the order of its steps is one decision.

    Args:
        authenticate: see there.
        tls: who may connect; None: everybody.
        limits: what a call must not exceed.
        credential_end: see there; None: a credential lasts.
    """

    def __init__(
        self,
        authenticate: Authenticate,
        tls: Tls | None,
        limits: CallLimits,
        credential_end: CredentialEnd | None = None,
    ) -> None:
        self.authenticate = authenticate
        self.tls = tls
        self.limits = limits
        self.credential_end = credential_end
        self.strangers = Strangers()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Replaces the handler of one call by its wrapped form."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN_METHODS):
            return handler
        call = _Call(self, handler, handler_call_details)
        # Whatever the method, its requests come as a stream: so nothing of them is read before the caller is known.
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(call.stream, call.deserialize, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(call.unary, call.deserialize, handler.response_serializer)


class _Call:
    def __init__(
        self,
        interceptor: CallInterceptor,
        handler: grpc.RpcMethodHandler[Any, Any],
        details: grpc.HandlerCallDetails,
    ) -> None:
        self._interceptor = interceptor
        self._handler = handler
        self._behaviour = _behaviour(handler)
        self._method = details.method
        self._metadata = dict(details.invocation_metadata)

    async def unary(self, requests: Any, context: Context) -> Message:
        with self._bound():
            try:
                async with self._entered(context):
                    response: Message = await self._behaviour(await self._request(requests), context)
                    return response
            except Exception as error:  # noqa: BLE001 - the one seam where every error becomes a status
                await self._abort(context, error)

    # No generator: a wait for a client that does not read is in here as well, and ends as everything else here.
    async def stream(self, requests: Any, context: Context) -> None:
        with self._bound():
            try:
                async with (
                    self._entered(context),
                    aclosing(self._behaviour(await self._request(requests), context)) as responses,
                ):
                    async for response in responses:
                        await context.write(response)
            except Exception as error:  # noqa: BLE001 - as above
                await self._abort(context, error)

    def deserialize(self, raw: bytes) -> Message:
        largest = _largest_request_bytes(self._method)
        if len(raw) > largest:
            raise ResourceExhaustedError(
                f"The message has {len(raw)} bytes; no valid one of this method has more than {largest}.",
                reason=error_reason_pb2.ERROR_REASON_MESSAGE_TOO_LARGE,
                quota=QuotaViolation(self._method, "bytes of a message", largest),
            )
        message: Message = self._handler.request_deserializer(raw)  # type: ignore[misc] # generated code has one
        return message

    @asynccontextmanager
    async def _entered(self, context: Context) -> AsyncIterator[None]:
        """Lets the call in, and takes its time."""
        if self._interceptor.tls is not None:
            self._interceptor.tls.admit(context)
        limits = self._interceptor.limits
        with limits.of_server():
            who = await self._authenticated(context.peer())
            with limits.of_caller.admitted(who, streaming=self._is_stream), called_by(who):
                # Not wait_for: on Python 3.11 it can lose a cancellation that comes with the result.
                async with asyncio.timeout(self._seconds(context)), self._while_valid(who):
                    yield

    async def _authenticated(self, peer: str) -> Any:
        credential, strangers = str(self._metadata.get("authorization", "")), self._interceptor.strangers
        strangers.check(peer, credential)
        # Who asks for too much is refused before the lookup, which costs more than the refusal. This grants nothing.
        if (who := strangers.last(credential)) is not None:
            self._interceptor.limits.of_caller.check(who, streaming=self._is_stream)
        try:
            who = await self._interceptor.authenticate(self._method, self._metadata)
        except UnauthenticatedError:
            strangers.wrong(peer, credential)
            raise
        strangers.right(credential, who)
        return who

    def _while_valid(self, who: Any) -> AbstractAsyncContextManager[None]:
        end = self._interceptor.credential_end
        # Other calls end soon by themselves.
        return nullcontext() if end is None or not self._is_stream else _until(partial(end, who))

    @property
    def _is_stream(self) -> bool:
        return self._handler.request_streaming or self._handler.response_streaming

    def _seconds(self, context: Context) -> float:
        # None when the client set no deadline, whatever the stubs of gRPC's types say.
        left: float | None = context.time_remaining()
        if left is not None:
            return max(left, 0.001)
        limits = self._interceptor.limits
        if self._handler.request_streaming:
            return limits.request_stream_seconds
        return limits.response_stream_seconds if self._handler.response_streaming else limits.unary_seconds

    async def _request(self, requests: AsyncIterator[Message]) -> Any:
        messages = _validated_stream(requests, self._interceptor.limits.idle_seconds)
        if self._handler.request_streaming:
            return messages
        request: Message | None = await anext(messages, None)
        if request is None:
            problem = "The call carries no request."
            raise InvalidArgumentError(problem, reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD)
        return request

    def _bound(self) -> Any:
        offered = self._metadata.get(CORRELATION_METADATA_KEY)
        return bound_contextvars(correlation_id=correlation_id(offered if isinstance(offered, str) else None))

    async def _abort(self, context: Context, error: Exception) -> NoReturn:
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


@asynccontextmanager
async def _until(end: Callable[[], Awaitable[WhodexError]]) -> AsyncIterator[None]:
    """Ends the block with the error that `end` returns, as soon as it returns."""
    scope = asyncio.timeout(None)

    async def watch() -> Exception:
        try:
            error: Exception = await end()
        except Exception as defect:  # noqa: BLE001 - without a watch nothing may go on
            error = defect
        scope.reschedule(asyncio.get_running_loop().time())
        return error

    watching = asyncio.create_task(watch())
    try:
        async with scope:
            yield
    except TimeoutError:
        if scope.expired():
            raise watching.result() from None
        raise
    finally:
        watching.cancel()


def _known(error: Exception) -> WhodexError:
    if isinstance(error, WhodexError):
        return error
    if isinstance(error, DecodeError):
        return InvalidArgumentError(
            "The bytes of the message are none of its type. Are client and server of the same contract?",
            reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD,
        )
    if isinstance(error, TimeoutError):
        return DeadlineExceededError(
            "The deadline passed before the answer was ready. Call again with a longer one.",
            reason=error_reason_pb2.ERROR_REASON_DEADLINE_PASSED,
        )
    return InternalError(
        f"This is a defect of ours; the server's log says more under correlation id {current_correlation_id()}.",
        reason=error_reason_pb2.ERROR_REASON_INTERNAL,
    )


async def _validated_stream(requests: AsyncIterator[Message], idle_seconds: float) -> AsyncIterator[Message]:
    messages = aiter(requests)
    while (request := await _next(messages, idle_seconds)) is not None:
        validate(request)
        yield request


async def _next(messages: AsyncIterator[Message], idle_seconds: float) -> Message | None:
    """The next request; a client that falls silent must not hold on to what a call holds."""
    try:
        async with asyncio.timeout(idle_seconds) as idle:
            return await anext(messages, None)
    except TimeoutError as error:
        if not idle.expired():
            raise
        raise DeadlineExceededError(
            f"No further message came for {idle_seconds:g} s, so the call was ended.",
            reason=error_reason_pb2.ERROR_REASON_STREAM_IDLE,
        ) from error


@cache
def _largest_request_bytes(method: str) -> int:
    _, service, name = method.split("/")
    return largest_request_bytes(_POOL.FindMethodByName(f"{service}.{name}").input_type)


def _behaviour(handler: grpc.RpcMethodHandler[Any, Any]) -> Any:
    return handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
