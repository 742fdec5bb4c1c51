"""One call, whatever the method, and all that its caller learns from it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from whodex.errors import from_rpc_error

DEADLINE_SECONDS = 30.0
# Of a stream that waits for changes, or is long.
RESPONSES_READ = 3
_DETAILS = "grpc-status-details-bin"
_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        code: of gRPC, "OK" if it was one.
        reason: of the error.
        content: every byte of the responses, or of the error's message and details.
    """

    code: str
    reason: str
    content: bytes

    def without_ids(self) -> tuple[str, str, bytes]:
        """The same, whichever resources were named."""
        return self.code, self.reason, _ID.sub(b"ID", self.content)


async def call(address: str, method: MethodDescriptor, requests: Sequence[Message], secret: str) -> Answer:
    """Calls a method; a stream of responses is read for a moment.

    Args:
        address: host:port.
        method: of any service.
        requests: one, or those of a stream.
        secret: of the credential; empty: none is sent.
    """
    async with grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            responses = await _responses(channel, method, requests, secret)
        except grpc.aio.AioRpcError as error:
            details = dict(error.trailing_metadata() or ()).get(_DETAILS, b"")
            content = (error.details() or "").encode() + bytes(details)
            return Answer(error.code().name, from_rpc_error(error).reason_name, content)
    return Answer("OK", "", b"".join(response.SerializeToString() for response in responses))


async def _responses(
    channel: grpc.aio.Channel, method: MethodDescriptor, requests: Sequence[Message], secret: str
) -> list[Message]:
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    stub = getattr(channel, kind)(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
    metadata = [("authorization", f"Bearer {secret}")] if secret else []
    started = stub(
        iter(requests) if method.client_streaming else requests[0], metadata=metadata, timeout=DEADLINE_SECONDS
    )
    if not method.server_streaming:
        return [await started]
    responses: list[Message] = []
    while len(responses) < RESPONSES_READ:
        try:
            # A watch of what does not change says nothing after its first response.
            async with asyncio.timeout(1 if responses else DEADLINE_SECONDS):
                response = await started.read()
        except TimeoutError:
            break
        if response is grpc.aio.EOF:
            break
        responses.append(response)
    started.cancel()
    return responses
