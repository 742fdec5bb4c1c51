"""Errors over a real wire are tested with the server; here, that none was forgotten."""

from __future__ import annotations

import grpc
import pytest
from google.rpc import code_pb2

from whodex import errors
from whodex.errors import FieldViolation, WhodexError, to_status
from whodex.v1 import error_reason_pb2

LEAVES = errors._leaves(WhodexError)


class _Call(grpc.RpcError):
    """A failed call as gRPC raises it: status code, details and trailing metadata."""

    def __init__(self, error: WhodexError) -> None:
        self._error = error

    def code(self) -> grpc.StatusCode:
        return self._error.code

    def details(self) -> str:
        return self._error.message

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        return (("grpc-status-details-bin", to_status(self._error).SerializeToString()),)


@pytest.mark.parametrize("kind", LEAVES)
def test_every_class_survives_the_wire(kind):
    sent = kind("What to do.", reason=error_reason_pb2.ERROR_REASON_INTERNAL)
    received = errors.from_rpc_error(_Call(sent))
    assert type(received) is kind
    assert (received.message, received.reason, received.transient) == ("What to do.", sent.reason, sent.transient)


def test_every_status_code_that_we_send_has_one_class():
    codes = [leaf.code for leaf in LEAVES]
    assert len(codes) == len(set(codes))
    # What is left has no meaning of its own for a caller of Whodex.
    missing = set(grpc.StatusCode) - set(codes)
    assert missing == {
        grpc.StatusCode.OK,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DATA_LOSS,
    }


def test_violations_and_the_retry_delay_survive_the_wire():
    sent = errors.ResourceExhaustedError(
        "Too many.",
        reason=error_reason_pb2.ERROR_REASON_INTERNAL,
        violations=[FieldViolation("page_size", "must be at most 1000")],
        retry_after_seconds=1.2,
    )
    received = errors.from_rpc_error(_Call(sent))
    assert received.violations == sent.violations
    assert received.retry_after_seconds == 1.2


def test_details_stay_below_the_limit_of_metadata():
    many = [FieldViolation(f"field_{number}", "x" * 500) for number in range(50)]
    error = errors.InvalidArgumentError("y" * 5000, reason=error_reason_pb2.ERROR_REASON_INVALID_FIELD, violations=many)
    assert to_status(error).ByteSize() < 4096


def test_a_reason_from_a_newer_server_is_unspecified():
    status = to_status(errors.NotFoundError("Gone.", reason=error_reason_pb2.ERROR_REASON_RESOURCE_NOT_FOUND))
    assert status.code == code_pb2.NOT_FOUND
    assert errors._reason("REASON_OF_TOMORROW") == error_reason_pb2.ERROR_REASON_UNSPECIFIED
