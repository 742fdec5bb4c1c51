"""Every error of Whodex, the same on both sides of the wire.

A service raises one of these; the server's interceptor sends it as a `google.rpc.Status` with `ErrorInfo`; the client
turns the status back into the same class. Programs look at `reason`, people read `message`.

    WhodexError
      x InvalidArgumentError     x NotFoundError            x AlreadyExistsError
      x FailedPreconditionError  x OutOfRangeError          x UnauthenticatedError
      x PermissionDeniedError    x AbortedError             x CancelledCallError
      x InternalError
      + TransientError: the same call can succeed later
        x UnavailableError       x DeadlineExceededError    x ResourceExhaustedError
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from whodex.handshake import explain_handshake
from whodex.v1 import error_reason_pb2
from whodex.v1.error_reason_pb2 import ErrorReason

DOMAIN = "whodex.v1"


@dataclass(frozen=True)
class FieldViolation:
    """A field of the request that breaks its limits."""

    field: str
    description: str


@dataclass(frozen=True)
class QuotaViolation:
    """A limit that is reached.

    Attributes:
        subject: whose limit it is: the name of a library, an address, the server.
        limit: what is limited, with its unit.
        value: the limit itself.
    """

    subject: str
    limit: str
    value: float


class WhodexError(Exception):
    """The root of all; raise one of its subclasses.

    Args:
        message: one sentence for a person: what is wrong and what to do.
        reason: a value of `whodex.v1.ErrorReason`, for programs.
        violations: the fields at fault, if the request is.
        retry_after_seconds: when waiting helps, for how long.
        quota: the limit that is reached, if one is.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    transient: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        reason: ErrorReason.ValueType,
        violations: Sequence[FieldViolation] = (),
        retry_after_seconds: float | None = None,
        quota: QuotaViolation | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds
        self.quota = quota

    @property
    def reason_name(self) -> str:
        """The reason without its prefix, `PERSON_NOT_READY` for example; this is what goes over the wire."""
        return ErrorReason.Name(self.reason).removeprefix("ERROR_REASON_")


class InvalidArgumentError(WhodexError):
    """The request itself is wrong, whatever the state of the system."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(WhodexError):
    """There is no such resource, or it is not the caller's."""

    code = grpc.StatusCode.NOT_FOUND


class AlreadyExistsError(WhodexError):
    """What the request would make is there already and is different."""

    code = grpc.StatusCode.ALREADY_EXISTS


class FailedPreconditionError(WhodexError):
    """The system is not in the state that the request needs."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class OutOfRangeError(WhodexError):
    """The request goes past what there is."""

    code = grpc.StatusCode.OUT_OF_RANGE


class UnauthenticatedError(WhodexError):
    """No valid credential came with the call."""

    code = grpc.StatusCode.UNAUTHENTICATED


class PermissionDeniedError(WhodexError):
    """The credential is valid but does not allow this."""

    code = grpc.StatusCode.PERMISSION_DENIED


class AbortedError(WhodexError):
    """Somebody else changed what the call relied on."""

    code = grpc.StatusCode.ABORTED


class CancelledCallError(WhodexError):
    """The caller hung up."""

    code = grpc.StatusCode.CANCELLED


class InternalError(WhodexError):
    """A defect of ours."""

    code = grpc.StatusCode.INTERNAL


class TransientError(WhodexError):
    """The same call can succeed later."""

    transient = True


class UnavailableError(TransientError):
    """A part of the system does not answer."""

    code = grpc.StatusCode.UNAVAILABLE


class DeadlineExceededError(TransientError):
    """The deadline passed first."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class ResourceExhaustedError(TransientError):
    """A limit is reached; waiting helps, or making room."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


def _leaves(kind: type[WhodexError]) -> list[type[WhodexError]]:
    children = kind.__subclasses__()
    return [kind] if not children else [leaf for child in children for leaf in _leaves(child)]


_CLASS_BY_CODE = {leaf.code: leaf for leaf in _leaves(WhodexError)}
# What a status without our ErrorInfo means: gRPC itself or a proxy made it.
_REASON_BY_CODE = {
    grpc.StatusCode.DEADLINE_EXCEEDED: error_reason_pb2.ERROR_REASON_DEADLINE_PASSED,
    grpc.StatusCode.INTERNAL: error_reason_pb2.ERROR_REASON_INTERNAL,
}


def to_status(error: WhodexError) -> status_pb2.Status:
    """Builds the status that goes over the wire; its details stay far below gRPC's 8 KiB of metadata."""
    info = error_details_pb2.ErrorInfo(reason=error.reason_name, domain=DOMAIN)
    details = [_pack(info)]
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=one.field, description=one.description[:200])
            for one in error.violations[:10]
        ]
        details.append(_pack(error_details_pb2.BadRequest(field_violations=violations)))
    if error.retry_after_seconds is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(math.ceil(error.retry_after_seconds * 1000))
        details.append(_pack(error_details_pb2.RetryInfo(retry_delay=delay)))
    if error.quota is not None:
        details.append(_pack(_quota_failure(error.quota)))
    return status_pb2.Status(code=error.code.value[0], message=error.message[:1000], details=details)


def from_rpc_error(error: grpc.RpcError) -> WhodexError:
    """Turns what gRPC raised at a client into the exception that the server raised.

    Args:
        error: from a sync or an aio call; both carry a status code and details.
    """
    code: grpc.StatusCode = error.code()
    message: str = error.details() or code.name
    kind = _CLASS_BY_CODE.get(code, InternalError)
    # A sync RpcError is a grpc.Call as well, an aio one has the same three methods; neither says so in its type.
    status = rpc_status.from_call(cast("grpc.Call", error))
    if status is None:
        if kind is UnavailableError and (advice := explain_handshake(message)):
            return kind(advice, reason=error_reason_pb2.ERROR_REASON_TLS_HANDSHAKE_FAILED)
        return kind(message, reason=_REASON_BY_CODE.get(code, error_reason_pb2.ERROR_REASON_UNSPECIFIED))
    info = error_details_pb2.ErrorInfo()
    bad_request = error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    quota = error_details_pb2.QuotaFailure()
    for detail in status.details:
        for message_type in (info, bad_request, retry, quota):
            detail.Unpack(message_type)
    return kind(
        message,
        reason=_reason(info.reason),
        violations=[FieldViolation(one.field, one.description) for one in bad_request.field_violations],
        retry_after_seconds=retry.retry_delay.ToMilliseconds() / 1000 or None,
        quota=next((_quota_violation(one) for one in quota.violations), None),
    )


def _quota_failure(quota: QuotaViolation) -> Message:
    violation = error_details_pb2.QuotaFailure.Violation(
        subject=quota.subject,
        description=f"{quota.limit}: {quota.value:.15g}",
        quota_metric=quota.limit,
        # A whole number, as its field is; the description has the exact one.
        quota_value=math.floor(quota.value),
    )
    return cast("Message", error_details_pb2.QuotaFailure(violations=[violation]))


def _quota_violation(violation: Any) -> QuotaViolation:
    return QuotaViolation(violation.subject, violation.quota_metric, violation.quota_value)


def _reason(name: str) -> ErrorReason.ValueType:
    full_name = f"ERROR_REASON_{name}"
    # A newer server may know reasons that this client does not.
    known = full_name in ErrorReason.keys()  # noqa: SIM118 - an EnumTypeWrapper is no mapping
    return ErrorReason.Value(full_name) if known else error_reason_pb2.ERROR_REASON_UNSPECIFIED


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
